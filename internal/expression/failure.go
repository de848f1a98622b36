package expression

import (
	"errors"
	"strings"
)

// causes are texts of CEL's errors that hold no value, or begin without one.
var causes = []string{
	"division by zero", "modulus by zero", "integer overflow", "unsigned integer overflow", "timestamp overflow",
	"duration overflow", "no such key", "index out of bounds", "no such overload", "type conversion error",
	"actual cost limit exceeded",
}

// Cause is what may be told of an error of an evaluation: CEL's errors may hold values.
func Cause(err error) string {
	if errors.Is(err, errLongText) {
		return errLongText.Error()
	}
	for _, text := range causes {
		if strings.Contains(err.Error(), text) {
			return text
		}
	}
	return "evaluation failed"
}
