package callchain

import (
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Evidence is a chain away from the connection that brought it: with a replacement at the
// token service, or in an audit record.
type Evidence struct {
	// Encoded is what Chain.Receipt has returned.
	Encoded string
	// Audience is the workload that received the chain.
	Audience spiffeid.ID
	// TokenHash is the SHA-256 of the TraT that came with it.
	TokenHash [32]byte
	// Root is the TraT's req_wl, Anchor its chn, IssuedAt its iat.
	Root     string
	Anchor   Hash
	IssuedAt time.Time
	// At is when the chain was received: exp and the last certificate are judged as of then.
	// It is required, unless AtUnknown says that it was some time up to now. Then neither is
	// judged: that the chain arrived in time was the receiver's to see, and the TraT bounds
	// how old it can be.
	At        time.Time
	AtUnknown bool
}

// VerifyEvidence judges a chain away from its connection, as Verify does with ModePath, with
// the same reasons. The receipt of a chain of which only the last link is known is judged
// by that link, and the Chain is not Complete. Root, and who may show such evidence, is for
// the caller to know from elsewhere.
func (v *Verifier) VerifyEvidence(e Evidence) (*Chain, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	if e.Encoded == "" {
		return nil, trat.Errorf(trat.ReasonChainMissing, "", "")
	}
	m, err := decode(e.Encoded, MaxReceiptSize, true)
	if err != nil {
		return nil, err
	}
	h := holding{
		audience:  e.Audience,
		tokenHash: e.TokenHash,
		root:      e.Root,
		anchor:    e.Anchor,
		earliest:  e.IssuedAt.Add(-v.leeway),
		leeway:    v.leeway,
		now:       e.At,
	}
	if e.AtUnknown {
		h.now, h.arrivalUnknown = v.clock(), true
	}
	links, err := m.links(&h, lastLink{})
	if err != nil {
		return nil, err
	}
	return v.judge(&Chain{signed: links, verified: len(links)}, &h, &conveyed{intermediates: m.intermediates}, 0)
}

// check reports what the caller has forgotten, or said twice.
func (e *Evidence) check() error {
	for _, c := range [...]struct {
		bad  bool
		name string
	}{
		{e.Audience.IsZero(), "Audience"},
		{e.TokenHash == [32]byte{}, "TokenHash"},
		{e.Root == "", "Root"},
		{e.IssuedAt.IsZero(), "IssuedAt"},
		{e.At.IsZero() != e.AtUnknown, "At"},
	} {
		if c.bad {
			return trat.Errorf(trat.ReasonInternal, c.name, "not given, or given twice")
		}
	}
	return nil
}
