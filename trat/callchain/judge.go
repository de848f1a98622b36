package callchain

import (
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// holding is what the links of a chain are held to: the token, the callee, the time.
type holding struct {
	audience  spiffeid.ID
	tokenHash [32]byte
	root      string // req_wl
	anchor    Hash   // chn
	earliest  time.Time
	leeway    time.Duration
	// now is when the chain arrived.
	now time.Time
	// arrivalUnknown: now is not when the chain arrived, but later.
	arrivalUnknown bool
}

// lastLink is what the callee knows of the last link. In a receipt nothing is left out.
type lastLink struct {
	issuer spiffeid.ID
	method string
	leaf   []byte
}

// judge is what Verify and VerifyEvidence have in common: the checks from times on. The
// signatures of as many of the last links as known says were verified before.
func (v *Verifier) judge(c *Chain, h *holding, certificates *conveyed, known int) (*Chain, error) {
	links := c.signed[len(c.signed)-c.verified:]
	if err := h.checkTimes(links); err != nil {
		return nil, err
	}
	if root := &links[0]; root.depth == 0 && root.issuer.String() != h.root {
		return nil, trat.Errorf(trat.ReasonChainRootMismatch, FieldIssuer, "")
	}
	t, err := v.trust(h.audience.TrustDomain())
	if err != nil {
		return nil, err
	}
	for i := range links {
		path, err := t.path(&links[i], certificates, links[i].issuedAt)
		if err == nil && i == len(links)-1 && !h.arrivalUnknown && h.now.After(links[i].issuedAt) {
			path, err = t.path(&links[i], certificates, h.now)
		}
		if err != nil {
			return nil, &trat.Error{Reason: trat.ReasonChainLinkInvalid, Field: FieldCertificate, Err: err}
		}
		links[i].link.leaf = path.leaf
		links[i].leaf = path.leaf.Raw
		if len(path.intermediates) > 0 {
			c.intermediates = append(slices.Clip(c.intermediates), path.intermediates...)
		}
	}
	// From the last one back: what its sender has made up is found first.
	for i := len(links) - 1 - known; i >= 0; i-- {
		if !t.verifySignature(&links[i], i == len(links)-1) {
			return nil, trat.Errorf(trat.ReasonChainLinkInvalid, FieldSignature, "")
		}
	}
	return c, nil
}

// checkTimes checks exp of the last link, then iat of all.
func (h *holding) checkTimes(links []signedLink) error {
	last := &links[len(links)-1]
	if exp := last.issuedAt.Add(last.lifetime); !h.arrivalUnknown && !h.now.Add(-h.leeway).Before(exp) {
		return invalid(FieldExpiry, "")
	}
	latest := h.now.Add(h.leeway)
	for i := range links {
		iat := links[i].issuedAt
		if iat.Before(h.earliest) || iat.After(latest) ||
			i > 0 && iat.Before(links[i-1].issuedAt.Add(-h.leeway)) {
			return invalid(FieldIssuedAt, "")
		}
	}
	return nil
}

// checkCall tells a link that was made for another call from a bad one, by a few bytes of
// hashes: without them all that could be said is that the signature is wrong.
func (l *wireLink) checkCall(r *Received, h *holding) error {
	want := checkOf(&link{audience: r.Audience, method: r.Method, tokenHash: h.tokenHash, issuer: r.Peer.ID})
	for i, field := range [...]string{FieldAudience, FieldMethod, FieldToken, FieldIssuer} {
		if l.check[2*i] == want[2*i] && l.check[2*i+1] == want[2*i+1] {
			continue
		}
		if field == FieldIssuer {
			return trat.Errorf(trat.ReasonChainPeerMismatch, field, "")
		}
		return invalid(field, "")
	}
	return nil
}
