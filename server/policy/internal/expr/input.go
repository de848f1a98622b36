package expr

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/grpc-trat/grpc-trat/internal/expression"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Input is what an expression is evaluated with: the values of its variables. It is for
// one goroutine.
type Input struct {
	Now       time.Time
	Requester string
	Scope     []string
	Subject   Subject
	// Claims, Details and Context have to be records of the declarations that the
	// expression was compiled with.
	Claims, Details, Context *Record
	// Transaction is there for replacements.
	Transaction *Transaction
}

// Subject is the variable subject.
type Subject struct {
	ID, Issuer, TokenType string
	Scopes                []string
}

// Transaction is the variable transaction: the token that is to be replaced.
type Transaction struct {
	Scopes                             []string
	Requester                          string
	Chain                              []string
	Replacements                       int
	Start                              time.Time
	TransactionContext, RequestContext trat.Object
}

// Names of variables.
const (
	nowVar         = "now"
	requesterVar   = "requester"
	scopeVar       = "scope"
	subjectVar     = "subject"
	claimsVar      = string(Claims)
	detailsVar     = string(Details)
	contextVar     = string(Context)
	transactionVar = "transaction"
)

// ResolveName implements cel.Activation.
func (in *Input) ResolveName(name string) (any, bool) {
	switch name {
	case nowVar:
		return types.Timestamp{Time: in.Now.UTC()}, true
	case requesterVar:
		return types.String(in.Requester), true
	case scopeVar:
		return textList(in.Scope), true
	case subjectVar:
		return &in.Subject, true
	case claimsVar:
		return in.Claims, in.Claims != nil
	case detailsVar:
		return in.Details, in.Details != nil
	case contextVar:
		return in.Context, in.Context != nil
	case transactionVar:
		return in.Transaction, in.Transaction != nil
	}
	return nil, false
}

// Parent implements cel.Activation.
func (in *Input) Parent() cel.Activation { return nil }

// objectValue is a whole object: a map, or an error value.
func objectValue(o trat.Object) ref.Val {
	v, err := expression.Map(o.JSON())
	if err != nil {
		return types.WrapErr(err)
	}
	return v
}
