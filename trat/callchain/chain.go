package callchain

import (
	"context"
	"crypto/x509"
	"iter"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Chain is a verified chain. It is immutable and safe for concurrent use; any number of
// calls may go on from it. Only a Verifier makes one that holds anything; on a nil Chain
// every method returns zero values.
type Chain struct {
	links []Link // oldest first; in head mode those before the last are absent
	// complete says that links reach back to the root and that all of them were verified.
	complete      bool
	intermediates []*x509.Certificate
}

// Links yields the verified links, oldest first.
func (c *Chain) Links() iter.Seq[Link] {
	if c == nil {
		return func(func(Link) bool) {}
	}
	return slices.Values(c.links)
}

// Len is the number of verified links.
func (c *Chain) Len() int {
	if c == nil {
		return 0
	}
	return len(c.links)
}

// Last is the link of the call that brought the chain; its issuer is the direct caller.
func (c *Chain) Last() Link {
	if c.Len() == 0 {
		return Link{}
	}
	return c.links[len(c.links)-1]
}

// Complete reports whether the links reach back to the root, all of them verified. In head
// mode they do only when the caller is the root.
func (c *Chain) Complete() bool { return c != nil && c.complete }

// Passes reports whether a workload that match accepts signed one of the verified links.
func (c *Chain) Passes(match spiffeid.Matcher) bool {
	for l := range c.Links() {
		if match(l.Issuer()) == nil {
			return true
		}
	}
	return false
}

type contextKey struct{}

// NewContext returns a context that carries c. Guards call it after verification.
func NewContext(ctx context.Context, c *Chain) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the verified chain of the call being handled, if it has one.
func FromContext(ctx context.Context) (*Chain, bool) {
	c, _ := ctx.Value(contextKey{}).(*Chain)
	return c, c.Len() > 0
}
