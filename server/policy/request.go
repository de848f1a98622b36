package policy

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Subject is what a decision needs to know of a verified subject token.
type Subject struct {
	// Issuer is the token's issuer, exactly as configured.
	Issuer string
	// ID is the subject that the TraT will have: unique in the trust domain.
	ID string
	// Scopes is the token's own scope. It counts only if ScopeKnown.
	Scopes []string
	// ScopeKnown says that the token has a scope of its own, be it empty. Unknown
	// is not unlimited: see the rule key grants.
	ScopeKnown bool
	// Claims are the claims of the token. They may be personal.
	Claims trat.Object
}

// Request asks for a TraT. It prints its requester and type, no more: the rest may be
// personal.
type Request struct {
	// Requester is the workload that asks, from its X.509-SVID.
	Requester spiffeid.ID
	// SubjectTokenType is the URI of the type of the subject token.
	SubjectTokenType string
	// Subject is what the verified subject token says.
	Subject Subject
	// Scope is the wanted scope. The zero Scope is refused.
	Scope trat.Scope
	// Context is the parameter request_context, Details is request_details.
	Context, Details trat.Object
	// Transaction holds the claims of the TraT that is to be replaced: set for, and
	// only for, the subject token type trat.TokenType. Without it a replacement is
	// refused.
	Transaction *trat.Claims
	// Now is the time of the decision. It is what expressions call now, and what the
	// age of a transaction is measured by.
	Now time.Time
	// Pseudonym replaces a personal value by a name that says nothing by itself, always
	// the same for one value. Without it no member that wants one can be built.
	Pseudonym func(string) string
}

// String names requester and type.
func (r Request) String() string {
	return fmt.Sprintf("policy.Request(%s from %s)", r.SubjectTokenType, r.Requester)
}

// Format prints what String returns, whatever the verb.
func (r Request) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue returns what String returns.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Grant is what may be issued. The zero Grant grants nothing, nor does one that has only a
// Rule: it comes with the error of a refusal.
type Grant struct {
	// Scope is the granted scope: the requested one, or, if the rule narrows, the part
	// of it that the subject token carries.
	Scope trat.Scope
	// Lifetime is the longest lifetime of the TraT, in whole seconds, from 1 s to
	// trat.MaxLifetime.
	Lifetime time.Duration
	// AllowOutlive lets the TraT expire after the subject token.
	AllowOutlive bool
	// TransactionContext and RequestContext are the claims tctx and rctx; zero
	// when empty. Those of a replacement hold all that the replaced TraT had.
	TransactionContext, RequestContext trat.Object
	// Rule is the name of the rule that decided, be it against the request, for the audit
	// record.
	Rule string
	// Evaluation is what has to be asked before the TraT is issued; nil: nothing.
	Evaluation *Evaluation
	// Replacement is how the TraT may replace another: set for, and only for, a Request
	// with a Transaction.
	Replacement *Replacement
	// Dropped names the optional members that could not be built ("tctx.total"), sorted.
	Dropped []string
}

// Evaluation is a question to a policy decision point, the answer of which decides
// whether a granted TraT is issued.
type Evaluation struct {
	// PDP is the name of the policy decision point.
	PDP string
	// FailOpen issues although there is no answer. A denial denies all the same, and so
	// does a PDP that finds fault with the question.
	FailOpen bool
}

// Replacement is how a TraT may replace another one (draft section 13.15). Which
// workloads may, scope, count, age and loops have been judged by Decide; how the requester
// came by the TraT has not.
type Replacement struct {
	// ExtendLifetime lets the TraT expire after the one that it replaces.
	ExtendLifetime bool
	// MaxAge is how long after the start of the transaction its last TraT may expire.
	MaxAge time.Duration
	// HeadReceipt lets a requester do that proves only which other workload called it.
	// Otherwise its receipt has every link back to the workload that requested the replaced
	// TraT.
	HeadReceipt bool
}
