package policy

import (
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Policy is a compiled policy file. It is immutable and safe for concurrent use.
// The zero Policy grants nothing.
type Policy struct {
	version string
	env     *expr.Env // nil without rules
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

// Decide returns what r may have. Beside an error the Grant grants nothing: it is the zero
// Grant, or has the name of the rule that refused, if one was selected, and nothing else.
// The errors are
//
//   - ISSUANCE_DENIED: no rule for this requester and such a subject token; the rule's
//     condition is not met or cannot be evaluated; a required member cannot be built.
//   - SUBJECT_SCOPE_UNKNOWN: the subject token has no scope of its own and the rule
//     has no grants (draft section 13.14).
//   - SCOPE_EXCEEDED: the wanted scope is empty, is beyond what the subject token
//     carries (draft section 13.6), or spans two rules. If the rule narrows, nothing of
//     it is carried.
//   - PARAMETER_MISSING, PARAMETER_INVALID: members of request_details or
//     request_context that the rule needs are absent, or that the policy declares have
//     another type. There is one error for each, joined; Field is the parameter, a dot
//     and the member.
//   - REPLACEMENT_DENIED: a member of a replaced TraT's context would change.
//   - REPLACEMENT_LIMIT: a limit of count, age or loops is reached.
//   - TOKEN_TOO_LARGE: the context is too large to be one.
//   - INTERNAL: r has no Transaction, though it is for a replacement, or no Pseudonym,
//     though a required member needs one.
//
// The cost does not depend on the number of rules for other requesters.
func (p *Policy) Decide(r Request) (Grant, error) {
	grant, _, err := p.decide(p.newDecision(r))
	return grant, err
}
