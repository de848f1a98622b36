package policy

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// set is a set of strings.
type set map[string]struct{}

func (s set) has(v string) bool {
	_, ok := s[v]
	return ok
}

// rule is one compiled rule. It is immutable.
type rule struct {
	name      string
	requester requester
	types     []string
	issuers   []string // empty: every issuer the service is configured with
	// scopes maps a scope of a subject token to the scopes of a TraT it carries.
	scopes map[string][]string
	// grants is what a subject token without a scope carries.
	grants set
	// reach is every scope this rule can grant.
	reach set

	copyContext     []string
	addContext      map[string]string
	requiredDetails []string
	optionalDetails []string

	lifetime      time.Duration
	allowOutlive  bool
	impersonation bool

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

// excludes says which key of the rule keeps it from being for requests such as r, and
// how, apart from the requester and the wanted scope; nothing if none does.
func (r *rule) excludes(req Request) (field, text string) {
	switch {
	case !r.takes(req.SubjectTokenType):
		return "subject_tokens", "the subject token has another type"
	case !r.trusts(req.Subject.Issuer):
		return "issuers", "the subject token is of another issuer"
	}
	return "", ""
}

// mismatch is excludes for requester and wanted scope too.
func (r *rule) mismatch(req Request) (field, text string) {
	if r.requester.matches(req.Requester) != nil {
		return "requester", "another workload asks"
	}
	if field, text := r.excludes(req); field != "" {
		return field, text
	}
	return "scopes", "the wanted scope is not within what the rule can grant"
}

// decide is the decision about a request that is this rule's.
func (r *rule) decide(req Request) (Grant, error) {
	if !req.Subject.ScopeKnown && len(r.grants) == 0 {
		return Grant{}, scopeUnknown()
	}
	if !r.carries(req.Subject, req.Scope) {
		return Grant{}, trat.Errorf(trat.ReasonScopeExceeded, "scope", "rule %q: the subject token does not carry the wanted scope", r.name)
	}
	tctx, err := r.transactionContext(req.Details)
	if err != nil {
		return Grant{}, err
	}
	rctx, err := r.requestContext(req.Context)
	if err != nil {
		return Grant{}, err
	}
	return Grant{
		Scope:              req.Scope,
		Lifetime:           r.lifetime,
		AllowOutlive:       r.allowOutlive,
		TransactionContext: tctx,
		RequestContext:     rctx,
		Rule:               r.name,
	}, nil
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

// clashes returns a scope that both rules could grant for one and the same subject
// token type and issuer.
func (r *rule) clashes(other *rule) (scope string, ok bool) {
	if !slices.ContainsFunc(r.types, other.takes) ||
		len(r.issuers) > 0 && len(other.issuers) > 0 && !slices.ContainsFunc(r.issuers, other.trusts) {
		return "", false
	}
	for _, scope := range slices.Sorted(maps.Keys(r.reach)) {
		if other.reach.has(scope) {
			return scope, true
		}
	}
	return "", false
}

// carries says whether this subject token carries all of scope. An empty scope is
// not carried by anything.
func (r *rule) carries(s Subject, scope trat.Scope) bool {
	if scope.IsZero() {
		return false
	}
	authority := r.grants
	if s.ScopeKnown {
		authority = r.mapped(s.Scopes)
	}
	for token := range scope.Tokens() {
		if !authority.has(token) {
			return false
		}
	}
	return true
}

// mapped is the union of what the scopes of a subject token carry.
func (r *rule) mapped(external []string) set {
	authority := make(set, len(r.reach))
	for _, e := range external {
		for _, internal := range r.scopes[e] {
			authority[internal] = struct{}{}
		}
	}
	return authority
}

func (r *rule) transactionContext(details trat.Object) (trat.Object, error) {
	members := make(map[string]any, len(r.requiredDetails)+len(r.optionalDetails))
	copyMembers(members, details, r.requiredDetails)
	var missing []error
	for _, key := range r.requiredDetails {
		if value, ok := details.Raw(key); !ok || value == "null" {
			missing = append(missing, trat.Errorf(trat.ReasonParameterMissing, "request_details."+key, "rule %q requires it", r.name))
		}
	}
	if err := errors.Join(missing...); err != nil {
		return trat.Object{}, err
	}
	copyMembers(members, details, r.optionalDetails)
	return object(members)
}

func (r *rule) requestContext(context trat.Object) (trat.Object, error) {
	members := make(map[string]any, len(r.copyContext)+len(r.addContext))
	copyMembers(members, context, r.copyContext)
	for key, value := range r.addContext {
		members[key] = value
	}
	return object(members)
}

// copyMembers copies the members named keys from src, as they are, so that numbers
// keep every digit.
func copyMembers(dst map[string]any, src trat.Object, keys []string) {
	for _, key := range keys {
		if value, ok := src.Raw(key); ok {
			dst[key] = json.RawMessage(value)
		}
	}
}

func object(members map[string]any) (trat.Object, error) {
	if len(members) == 0 {
		return trat.Object{}, nil
	}
	return trat.NewObject(members)
}

// requester selects workloads: a trust domain and path segments, "*" for any one
// segment.
type requester struct {
	segments []string // the trust domain first
	matches  spiffeid.Matcher
}
