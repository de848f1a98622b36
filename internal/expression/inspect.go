package expression

import (
	"errors"
	"fmt"
	"regexp/syntax"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// inspect finds what CEL allows and an expression must not do: make objects; match a
// pattern that is not written out, and was not checked; and what its kind forbids.
func inspect(checked *ast.AST, kind Kind) []Issue {
	var found []Issue
	report := func(e ast.Expr, format string, args ...any) {
		at := checked.SourceInfo().GetStartLocation(e.ID())
		found = append(found, Issue{Line: at.Line(), Column: at.Column() + 1, Text: fmt.Sprintf(format, args...)})
	}
	Walk(checked, func(e ast.Expr) {
		switch e.Kind() {
		case ast.StructKind:
			report(e, "no object can be made of a type")
		case ast.CallKind:
			call := e.AsCall()
			if args := call.Args(); call.FunctionName() == overloads.Matches {
				if err := checkPattern(args[len(args)-1]); err != nil {
					report(e, "%v", err)
				}
			}
		default:
		}
	})
	if kind.Inspect != nil {
		kind.Inspect(checked, report)
	}
	return found
}

// Walk calls visit for each node of an expression, after those that it is made of.
func Walk(checked *ast.AST, visit func(ast.Expr)) {
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(visit))
}

// Names reports whether the expression uses the variable, and not another one of that name
// which a macro declares.
func (p *Program) Names(variable string) bool { return uses(p.checked.Expr(), variable) }

func uses(e ast.Expr, name string) bool {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent() == name || e.AsIdent() == "."+name
	case ast.SelectKind:
		return uses(e.AsSelect().Operand(), name)
	case ast.CallKind:
		call := e.AsCall()
		return call.IsMemberFunction() && uses(call.Target(), name) || anyUses(call.Args(), name)
	case ast.ListKind:
		return anyUses(e.AsList().Elements(), name)
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			if entry := entry.AsMapEntry(); uses(entry.Key(), name) || uses(entry.Value(), name) {
				return true
			}
		}
	case ast.ComprehensionKind:
		fold := e.AsComprehension()
		if uses(fold.IterRange(), name) || uses(fold.AccuInit(), name) {
			return true
		}
		inside := []ast.Expr{fold.LoopCondition(), fold.LoopStep(), fold.Result()}
		// What is ".name" inside is the variable nevertheless.
		return fold.IterVar() != name && fold.IterVar2() != name && anyUses(inside, name) || anyUses(inside, "."+name)
	default:
	}
	return false
}

func anyUses(list []ast.Expr, name string) bool {
	for _, e := range list {
		if uses(e, name) {
			return true
		}
	}
	return false
}

// maxPattern is the size of the largest regular expression, in instructions: matching
// takes time for each, at each byte.
const maxPattern = 500

func checkPattern(e ast.Expr) error {
	if e.Kind() != ast.LiteralKind {
		return errors.New("want a pattern that is written out")
	}
	text, ok := e.AsLiteral().(types.String)
	if !ok {
		return errors.New("want a pattern that is text")
	}
	parsed, err := syntax.Parse(string(text), syntax.Perl)
	if err != nil {
		return errors.New("is no regular expression")
	}
	// The library's own limit panics at a repetition: it does not simplify first.
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > maxPattern {
		return fmt.Errorf("want a pattern of at most %d instructions", maxPattern)
	}
	return nil
}
