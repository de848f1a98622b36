package spiffecreds

import (
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// MatchPattern returns a matcher for the SPIFFE IDs that a Pattern of this text
// describes.
func MatchPattern(pattern string) (spiffeid.Matcher, error) {
	p, err := ParsePattern(pattern)
	if err != nil {
		return nil, err
	}
	return func(id spiffeid.ID) error {
		if !p.Match(id) {
			return fmt.Errorf("unexpected ID %q", id)
		}
		return nil
	}, nil
}
