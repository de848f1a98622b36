package policy

import (
	"maps"
	"slices"
)

// compile puts the rules into an index. It finds pairs of rules that could both
// decide one request: some requester, token type, issuer, claims and scope belong to both.
func (r *reader) compile(rules []*rule) index {
	var x index
	for _, a := range rules {
		if a.requester.IsZero() {
			continue // which has been said
		}
		r.Within = a.name
		for b := range x.overlapping(a.requester.Segments()) {
			if r.Full() {
				break // enough has been said
			}
			if scope, ok := a.clashes(b); ok {
				r.AddAt(a.line, "requester", "overlaps rule %q in line %d: both grant %q to the same requester for the same subject token",
					b.name, b.line, scope)
			}
		}
		x.add(a)
	}
	r.Within = ""
	return x
}

// clashes returns a scope that both rules could grant for one and the same subject
// token. Only what is compared here may select a rule.
func (r *rule) clashes(other *rule) (scope string, ok bool) {
	if !slices.ContainsFunc(r.types, other.takes) ||
		len(r.issuers) > 0 && len(other.issuers) > 0 && !slices.ContainsFunc(r.issuers, other.trusts) {
		return "", false
	}
	for _, c := range r.claims {
		if slices.ContainsFunc(other.claims, c.disjoint) {
			return "", false
		}
	}
	for _, scope := range slices.Sorted(maps.Keys(r.reach)) {
		if other.reach.has(scope) {
			return scope, true
		}
	}
	return "", false
}
