package spiffecreds

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// AnySegment is the segment of a Pattern that stands for exactly one path segment of any
// text. It cannot be a segment of a SPIFFE ID.
const AnySegment = "*"

// Pattern describes workloads: a SPIFFE ID with a path, in which a segment "*" stands for
// exactly one segment of any text.
//
//	spiffe://shop.test/gateway      that workload only
//	spiffe://shop.test/ns/*/orders  /ns/a/orders, but neither /ns/orders nor /ns/a/b/orders
//
// IDs are compared as parsed: the trust domain first, then segment by segment. So
// /ns/pay never matches /ns/payments, and another trust domain never matches
// anything. The zero Pattern matches nothing. Patterns are immutable and comparable.
type Pattern struct {
	td   spiffeid.TrustDomain
	path string // begins with a slash; "" in the zero Pattern only
}

// ParsePattern reads a pattern. The trust domain has no wildcard, and "*" within a
// segment is an error, as is whatever cannot be part of a SPIFFE ID.
func ParsePattern(text string) (Pattern, error) {
	p, err := parsePattern(text)
	if err != nil {
		return Pattern{}, fmt.Errorf("spiffecreds: pattern %q: %w", text, err)
	}
	return p, nil
}

func parsePattern(text string) (Pattern, error) {
	if !strings.Contains(text, AnySegment) {
		id, err := spiffeid.FromString(text)
		switch {
		case err != nil:
			return Pattern{}, err
		case id.Path() == "":
			return Pattern{}, errors.New("it has no path")
		}
		return Pattern{td: id.TrustDomain(), path: id.Path()}, nil
	}
	rest, ok := strings.CutPrefix(text, "spiffe://")
	if !ok {
		return Pattern{}, errors.New("it does not begin with spiffe://")
	}
	domain, path, _ := strings.Cut(rest, "/")
	td, err := spiffeid.TrustDomainFromString(domain)
	if err != nil {
		return Pattern{}, err
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == AnySegment {
			continue
		}
		if err := spiffeid.ValidatePathSegment(segment); err != nil {
			return Pattern{}, err
		}
	}
	return Pattern{td: td, path: "/" + path}, nil
}

// Match says whether p describes id. It does not allocate.
func (p Pattern) Match(id spiffeid.ID) bool {
	return !p.IsZero() && id.MemberOf(p.td) && pathsMeet(p.path, id.Path())
}

// Overlaps says whether there is an ID that both patterns describe.
func (p Pattern) Overlaps(other Pattern) bool {
	return !p.IsZero() && p.td == other.td && pathsMeet(p.path, other.path)
}

// IsZero says whether p is the zero Pattern, which no text is.
func (p Pattern) IsZero() bool { return p.path == "" }

// TrustDomain returns the trust domain that every workload of p is in.
func (p Pattern) TrustDomain() spiffeid.TrustDomain { return p.td }

// Segments returns the name of the trust domain and the path segments, of which some may
// be AnySegment; nothing for the zero Pattern.
func (p Pattern) Segments() []string {
	if p.IsZero() {
		return nil
	}
	return strings.Split(p.td.Name()+p.path, "/")
}

// String returns the pattern as text that ParsePattern reads; "" for the zero Pattern.
func (p Pattern) String() string {
	if p.IsZero() {
		return ""
	}
	return p.td.IDString() + p.path
}

// pathsMeet walks two paths and says whether one ID's path can be both. The path of an
// ID has no wildcard and stands for itself.
func pathsMeet(one, other string) bool {
	one, ok := strings.CutPrefix(one, "/")
	other, ok2 := strings.CutPrefix(other, "/")
	if !ok || !ok2 {
		return false
	}
	for {
		a, restA, moreA := strings.Cut(one, "/")
		b, restB, moreB := strings.Cut(other, "/")
		if a != b && a != AnySegment && b != AnySegment || moreA != moreB {
			return false
		}
		if !moreA {
			return true
		}
		one, other = restA, restB
	}
}
