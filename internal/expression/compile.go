package expression

import (
	"cmp"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Issue is what is wrong with an expression.
type Issue struct {
	// Line and Column are where, from 1; 0 when it concerns the whole expression.
	Line, Column int
	// Text says what is wrong.
	Text string
}

// String returns the text, after the place.
func (i Issue) String() string {
	if i.Line == 0 {
		return i.Text
	}
	return fmt.Sprintf("line %d, column %d: %s", i.Line, i.Column, i.Text)
}

// Issuef returns an issue that concerns the whole expression.
func Issuef(format string, args ...any) []Issue {
	return []Issue{{Text: fmt.Sprintf(format, args...)}}
}

// Kind is what one kind of expressions demands beyond what all do.
type Kind struct {
	// Result says what is wrong with the type of the result: nil, nothing. Required.
	Result func(*types.Type) error
	// Inspect looks at each node of a checked expression and reports what is wrong with it;
	// nil when there is nothing to look for.
	Inspect func(checked *ast.AST, report Report)
	// Limit is the most that one evaluation may cost when it runs; 0: MaxCost.
	Limit uint64
	// Constant is what follows "is always the same" for a constant that is not a bool.
	Constant string
}

// Report reports a problem of one node.
type Report func(at ast.Expr, format string, args ...any)

// Program is a compiled expression. It is immutable and safe for concurrent use.
type Program struct {
	program cel.Program
	checked *ast.AST
	result  *types.Type
	cost    uint64
}

// Result is the type of what the expression gives.
func (p *Program) Result() *types.Type { return p.result }

// Cost is the most that the expression costs, by estimate.
func (p *Program) Cost() uint64 { return p.cost }

// Eval evaluates the expression. The error may hold values: Cause has the part of it that
// may be told.
func (p *Program) Eval(variables cel.Activation) (ref.Val, error) {
	out, _, err := p.program.Eval(variables)
	return out, err
}

// Compile compiles an expression in an environment that NewEnv has made, or an extension
// of one. Either the program is nil or there are no issues.
func Compile(env *cel.Env, source string, kind Kind) (program *Program, issues []Issue) {
	defer func() { // a file, bad as it may be, must not end the program that reads it
		if v := recover(); v != nil {
			program, issues = nil, Issuef("cannot be compiled (%T)", v)
		}
	}()
	return compile(env, source, kind)
}

func compile(env *cel.Env, source string, kind Kind) (*Program, []Issue) {
	if len(source) > MaxSource {
		return nil, Issuef("want at most %d bytes", MaxSource)
	}
	compiled, issues := env.Compile(source)
	if issues.Err() != nil {
		return nil, convert(issues)
	}
	checked := compiled.NativeRep()
	if found := inspect(checked, kind); len(found) > 0 {
		return nil, found
	}
	if err := kind.Result(compiled.OutputType()); err != nil {
		return nil, Issuef("%v", err)
	}
	if found := constant(env, compiled, kind); found != nil {
		return nil, found
	}
	cost, err := env.EstimateCost(compiled, sizes{})
	if err != nil {
		return nil, Issuef("its cost cannot be estimated")
	}
	if cost.Max > MaxCost {
		return nil, Issuef("it may cost too much: %s units of at most %d", costText(cost.Max), MaxCost)
	}
	limit := cmp.Or(kind.Limit, MaxCost)
	program, err := env.Program(compiled, cel.EvalOptions(cel.OptOptimize), patterns, cel.CostTracking(charges{}), cel.CostLimit(limit))
	if err != nil {
		return nil, Issuef("cannot be made a program: %v", err)
	}
	return &Program{program: program, checked: checked, result: compiled.OutputType(), cost: cost.Max}, nil
}

// Fits reports whether the types of an expression fit together in an environment: whether it
// is worth trying.
func Fits(env *cel.Env, source string) bool {
	if len(source) > MaxSource {
		return false
	}
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		return false
	}
	_, issues = env.Check(parsed)
	return issues.Err() == nil
}

func convert(issues *cel.Issues) []Issue {
	var found []Issue
	for _, e := range issues.Errors() {
		found = append(found, Issue{Line: e.Location.Line(), Column: e.Location.Column() + 1, Text: e.Message})
	}
	return found
}

// constant finds an expression that gives the same whatever its variables are: by
// evaluating it with none of them known.
func constant(env *cel.Env, compiled *cel.Ast, kind Kind) []Issue {
	program, err := env.Program(compiled, cel.EvalOptions(cel.OptPartialEval), cel.CostTracking(charges{}), cel.CostLimit(MaxCost))
	if err != nil {
		return Issuef("cannot be made a program: %v", err)
	}
	out, _, err := program.Eval(env.UnknownVars())
	switch {
	case err != nil:
		return Issuef("always fails: %s", Cause(err))
	case types.IsUnknown(out):
		return nil
	case compiled.OutputType().IsExactType(types.BoolType):
		return Issuef("is always %v", out == types.True)
	default:
		return Issuef("is always the same%s", kind.Constant)
	}
}

// WantBool is the Result of conditions.
func WantBool(t *types.Type) error {
	if !t.IsExactType(types.BoolType) {
		return fmt.Errorf("want a bool, not %s", cel.FormatCELType(t))
	}
	return nil
}
