package rules

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// anyTrustDomain stands for the called service's own, where that is not known.
var anyTrustDomain = spiffeid.RequireTrustDomainFromString("own")

// workload reports why a text describes no workloads.
func workload(text string) error {
	_, err := parseWorkload(text, anyTrustDomain)
	return err
}

// parseWorkload reads a SPIFFE ID or the path of one in own, with "*" for whole segments.
func parseWorkload(text string, own spiffeid.TrustDomain) (spiffecreds.Pattern, error) {
	switch {
	case strings.HasPrefix(text, "/") && own.IsZero():
		return spiffecreds.Pattern{}, errors.New("a path is of the service's trust domain, which is not known")
	case strings.HasPrefix(text, "/"):
		text = own.IDString() + text
	case !strings.HasPrefix(text, "spiffe://"):
		return spiffecreds.Pattern{}, errors.New("want a SPIFFE ID, or a path that begins with a slash")
	}
	if halfWildcard(text) {
		return spiffecreds.Pattern{}, errors.New(`"*" is a whole segment only, which stands for any one: /*, not /a*`)
	}
	pattern, err := spiffecreds.ParsePattern(text)
	if err != nil {
		return spiffecreds.Pattern{}, errors.Unwrap(err)
	}
	return pattern, nil
}

// halfWildcard reports whether a segment of the path in a SPIFFE ID has "*" and more.
func halfWildcard(id string) bool {
	_, path, _ := strings.Cut(strings.TrimPrefix(id, "spiffe://"), "/")
	for segment := range strings.SplitSeq(path, "/") {
		if segment != spiffecreds.AnySegment && strings.Contains(segment, spiffecreds.AnySegment) {
			return true
		}
	}
	return false
}

// parseWorkloads reads a list of them.
func parseWorkloads(list []string, own spiffeid.TrustDomain) ([]spiffecreds.Pattern, error) {
	patterns := make([]spiffecreds.Pattern, len(list))
	for i, text := range list {
		pattern, err := parseWorkload(text, own)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", syntax.Shown(text), err)
		}
		patterns[i] = pattern
	}
	return patterns, nil
}

// covers reports whether every workload that the text other describes is one that the text
// wide describes.
func covers(wide, other string, own spiffeid.TrustDomain) bool {
	if own.IsZero() {
		if strings.HasPrefix(wide, "/") != strings.HasPrefix(other, "/") {
			return false // it depends on a trust domain that is not known
		}
		own = anyTrustDomain
	}
	w, err := parseWorkload(wide, own)
	if err != nil {
		return false
	}
	o, err := parseWorkload(other, own)
	if err != nil {
		return false
	}
	wideSegments, segments := w.Segments(), o.Segments()
	if len(wideSegments) != len(segments) {
		return false
	}
	for i, segment := range wideSegments {
		if segment != segments[i] && segment != spiffecreds.AnySegment {
			return false
		}
	}
	return true
}
