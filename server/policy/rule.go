package policy

import (
	"slices"
	"time"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// set is a set of strings.
type set map[string]struct{}

func newSet(values []string) set {
	s := make(set, len(values))
	for _, v := range values {
		s[v] = struct{}{}
	}
	return s
}

func (s set) has(v string) bool {
	_, ok := s[v]
	return ok
}

func (s set) meets(other set) bool {
	for v := range s {
		if other.has(v) {
			return true
		}
	}
	return false
}

// rule is one compiled rule. It is immutable.
type rule struct {
	name string

	// What the rule is for: it is selected by this and reach.
	requester spiffecreds.Pattern // zero: it could not be read, which has been said
	types     []string
	issuers   []string // empty: every issuer the service is configured with
	claims    []claimSelector

	// scopes maps a scope of a subject token to the scopes of a TraT it carries.
	scopes map[string][]string
	// grants is what a subject token without a scope carries.
	grants set
	// reach is every scope this rule can grant.
	reach  set
	narrow bool

	when       *expr.Program // nil: always
	tctx, rctx []construction

	lifetime      time.Duration
	allowOutlive  bool
	impersonation bool
	evaluation    *Evaluation
	replacement   *replacement

	line int // where the rule stands, for problems
}

func (r *rule) takes(subjectTokenType string) bool {
	if subjectTokenType == trat.TokenTypeUnsignedJSON && !r.impersonation {
		return false
	}
	return slices.Contains(r.types, subjectTokenType)
}

func (r *rule) trusts(issuer string) bool {
	return len(r.issuers) == 0 || slices.Contains(r.issuers, issuer)
}

// excludes says which key of the rule keeps it from being for requests such as d, and
// how, apart from the requester and the wanted scope; nothing if none does.
func (r *rule) excludes(d *decision) (field, text string) {
	switch {
	case !r.takes(d.request.SubjectTokenType):
		return "subject_tokens", "the subject token has another type"
	case !r.trusts(d.request.Subject.Issuer):
		return "issuers", "the subject token is of another issuer"
	}
	for _, c := range r.claims {
		if text := c.excludes(d.claims); text != "" {
			return "claims." + c.name, text
		}
	}
	return "", ""
}

// reaches says whether the rule can grant all of scope to some subject token.
func (r *rule) reaches(scope trat.Scope) bool {
	for token := range scope.Tokens() {
		if !r.reach.has(token) {
			return false
		}
	}
	return true
}

// touches says whether the rule can grant a part of scope.
func (r *rule) touches(scope trat.Scope) bool {
	for token := range scope.Tokens() {
		if r.reach.has(token) {
			return true
		}
	}
	return false
}

// authority is what this subject token carries by this rule.
func (r *rule) authority(req Request) set {
	switch {
	case r.replacement != nil:
		authority := make(set, len(r.reach))
		for token := range req.Transaction.Scope.Tokens() {
			if r.reach.has(token) {
				authority[token] = struct{}{}
			}
		}
		return authority
	case !req.Subject.ScopeKnown:
		return r.grants
	}
	authority := make(set, len(r.reach))
	for _, external := range req.Subject.Scopes {
		for _, internal := range r.scopes[external] {
			authority[internal] = struct{}{}
		}
	}
	return authority
}
