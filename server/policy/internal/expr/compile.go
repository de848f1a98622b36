package expr

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/types"

	"github.com/grpc-trat/grpc-trat/trat"
)

// MaxCost is the most that an evaluation may cost, in CEL's units: what the expressions of
// one rule may cost together by estimate, and what each may cost when it runs. A unit is
// of the order of 10 ns.
const MaxCost = 1_000_000

// Issue is what is wrong with an expression.
type Issue struct {
	// Line and Column are where, from 1; 0 when it concerns the whole expression.
	Line, Column int
	// Text says what is wrong.
	Text string
}

// Purpose is what an expression is for.
type Purpose int

// The purposes.
const (
	Condition Purpose = iota + 1 // a bool
	Value                        // something that is a JSON value
)

// Program is a compiled expression. It is immutable and safe for concurrent use.
type Program struct {
	program cel.Program
	purpose Purpose
	result  *types.Type
	cost    uint64
}

// Text says whether the result may be a string.
func (p *Program) Text() bool {
	return p.result.Kind() == types.StringKind || p.result.Kind() == types.DynKind
}

// Cost is the most that the expression costs, by estimate.
func (p *Program) Cost() uint64 { return p.cost }

// Compile compiles an expression; replacement says that it belongs to a rule that replaces
// transaction tokens. Either the program is nil or there are no issues.
func (e *Env) Compile(source string, purpose Purpose, replacement bool) (program *Program, issues []Issue) {
	defer func() { // a policy file, bad as it may be, must not end the program that reloads it
		if v := recover(); v != nil {
			program, issues = nil, issue("cannot be compiled (%T)", v)
		}
	}()
	return e.compile(source, purpose, replacement)
}

func (e *Env) compile(source string, purpose Purpose, replacement bool) (*Program, []Issue) {
	if len(source) > MaxSource {
		return nil, issue("want at most %d bytes", MaxSource)
	}
	environments, err := e.environments()
	if err != nil {
		return nil, issue("there are no expressions with these declarations: %v", err)
	}
	env := environments.issuance
	if replacement {
		env = environments.replacement
	}
	ast, issues := env.Compile(source)
	if issues.Err() != nil {
		return nil, convert(issues)
	}
	if found := inspect(ast.NativeRep()); len(found) > 0 {
		return nil, found
	}
	if found := checkResult(ast.OutputType(), purpose); found != nil {
		return nil, found
	}
	if found := constant(env, ast, purpose); found != nil {
		return nil, found
	}
	cost, err := env.EstimateCost(ast, sizes{})
	if err != nil {
		return nil, issue("its cost cannot be estimated")
	}
	if cost.Max > MaxCost {
		return nil, issue("it may cost too much: %s units of at most %d", costText(cost.Max), MaxCost)
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(MaxCost))
	if err != nil {
		return nil, issue("cannot be made a program: %v", err)
	}
	return &Program{program: program, purpose: purpose, result: ast.OutputType(), cost: cost.Max}, nil
}

func issue(format string, args ...any) []Issue {
	return []Issue{{Text: fmt.Sprintf(format, args...)}}
}

func convert(issues *cel.Issues) []Issue {
	var found []Issue
	for _, e := range issues.Errors() {
		found = append(found, Issue{Line: e.Location.Line(), Column: e.Location.Column() + 1, Text: e.Message})
	}
	return found
}

func checkResult(t *types.Type, purpose Purpose) []Issue {
	switch {
	case purpose == Condition && !t.IsExactType(types.BoolType):
		return issue("want a bool, not %s", cel.FormatCELType(t))
	case purpose == Value && !isJSON(t):
		return issue("want what JSON can hold, not %s", cel.FormatCELType(t))
	}
	return nil
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

// constant finds an expression that gives the same whatever its variables are: by
// evaluating it with none of them known.
func constant(env *cel.Env, ast *cel.Ast, purpose Purpose) []Issue {
	program, err := env.Program(ast, cel.EvalOptions(cel.OptPartialEval), cel.CostLimit(MaxCost))
	if err != nil {
		return issue("cannot be made a program: %v", err)
	}
	out, _, err := program.Eval(env.UnknownVars())
	switch {
	case err != nil:
		return issue("always fails: %s", cause(err))
	case types.IsUnknown(out):
		return nil
	case purpose == Condition:
		return issue("is always %v", out == types.True)
	default:
		return issue("is always the same; use value")
	}
}

func costText(cost uint64) string {
	if cost > 1_000_000_000 {
		return "more than a billion"
	}
	return fmt.Sprint(cost)
}

// sizes bounds what CEL cannot know the size of. Every value that comes in was held to
// these bounds.
type sizes struct{}

// EstimateSize implements checker.CostEstimator. All elements of a list share the size of
// the object that holds the list, so that many of them cannot be long.
func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	text := uint64(MaxText)
	if slices.Contains(node.Path(), "@items") {
		text = trat.MaxObjectSize / MaxElements
	}
	switch node.Type().Kind() {
	case types.StringKind, types.BytesKind, types.DynKind:
		return &checker.SizeEstimate{Max: text}
	case types.ListKind, types.MapKind:
		return &checker.SizeEstimate{Max: MaxElements}
	default:
		return nil
	}
}

// EstimateCallCost implements checker.CostEstimator: CEL knows its own functions.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
