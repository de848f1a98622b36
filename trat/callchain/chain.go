package callchain

import (
	"bytes"
	"context"
	"iter"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Chain is a verified chain. It is immutable and safe for concurrent use; any number of
// calls may go on from it. Only a Verifier makes one that holds anything; on a nil Chain
// every method returns zero values.
type Chain struct {
	// signed has the known links, oldest first: all, or the last one alone.
	signed []signedLink
	// verified is how many of them were verified, counted from the last.
	verified int
	// intermediates are those, in DER, that lead from leaves of verified links to the bundle.
	intermediates [][]byte
	// unjudged judges the links that were not verified, if there are any.
	unjudged *unjudged
}

// known reports whether all links back to the root are there, verified or not.
func (c *Chain) known() bool { return c != nil && len(c.signed) > 0 && c.signed[0].depth == 0 }

// Links yields the verified links, oldest first.
func (c *Chain) Links() iter.Seq[Link] {
	return func(yield func(Link) bool) {
		for i := range c.Len() {
			if !yield(Link{c.signed[len(c.signed)-c.verified+i].link}) {
				return
			}
		}
	}
}

// Len is the number of verified links.
func (c *Chain) Len() int {
	if c == nil {
		return 0
	}
	return c.verified
}

// Last is the link of the call that brought the chain; its issuer is the direct caller.
func (c *Chain) Last() Link {
	if c.Len() == 0 {
		return Link{}
	}
	return Link{c.signed[len(c.signed)-1].link}
}

// Complete reports whether the links reach back to the root, all of them verified. In head
// mode they do only when the caller is the root.
func (c *Chain) Complete() bool { return c.known() && c.verified == len(c.signed) }

// Passes reports whether a workload that match accepts signed one of the verified links.
func (c *Chain) Passes(match spiffeid.Matcher) bool {
	for l := range c.Links() {
		if match(l.Issuer()) == nil {
			return true
		}
	}
	return false
}

// Receipt returns the verified links in a form that needs no connection: with callers,
// methods and certificates. See Evidence, and Proof for one of more links. It is "" for a nil
// Chain.
func (c *Chain) Receipt() string {
	if c.Len() == 0 {
		return ""
	}
	return encodeReceipt(c.signed[len(c.signed)-c.verified:], c.intermediates)
}

// Lengths in bytes of what does not vary, as append writes it.
const (
	messageHead  = 3                         // form, number of certificates, number of full links
	linkIdentity = 1 + 6 + 1 + nonceSize     // flags, iat, life, jti
	linkTrace    = 16 + 8                    // tid, sid
	linkProof    = 2 + signatureSize         // shape of the path, signature
	headParent   = 1 + len(Hash{})           // n, prh
	maxPath      = MaxGroupLevels * nodeSize // nodes
	fullNames    = 2 + 2 + 1                 // lengths of iss and rpc, index of the leaf
	shortMost    = linkIdentity + checkSize + linkTrace + maxPath + linkProof
)

// NextLinks is how many links travel with a call that continues c in path form: its own and
// all of c, as far as they are known, or its own alone. On a nil Chain it is 0.
func (c *Chain) NextLinks() int {
	switch {
	case c.Len() == 0:
		return 0
	case !c.known():
		return 1
	}
	return len(c.signed) + 1
}

// NextSize is how long the value of MetadataKey can become for a call that continues c, in
// bytes: with all links of c that are known, and one more, which has the path of the largest
// group and a trace. Not counted is the caller's leaf, which is sent only when its SVID was
// rotated since it connected. On a nil Chain it is 0.
func (c *Chain) NextSize() int {
	if c.Len() == 0 {
		return 0
	}
	if !c.known() {
		return encoding.EncodedLen(messageHead + shortMost + headParent)
	}
	size := messageHead + shortMost
	for i := range c.signed {
		s := &c.signed[i]
		size += linkIdentity + linkTrace + fullNames + len(s.issuer.Path()) + len(s.method) + len(s.path.nodes) + linkProof
		if !slices.ContainsFunc(c.signed[:i], func(earlier signedLink) bool { return bytes.Equal(earlier.leaf, s.leaf) }) {
			size += 2 + len(s.leaf)
		}
	}
	intermediates := c.sentIntermediates()
	for i, der := range intermediates {
		if !slices.ContainsFunc(intermediates[:i], func(earlier []byte) bool { return bytes.Equal(earlier, der) }) {
			size += 2 + len(der)
		}
	}
	return encoding.EncodedLen(size)
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
