package callchain

import (
	"bytes"
	"slices"
)

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
