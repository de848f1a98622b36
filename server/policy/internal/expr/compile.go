package expr

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/grpc-trat/grpc-trat/internal/expression"
)

// MaxCost is the most that an evaluation may cost, in CEL's units: what the expressions of
// one rule may cost together by estimate, and what each may cost when it runs. A unit is
// of the order of 10 ns.
const MaxCost = expression.MaxCost

// Issue is what is wrong with an expression.
type Issue = expression.Issue

// Purpose is what an expression is for.
type Purpose int

// The purposes.
const (
	Condition Purpose = iota + 1 // a bool
	Value                        // something that is a JSON value
)

// Program is a compiled expression. It is immutable and safe for concurrent use.
type Program struct {
	program *expression.Program
	purpose Purpose
	result  *types.Type
}

// Text says whether the result may be a string.
func (p *Program) Text() bool {
	return p.result.Kind() == types.StringKind || p.result.Kind() == types.DynKind
}

// Cost is the most that the expression costs, by estimate.
func (p *Program) Cost() uint64 { return p.program.Cost() }

var errNoPurpose = errors.New("has no purpose")

// Compile compiles an expression; replacement says that it belongs to a rule that replaces
// transaction tokens. Either the program is nil or there are no issues.
func (e *Env) Compile(source string, purpose Purpose, replacement bool) (*Program, []Issue) {
	environments, err := e.environments()
	if err != nil {
		return nil, expression.Issuef("there are no expressions with these declarations: %v", err)
	}
	env := environments.issuance
	if replacement {
		env = environments.replacement
	}
	program, issues := expression.Compile(env, source, expression.Kind{
		Result:   purpose.checkResult,
		Inspect:  inspect,
		Constant: "; use value",
	})
	if issues != nil {
		return nil, issues
	}
	return &Program{program: program, purpose: purpose, result: program.Result()}, nil
}

func (p Purpose) checkResult(t *types.Type) error {
	switch p {
	case Condition:
		return expression.WantBool(t)
	case Value:
		if !isJSON(t) {
			return fmt.Errorf("want what JSON can hold, not %s", cel.FormatCELType(t))
		}
		return nil
	}
	return errNoPurpose
}

// isJSON says whether a value of the type can be JSON. Of dyn it may be.
func isJSON(t *types.Type) bool {
	switch t.Kind() {
	case types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind, types.StringKind, types.TimestampKind,
		types.DynKind:
		return true
	case types.ListKind:
		return isJSON(t.Parameters()[0])
	case types.MapKind:
		key := t.Parameters()[0].Kind()
		return (key == types.StringKind || key == types.DynKind) && isJSON(t.Parameters()[1])
	default:
		return false
	}
}
