package expr

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/grpc-trat/grpc-trat/internal/expression"
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
	v, err := t.read(raw)
	if errors.Is(err, expression.ErrMismatch) {
		return nil, fmt.Errorf("want %s", t.name)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (t Type) read(raw string) (ref.Val, error) {
	switch t.name {
	case "string":
		return expression.Text(raw)
	case "int":
		return expression.Int(raw)
	case "uint":
		return expression.Uint(raw)
	case "double":
		return expression.Double(raw)
	case "bool":
		return expression.Bool(raw)
	case "timestamp":
		return timeValue(raw)
	case "map":
		return expression.Map(raw)
	case "any":
		return expression.Value(raw)
	}
	if t.element == nil {
		return nil, errors.New("no type")
	}
	return expression.List(raw, t.element.value)
}

func timeValue(raw string) (ref.Val, error) {
	var at time.Time
	if expression.IsInteger(raw) {
		seconds, err := strconv.ParseInt(raw, 10, 64)
		if err != nil {
			return nil, expression.ErrMismatch
		}
		at = time.Unix(seconds, 0).UTC()
	} else {
		text, err := expression.Text(raw)
		if err != nil {
			return nil, err
		}
		if at, err = time.Parse(time.RFC3339, string(text)); err != nil {
			return nil, expression.ErrMismatch
		}
	}
	if at.Before(firstTime) || at.After(lastTime) {
		return nil, expression.ErrMismatch
	}
	return types.Timestamp{Time: at}, nil
}
