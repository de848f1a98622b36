package subject

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// anySegment in a pattern stands for exactly one path segment of any text.
const anySegment = "*"

// pattern describes workloads: the segments of a SPIFFE ID, scheme and trust domain
// among them, some of which may be anySegment. It says not only whether an ID is
// meant, but also whether two patterns can mean one ID.
type pattern []string

func parsePattern(text string) (pattern, error) {
	segments := strings.Split(text, "/")
	named := make([]string, len(segments))
	for i, s := range segments {
		// The first three are scheme, nothing and trust domain, which have no wildcard.
		if named[i] = s; s == anySegment && i > 2 {
			named[i] = "any"
		}
	}
	id, err := spiffeid.FromString(strings.Join(named, "/"))
	switch {
	case err != nil:
		return nil, errors.New("is not a SPIFFE ID with segments * in its path")
	case id.Path() == "":
		return nil, errors.New("has no path")
	}
	return segments, nil
}

// meets says whether there is an ID that both patterns mean. An ID is a pattern of
// itself: no segment of one is anySegment.
func (p pattern) meets(other pattern) bool {
	if len(p) != len(other) {
		return false
	}
	for i, segment := range p {
		if segment != other[i] && segment != anySegment && other[i] != anySegment {
			return false
		}
	}
	return true
}

// route sends the opaque tokens of some workloads to one issuer.
type route struct {
	requesters []pattern // none: all workloads
	to         *introspector
}

func (r route) serves(requester spiffeid.ID) bool {
	if len(r.requesters) == 0 {
		return true
	}
	id := pattern(strings.Split(requester.String(), "/"))
	for _, p := range r.requesters {
		if p.meets(id) {
			return true
		}
	}
	return false
}

// parsePatterns returns the patterns of texts that are such.
func parsePatterns(texts []string) []pattern {
	var patterns []pattern
	for _, text := range texts {
		if p, err := parsePattern(text); err == nil {
			patterns = append(patterns, p)
		}
	}
	return patterns
}

// checkRoutes calls bad for each issuer with opaque tokens that could be those of
// another one before it.
func checkRoutes(issuers []IssuerConfig, bad func(index int, field string, err error)) {
	var routed []int
	for i, issuer := range issuers {
		if issuer.opaque() {
			routed = append(routed, i)
		}
	}
	if len(routed) < 2 {
		return
	}
	for n, i := range routed {
		if len(issuers[i].Introspection.Requesters) == 0 {
			bad(i, "Introspection.Requesters", errors.New("are required where several issuers have opaque tokens"))
		}
		for _, j := range routed[:n] {
			if a, b, ok := ambiguous(issuers[i].Introspection.Requesters, issuers[j].Introspection.Requesters); ok {
				bad(i, "Introspection.Requesters", fmt.Errorf("%q and %q of issuer %q can be the same workload", a, b, issuers[j].Issuer))
			}
		}
	}
}

// ambiguous returns a pattern of each list that can mean the same workload.
func ambiguous(one, other []string) (a, b string, ok bool) {
	for _, a := range one {
		for _, b := range other {
			p, errA := parsePattern(a)
			q, errB := parsePattern(b)
			if errA == nil && errB == nil && p.meets(q) {
				return a, b, true
			}
		}
	}
	return "", "", false
}
