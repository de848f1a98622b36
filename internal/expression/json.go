package expression

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// ErrMismatch says that JSON has another type than was wanted.
var ErrMismatch = errors.New("is of another type")

var (
	errTooMany = fmt.Errorf("want at most %d elements", MaxElements)
	errInteger = errors.New("want an integer of at most 64 bits with a sign")
)

// The functions below read values out of JSON text, which has to be valid. Integers keep
// every digit. Errors do not hold the value.

// Text reads a string.
func Text(raw string) (types.String, error) {
	if raw[0] != '"' {
		return "", ErrMismatch
	}
	if !strings.Contains(raw, `\`) {
		return types.String(raw[1 : len(raw)-1]), nil
	}
	var text string
	if json.Unmarshal([]byte(raw), &text) != nil {
		return "", ErrMismatch
	}
	return types.String(text), nil
}

// IsNumber reports whether raw is a number.
func IsNumber(raw string) bool { return raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9' }

// IsInteger reports whether raw is a number without fraction and exponent.
func IsInteger(raw string) bool { return IsNumber(raw) && !strings.ContainsAny(raw, ".eE") }

// Int reads an integer.
func Int(raw string) (types.Int, error) {
	if !IsInteger(raw) {
		return 0, ErrMismatch
	}
	n, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return 0, errInteger
	}
	return types.Int(n), nil
}

// Uint reads an integer that is not negative.
func Uint(raw string) (types.Uint, error) {
	if !IsInteger(raw) {
		return 0, ErrMismatch
	}
	n, err := strconv.ParseUint(raw, 10, 64)
	if err != nil {
		return 0, ErrMismatch
	}
	return types.Uint(n), nil
}

// Double reads a number.
func Double(raw string) (types.Double, error) {
	if !IsNumber(raw) {
		return 0, ErrMismatch
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil {
		return 0, ErrMismatch
	}
	return types.Double(f), nil
}

// Bool reads true or false.
func Bool(raw string) (types.Bool, error) {
	switch raw {
	case "true":
		return types.True, nil
	case "false":
		return types.False, nil
	}
	return types.False, ErrMismatch
}

// Value reads a value of any type, null too. An integer that an int cannot hold is an error.
func Value(raw string) (ref.Val, error) {
	switch {
	case raw == "null":
		return types.NullValue, nil
	case raw[0] == '"':
		return Text(raw)
	case raw[0] == '{':
		return Map(raw)
	case raw[0] == '[':
		return List(raw, Value)
	case IsInteger(raw):
		return Int(raw)
	case IsNumber(raw):
		return Double(raw)
	default:
		return Bool(raw)
	}
}

// List reads an array, with element for what is in it.
func List(raw string, element func(string) (ref.Val, error)) (ref.Val, error) {
	if raw[0] != '[' {
		return nil, ErrMismatch
	}
	var raws []json.RawMessage
	if json.Unmarshal([]byte(raw), &raws) != nil {
		return nil, ErrMismatch
	}
	if len(raws) > MaxElements {
		return nil, errTooMany
	}
	values := make([]ref.Val, len(raws))
	for i, raw := range raws {
		v, err := element(string(raw))
		if err != nil {
			return nil, elementError(err)
		}
		values[i] = v
	}
	return types.NewRefValList(types.DefaultTypeAdapter, values), nil
}

// elementError keeps ErrMismatch for the type of the whole.
func elementError(err error) error {
	return fmt.Errorf("an element: %v", err) //nolint:errorlint // on purpose, as said
}

// Map reads an object.
func Map(raw string) (ref.Val, error) {
	if raw[0] != '{' {
		return nil, ErrMismatch
	}
	var raws map[string]json.RawMessage
	if json.Unmarshal([]byte(raw), &raws) != nil {
		return nil, ErrMismatch
	}
	if len(raws) > MaxElements {
		return nil, errTooMany
	}
	values := make(map[ref.Val]ref.Val, len(raws))
	for name, raw := range raws {
		v, err := Value(string(raw))
		if err != nil {
			return nil, elementError(err)
		}
		values[types.String(name)] = v
	}
	return types.NewRefValMap(types.DefaultTypeAdapter, values), nil
}
