package policy

import (
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Policy is a compiled policy file. It is immutable and safe for concurrent use.
// The zero Policy grants nothing.
type Policy struct {
	version string
	rules   index
	all     []*rule  // in the order of the file
	pdps    []string // sorted
}

// Version identifies the policy file: the SHA-256 of its bytes, in hexadecimal.
// It is empty for the zero Policy.
func (p *Policy) Version() string { return p.version }

// PDPs returns the names of the policy decision points that rules ask, sorted, each
// once.
func (p *Policy) PDPs() []string { return slices.Clone(p.pdps) }

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
	grant, _, err := p.decide(r)
	return grant, err
}

// decide is Decide and the rule that decided, if there is one.
func (p *Policy) decide(r Request) (Grant, *rule, error) {
	candidates := p.candidates(r)
	if len(candidates) == 0 {
		return Grant{}, nil, trat.Errorf(trat.ReasonIssuanceDenied, "subject_token_type", "no rule for this requester, subject token type and issuer")
	}
	if !r.Subject.ScopeKnown && !anyGrants(candidates) {
		return Grant{}, nil, scopeUnknown()
	}
	rule := ruleFor(candidates, r.Scope)
	if rule == nil {
		return Grant{}, nil, trat.Errorf(trat.ReasonScopeExceeded, "scope", "no rule of this requester grants the wanted scope as a whole")
	}
	grant, err := rule.decide(r)
	return grant, rule, err
}

func (p *Policy) candidates(r Request) []*rule {
	var rules []*rule
	for _, rule := range p.rules.match(r.Requester) {
		if field, _ := rule.excludes(r); field == "" {
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
