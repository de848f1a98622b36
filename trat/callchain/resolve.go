package callchain

import (
	"crypto/sha256"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// links returns the links of the message, with all that did not travel: nothing of them is
// verified but that they fit h's anchor.
func (m *message) links(h *holding, last lastLink) ([]signedLink, error) {
	n := len(m.full)
	if m.form != formReceipt {
		n++
	}
	// CHAIN_ROOT_MISMATCH and not a wrong signature, which is what it would be.
	if root := m.wire(0); root.flags&flagParent == 0 && root.flags&flagAnchor != 0 == h.anchor.IsZero() {
		return nil, trat.Errorf(trat.ReasonChainRootMismatch, FieldAnchor, "")
	}
	links, signed := newLinks(n)
	if err := m.callers(links, h, last); err != nil {
		return nil, err
	}
	for i := range links {
		w, l, s := m.wire(i), &links[i], &signed[i]
		*s = signedLink{link: l, leaf: last.leaf, path: w.path, signature: w.signature}
		if i < len(m.full) || w.flags&flagLeaf != 0 {
			s.leaf = m.leaves[w.leaf]
		}
		l.issuedAt = time.UnixMilli(int64(w.issuedAt)).UTC() //nolint:gosec // 48 bits
		l.lifetime = time.Duration(w.lifetime) * time.Second
		l.id, l.trace = w.id, w.trace
		l.tokenHash, l.leafHash = h.tokenHash, sha256.Sum256(s.leaf)
		switch {
		case i > 0:
			l.depth, l.parent = i, links[i-1].hash
		case w.flags&flagParent != 0:
			l.depth, l.parent = int(w.depth), w.parent
		case w.flags&flagAnchor != 0:
			l.anchor = h.anchor
		}
		l.seal()
	}
	return signed, nil
}

// wire is the link at an index, of all that travelled.
func (m *message) wire(i int) *wireLink {
	if i < len(m.full) {
		return &m.full[i]
	}
	return &m.short
}

// newLinks makes room for n links. That of the usual one is of one piece.
func newLinks(n int) ([]link, []signedLink) {
	if n == 1 {
		one := new(struct {
			link   [1]link
			signed [1]signedLink
		})
		return one.link[:], one.signed[:]
	}
	return make([]link, n), make([]signedLink, n)
}

// callers fills in who calls whom: a link's audience is the next one's issuer.
func (m *message) callers(links []link, h *holding, last lastLink) error {
	domain, audience := h.audience.TrustDomain(), h.audience
	for i := len(links) - 1; i >= 0; i-- {
		l := &links[i]
		if i < len(m.full) {
			id, err := spiffeid.FromPath(domain, m.full[i].issuer)
			if err != nil || len(id.String()) > maxIDSize {
				return invalid(FieldIssuer, "not a SPIFFE ID")
			}
			l.issuer, l.method = id, m.full[i].method
		} else {
			l.issuer, l.method = last.issuer, last.method
		}
		l.audience, audience = audience, l.issuer
	}
	return nil
}
