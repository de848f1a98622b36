package expr

import (
	"slices"

	"cel.dev/cel-go/common/ast"

	"github.com/grpc-trat/grpc-trat/internal/expression"
)

// whole are the variables that exist only for their fields.
var whole = []string{subjectVar, claimsVar, detailsVar, contextVar, transactionVar}

// inspect finds variables that are taken as a whole, so that nobody sees what is copied.
func inspect(checked *ast.AST, report expression.Report) {
	fields := make(map[int64]bool) // identifiers of which a field is selected
	expression.Walk(checked, func(e ast.Expr) {
		if e.Kind() == ast.SelectKind {
			fields[e.AsSelect().Operand().ID()] = true
		}
	})
	expression.Walk(checked, func(e ast.Expr) {
		if e.Kind() == ast.IdentKind && slices.Contains(whole, e.AsIdent()) && !fields[e.ID()] {
			report(e, "%s is not a value by itself: name one of its members", e.AsIdent())
		}
	})
}
