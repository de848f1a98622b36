package expression

import (
	"errors"
	"fmt"
	"strings"
)

// causes are texts of CEL's errors that hold no value, or begin without one.
var causes = []string{
	"division by zero", "modulus by zero", "integer overflow", "unsigned integer overflow", "timestamp overflow",
	"duration overflow", "no such key", "index out of bounds", "no such overload", "type conversion error",
	"actual cost limit exceeded",
}

// ours are errors of this package, which hold no value at all.
var ours = []error{errLongText, errLongKey, errNoMessage, errNoTime, errWhole, errNoConversion}

// Cause is what may be told of an error of an evaluation: CEL's errors may hold values.
func Cause(err error) string {
	for _, told := range ours {
		if errors.Is(err, told) {
			return told.Error()
		}
	}
	if strings.Contains(err.Error(), "expected iterable type") {
		return fmt.Sprintf("a macro walks what is no list of up to %d elements and no map of up to %d", maxWalk, MaxElements)
	}
	for _, text := range causes {
		if strings.Contains(err.Error(), text) {
			return text
		}
	}
	return "evaluation failed"
}
