package spiffecreds

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// MatchPattern returns a matcher for the SPIFFE IDs that pattern describes: a SPIFFE
// ID with a path, in which a segment "*" stands for exactly one segment of any text.
//
//	spiffe://shop.test/gateway      that workload only
//	spiffe://shop.test/ns/*/orders  /ns/a/orders, but neither /ns/orders nor /ns/a/b/orders
//
// IDs are compared as parsed: the trust domain first, then segment by segment. So
// /ns/pay never matches /ns/payments, and another trust domain never matches
// anything. The trust domain has no wildcard, and "*" within a segment is an
// error, as is whatever cannot be part of a SPIFFE ID.
func MatchPattern(pattern string) (spiffeid.Matcher, error) {
	if !strings.Contains(pattern, "*") {
		id, err := spiffeid.FromString(pattern)
		switch {
		case err != nil:
			return nil, patternError(pattern, err)
		case id.Path() == "":
			return nil, patternError(pattern, errors.New("it has no path"))
		}
		return spiffeid.MatchID(id), nil
	}
	rest, ok := strings.CutPrefix(pattern, "spiffe://")
	if !ok {
		return nil, patternError(pattern, errors.New("it does not begin with spiffe://"))
	}
	domain, path, _ := strings.Cut(rest, "/")
	td, err := spiffeid.TrustDomainFromString(domain)
	if err != nil {
		return nil, patternError(pattern, err)
	}
	segments := strings.Split(path, "/")
	for _, s := range segments {
		if s == anySegment {
			continue
		}
		if err := spiffeid.ValidatePathSegment(s); err != nil {
			return nil, patternError(pattern, err)
		}
	}
	return func(id spiffeid.ID) error {
		if !id.MemberOf(td) || !matchSegments(segments, id.Path()) {
			return fmt.Errorf("unexpected ID %q", id)
		}
		return nil
	}, nil
}

const anySegment = "*"

func patternError(pattern string, err error) error {
	return fmt.Errorf("spiffecreds: pattern %q: %w", pattern, err)
}

// matchSegments walks both without allocating; path is empty or begins with a slash.
func matchSegments(segments []string, path string) bool {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return false
	}
	for i, want := range segments {
		segment, after, more := strings.Cut(rest, "/")
		if want != anySegment && want != segment {
			return false
		}
		if last := i == len(segments)-1; more == last {
			return false
		}
		rest = after
	}
	return true
}
