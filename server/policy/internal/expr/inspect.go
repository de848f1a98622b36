package expr

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
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
			if args := call.Args(); call.FunctionName() == overloads.Matches {
				if err := checkPattern(args[len(args)-1]); err != nil {
					report(e, "%v", err)
				}
			}
		default:
		}
	}))
	return found
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
