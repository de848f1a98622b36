package expr

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Bounds of a timestamp, as in CEL.
var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// Check says whether raw, valid JSON that is not null, is a value of the type. The error
// does not hold the value.
func (t Type) Check(raw string) error {
	_, err := t.value(raw)
	return err
}

func (t Type) value(raw string) (ref.Val, error) {
	var (
		v   ref.Val
		err error
	)
	switch t.name {
	case "string":
		v, err = textValue(raw)
	case "int":
		v, err = intValue(raw)
	case "uint":
		v, err = uintValue(raw)
	case "double":
		v, err = doubleValue(raw)
	case "bool":
		v, err = boolValue(raw)
	case "timestamp":
		v, err = timeValue(raw)
	case "map":
		v, err = mapValue(raw)
	case "any":
		v, err = anyValue(raw)
	default:
		if t.element == nil {
			return nil, errors.New("no type")
		}
		v, err = listValue(raw, *t.element)
	}
	if errors.Is(err, errMismatch) {
		return nil, fmt.Errorf("want %s", t.name)
	}
	return v, err
}

var errMismatch = errors.New("is of another type")

func textValue(raw string) (ref.Val, error) {
	if raw[0] != '"' {
		return nil, errMismatch
	}
	var text string
	if !strings.Contains(raw, `\`) {
		text = raw[1 : len(raw)-1]
	} else if json.Unmarshal([]byte(raw), &text) != nil {
		return nil, errMismatch
	}
	return types.String(text), nil
}

func isNumber(raw string) bool { return raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9' }

func isInteger(raw string) bool { return isNumber(raw) && !strings.ContainsAny(raw, ".eE") }

func intValue(raw string) (ref.Val, error) {
	if !isInteger(raw) {
		return nil, errMismatch
	}
	n, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return nil, errors.New("want an integer of at most 64 bits with a sign")
	}
	return types.Int(n), nil
}

func uintValue(raw string) (ref.Val, error) {
	if !isInteger(raw) {
		return nil, errMismatch
	}
	n, err := strconv.ParseUint(raw, 10, 64)
	if err != nil {
		return nil, errMismatch
	}
	return types.Uint(n), nil
}

func doubleValue(raw string) (ref.Val, error) {
	if !isNumber(raw) {
		return nil, errMismatch
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil {
		return nil, errMismatch
	}
	return types.Double(f), nil
}

func boolValue(raw string) (ref.Val, error) {
	switch raw {
	case "true":
		return types.True, nil
	case "false":
		return types.False, nil
	}
	return nil, errMismatch
}

func timeValue(raw string) (ref.Val, error) {
	var at time.Time
	switch {
	case isInteger(raw):
		seconds, err := strconv.ParseInt(raw, 10, 64)
		if err != nil {
			return nil, errMismatch
		}
		at = time.Unix(seconds, 0).UTC()
	case raw[0] == '"':
		text, err := textValue(raw)
		if err != nil {
			return nil, err
		}
		if at, err = time.Parse(time.RFC3339, string(text.(types.String))); err != nil { //nolint:errcheck // textValue returns no other type
			return nil, errMismatch
		}
	default:
		return nil, errMismatch
	}
	if at.Before(firstTime) || at.After(lastTime) {
		return nil, errMismatch
	}
	return types.Timestamp{Time: at}, nil
}

func listValue(raw string, element Type) (ref.Val, error) {
	if raw[0] != '[' {
		return nil, errMismatch
	}
	var raws []json.RawMessage
	if json.Unmarshal([]byte(raw), &raws) != nil {
		return nil, errMismatch
	}
	if len(raws) > MaxElements {
		return nil, errTooMany
	}
	values := make([]ref.Val, len(raws))
	for i, raw := range raws {
		v, err := element.value(string(raw))
		if err != nil {
			return nil, elementError(err)
		}
		values[i] = v
	}
	return types.NewRefValList(types.DefaultTypeAdapter, values), nil
}

var errTooMany = fmt.Errorf("want at most %d elements", MaxElements)

// elementError keeps errMismatch for the type of the whole.
func elementError(err error) error {
	return fmt.Errorf("an element: %v", err) //nolint:errorlint // on purpose, as said
}

func mapValue(raw string) (ref.Val, error) {
	if raw[0] != '{' {
		return nil, errMismatch
	}
	var raws map[string]json.RawMessage
	if json.Unmarshal([]byte(raw), &raws) != nil {
		return nil, errMismatch
	}
	if len(raws) > MaxElements {
		return nil, errTooMany
	}
	values := make(map[ref.Val]ref.Val, len(raws))
	for name, raw := range raws {
		v, err := anyValue(string(raw))
		if err != nil {
			return nil, elementError(err)
		}
		values[types.String(name)] = v
	}
	return types.NewRefValMap(types.DefaultTypeAdapter, values), nil
}

// anyValue also takes the null that may be inside a value.
func anyValue(raw string) (ref.Val, error) {
	switch {
	case raw == "null":
		return types.NullValue, nil
	case raw[0] == '"':
		return textValue(raw)
	case raw[0] == '{':
		return mapValue(raw)
	case raw[0] == '[':
		return listValue(raw, anyType)
	case isInteger(raw):
		return intValue(raw)
	case isNumber(raw):
		return doubleValue(raw)
	default:
		return boolValue(raw)
	}
}
