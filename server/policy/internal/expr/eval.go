package expr

import (
	"errors"
	"fmt"
	"math"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/grpc-trat/grpc-trat/internal/expression"
	"github.com/grpc-trat/grpc-trat/trat"
)

var errPurpose = errors.New("the expression was compiled for something else")

// Test evaluates a condition. Its errors are *AbsentError, *TypeError, or others that name
// no value.
func (p *Program) Test(in *Input) (bool, error) {
	if p.purpose != Condition {
		return false, errPurpose
	}
	out, err := p.eval(in)
	if err != nil {
		return false, err
	}
	return out == types.True, nil
}

// Value evaluates a value and returns it ready for encoding/json, with every digit: never
// nil. Errors are as those of Test.
func (p *Program) Value(in *Input) (any, error) {
	if p.purpose != Value {
		return nil, errPurpose
	}
	out, err := p.eval(in)
	if err != nil {
		return nil, err
	}
	return toJSON(out, trat.MaxDepth)
}

func (p *Program) eval(in *Input) (ref.Val, error) {
	out, err := p.program.Eval(in)
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// failure is what may be told of an error of CEL, which may hold values.
func failure(err error) error {
	if absent, ok := errors.AsType[*AbsentError](err); ok {
		return absent
	}
	if mismatch, ok := errors.AsType[*TypeError](err); ok {
		return mismatch
	}
	return errors.New(expression.Cause(err))
}

// toJSON returns what encoding/json makes the JSON of v, with every digit.
func toJSON(v ref.Val, depth int) (any, error) {
	if depth == 0 {
		return nil, errors.New("the result is nested too deeply")
	}
	switch v := v.(type) {
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return uint64(v), nil
	case types.Double:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, errors.New("the result is no number of JSON")
		}
		return float64(v), nil
	case types.String:
		return string(v), nil
	case types.Timestamp:
		return v.Time.UTC().Format(time.RFC3339Nano), nil
	case traits.Lister:
		return listJSON(v, depth)
	case traits.Mapper:
		return mapJSON(v, depth)
	default:
		return nil, fmt.Errorf("the result is of type %s, which JSON does not have", v.Type().TypeName())
	}
}

func listJSON(list traits.Lister, depth int) (any, error) {
	elements := []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		element, err := elementJSON(it.Next(), depth)
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	return elements, nil
}

func mapJSON(m traits.Mapper, depth int) (any, error) {
	members := make(map[string]any)
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, errors.New("the result has a key that is no text")
		}
		member, err := elementJSON(m.Get(key), depth)
		if err != nil {
			return nil, err
		}
		members[string(name)] = member
	}
	return members, nil
}

// elementJSON also takes null, which is a value inside others but not by itself.
func elementJSON(v ref.Val, depth int) (any, error) {
	if v == types.NullValue {
		return nil, nil //nolint:nilnil // null is nil
	}
	return toJSON(v, depth-1)
}
