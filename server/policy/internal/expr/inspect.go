package expr

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
)

// whole are the variables that exist only for their fields.
var whole = []string{subjectVar, claimsVar, detailsVar, contextVar, transactionVar}

// inspect finds what CEL allows and a policy must not do: take a variable as a whole, so
// that nobody sees what is copied; use the type of one as a value; match a pattern that
// is not written out, and was not checked.
func inspect(checked *ast.AST) []Issue {
	var found []Issue
	report := func(e ast.Expr, format string, args ...any) {
		at := checked.SourceInfo().GetStartLocation(e.ID())
		found = append(found, Issue{Line: at.Line(), Column: at.Column() + 1, Text: fmt.Sprintf(format, args...)})
	}
	fields := make(map[int64]bool) // identifiers of which a field is selected
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.SelectKind {
			fields[e.AsSelect().Operand().ID()] = true
		}
	}))
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			if slices.Contains(whole, e.AsIdent()) && !fields[e.ID()] {
				report(e, "%s is not a value by itself: name one of its members", e.AsIdent())
			}
		case ast.StructKind:
			report(e, "no object can be made of a type")
		case ast.CallKind:
			call := e.AsCall()
			if args := call.Args(); call.FunctionName() == overloads.Matches && args[len(args)-1].Kind() != ast.LiteralKind {
				report(e, "want a pattern that is written out")
			}
		default:
		}
	}))
	return found
}
