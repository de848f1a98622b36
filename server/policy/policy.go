package policy

import (
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Policy is a compiled policy file. It is immutable and safe for concurrent use.
// The zero Policy grants nothing.
type Policy struct {
	version string
	rules   index
}

// Subject is what a decision needs to know of a verified subject token.
type Subject struct {
	// Issuer is the token's issuer, exactly as configured.
	Issuer string
	// Scopes is the token's own scope. It counts only if ScopeKnown.
	Scopes []string
	// ScopeKnown says that the token has a scope of its own, be it empty. Unknown
	// is not unlimited: see the rule key grants.
	ScopeKnown bool
}

// Request asks for a TraT.
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
}

// Grant is what may be issued. The zero Grant grants nothing.
type Grant struct {
	// Scope is the granted scope: the requested one.
	Scope trat.Scope
	// Lifetime is the longest lifetime of the TraT, in whole seconds, from 1 s to
	// trat.MaxLifetime.
	Lifetime time.Duration
	// AllowOutlive lets the TraT expire after the subject token.
	AllowOutlive bool
	// TransactionContext and RequestContext are the claims tctx and rctx; zero
	// when empty.
	TransactionContext, RequestContext trat.Object
	// Rule is the name of the rule that decided, for the audit record.
	Rule string
}

// Version identifies the policy file: the SHA-256 of its bytes, in hexadecimal.
// It is empty for the zero Policy.
func (p *Policy) Version() string { return p.version }

// MayPresent says whether requester may present subject tokens of this type at
// all. It is asked before the token is parsed
// (draft-ietf-oauth-transaction-tokens section 11.3); Decide asks again. Its error
// is ISSUANCE_DENIED.
func (p *Policy) MayPresent(requester spiffeid.ID, subjectTokenType string) error {
	for _, r := range p.rules.match(requester) {
		if r.takes(subjectTokenType) {
			return nil
		}
	}
	return trat.Errorf(trat.ReasonIssuanceDenied, "subject_token_type", "no rule for this requester and subject token type")
}

// Decide returns what r may have. Its errors are
//
//   - ISSUANCE_DENIED: no rule for this requester, subject token type and issuer.
//   - SUBJECT_SCOPE_UNKNOWN: the subject token has no scope of its own and the rule
//     has no grants (draft section 13.14).
//   - SCOPE_EXCEEDED: the wanted scope is empty, is beyond what the subject token
//     carries (draft section 13.6), or spans two rules.
//   - PARAMETER_MISSING: required keys of request_details are absent. There is one
//     error for each, joined; Field is "request_details." and the key.
//
// The cost does not depend on the number of rules for other requesters.
func (p *Policy) Decide(r Request) (Grant, error) {
	candidates := p.candidates(r)
	if len(candidates) == 0 {
		return Grant{}, trat.Errorf(trat.ReasonIssuanceDenied, "subject_token_type", "no rule for this requester, subject token type and issuer")
	}
	if !r.Subject.ScopeKnown && !anyGrants(candidates) {
		return Grant{}, scopeUnknown()
	}
	rule := ruleFor(candidates, r.Scope)
	if rule == nil {
		return Grant{}, trat.Errorf(trat.ReasonScopeExceeded, "scope", "no rule of this requester grants the wanted scope as a whole")
	}
	if !r.Subject.ScopeKnown && len(rule.grants) == 0 {
		return Grant{}, scopeUnknown()
	}
	if !rule.carries(r.Subject, r.Scope) {
		return Grant{}, trat.Errorf(trat.ReasonScopeExceeded, "scope", "rule %q: the subject token does not carry the wanted scope", rule.name)
	}
	tctx, err := rule.transactionContext(r.Details)
	if err != nil {
		return Grant{}, err
	}
	rctx, err := rule.requestContext(r.Context)
	if err != nil {
		return Grant{}, err
	}
	return Grant{
		Scope:              r.Scope,
		Lifetime:           rule.lifetime,
		AllowOutlive:       rule.allowOutlive,
		TransactionContext: tctx,
		RequestContext:     rctx,
		Rule:               rule.name,
	}, nil
}

func (p *Policy) candidates(r Request) []*rule {
	var rules []*rule
	for _, rule := range p.rules.match(r.Requester) {
		if rule.takes(r.SubjectTokenType) && rule.trusts(r.Subject.Issuer) {
			rules = append(rules, rule)
		}
	}
	return rules
}

func anyGrants(rules []*rule) bool {
	for _, r := range rules {
		if len(r.grants) > 0 {
			return true
		}
	}
	return false
}

// ruleFor returns the one rule that can grant every token of scope; nil if there
// is none or scope is empty. There are never two: Parse sees to it that no scope
// belongs to two rules for one request.
func ruleFor(rules []*rule, scope trat.Scope) *rule {
	if scope.IsZero() {
		return nil
	}
	for _, r := range rules {
		if r.reaches(scope) {
			return r
		}
	}
	return nil
}

func scopeUnknown() error {
	return trat.Errorf(trat.ReasonSubjectScopeUnknown, "subject_token", "the subject token has no scope of its own and no rule grants one")
}
