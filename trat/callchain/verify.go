package callchain

import (
	"crypto/x509"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	defaultCacheSize = 4096
	maxCacheSize     = 1 << 20
)

// Peer is the workload at the other end of the mTLS connection, with the certificates that
// it presented there.
type Peer struct {
	ID            spiffeid.ID
	Leaf          *x509.Certificate
	Intermediates []*x509.Certificate
}

// Received is what the callee knows of a call that has arrived.
type Received struct {
	// Encoded is the value of MetadataKey; "" when there was none.
	Encoded string
	// Audience is this workload itself.
	Audience spiffeid.ID
	// Method is the full method, "/pkg.Service/Method".
	Method string
	// Token is the verified TraT of the call.
	Token *trat.Token
	// Peer is who called.
	Peer Peer
	// Mode is what the method requires: ModePath or ModeHead.
	Mode Mode
}

// Verifier decides about chains. It is immutable but for its caches, and safe for
// concurrent use.
type Verifier struct {
	bundles   x509bundle.Source
	clock     trat.Clock
	leeway    time.Duration
	cacheSize int

	mu     sync.Mutex // of those who replace trusts
	trusts atomic.Pointer[map[spiffeid.TrustDomain]*trust]
}

// NewVerifier returns a Verifier of links whose leaves chain to the bundle of their
// audience's trust domain in bundles, which is required. It reports every problem at once;
// each is an *trat.Error with PARAMETER_INVALID whose Field is the name of the parameter or
// option.
func NewVerifier(bundles x509bundle.Source, opts ...VerifierOption) (*Verifier, error) {
	v := &Verifier{bundles: bundles, clock: time.Now, leeway: trat.DefaultLeeway, cacheSize: defaultCacheSize}
	errs := []error{checkConfig("bundles", bundles == nil, errAbsent)}
	for _, o := range opts {
		if o == nil {
			errs = append(errs, checkConfig("opts", true, errAbsent))
			continue
		}
		errs = append(errs, o.applyVerifier(v))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return v, nil
}

// Verify judges the chain of a call. It looks neither at path rules nor at whether a link
// has come before. Errors are an *trat.Error, with a link's claim or what else is at fault
// as Field; the checks run in this order, the cheap ones first:
//
//   - CHAIN_MISSING: no chain
//   - CHAIN_LINK_INVALID: size, base64url, form (Field "txn-chain"), or a claim that none can
//     be; CHAIN_TOO_DEEP: more than MaxLinks, or a depth of more than MaxDepth ("n")
//   - CHAIN_MISSING: only the last link, where ModePath wants all ("txn-chain")
//   - CHAIN_LINK_INVALID: the last link is of another "aud", "rpc" or token ("tth");
//     CHAIN_PEER_MISMATCH: it is not of the peer ("iss")
//   - CHAIN_ROOT_MISMATCH: the root has an anchor and the token no chn, or the other way
//     round ("ckp")
//   - CHAIN_LINK_INVALID: the last link comes at or past "exp" plus leeway; an "iat" before
//     the token's or the parent's, or in the future, each with leeway
//   - CHAIN_ROOT_MISMATCH: the root is not of the token's req_wl ("iss")
//   - KEYS_UNAVAILABLE: no bundle of Audience's trust domain ("bundle")
//   - CHAIN_LINK_INVALID: a "certificate" that is missing, misshapen, not of the link's
//     issuer, of another trust domain, with another key than one on P-256, or without a path
//     to the present bundle that is valid at iat; for the last link: that is valid now
//   - CHAIN_LINK_INVALID: a "signature"
//   - INTERNAL: r is incomplete
//
// In ModeHead the last link alone is judged, and of a chain in path form the earlier ones
// are kept as they are, for a callee that wants them: this link's signature covers them.
// They are judged before they go on.
func (v *Verifier) Verify(r Received) (*Chain, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.Encoded == "" {
		return nil, trat.Errorf(trat.ReasonChainMissing, "", "")
	}
	m, err := decode(r.Encoded, MaxEncodedSize, false)
	if err != nil {
		return nil, err
	}
	if m.form == formHead && r.Mode == ModePath {
		return nil, trat.Errorf(trat.ReasonChainMissing, MetadataKey, "ancestors are missing")
	}
	h := holding{
		audience:  r.Audience,
		tokenHash: r.Token.Digest(),
		root:      r.Token.RequestingWorkload(),
		anchor:    r.Token.CallChainHash(),
		earliest:  r.Token.IssuedAt().Add(-v.leeway),
		leeway:    v.leeway,
		now:       v.clock(),
	}
	if err := m.short.checkCall(&r, &h); err != nil {
		return nil, err
	}
	links, err := m.links(&h, lastLink{issuer: r.Peer.ID, method: r.Method, leaf: r.Peer.Leaf.Raw})
	if err != nil {
		return nil, err
	}
	certificates := conveyed{
		intermediates: m.intermediates, peer: r.Peer.Leaf, peerIntermediates: r.Peer.Intermediates,
	}
	c := &Chain{signed: links, verified: len(links)}
	if r.Mode == ModeHead && len(links) > 1 {
		c.verified, c.unjudged = 1, &unjudged{verifier: v, holding: h, certificates: certificates}
	}
	return v.judge(c, &h, &certificates, 0)
}

// check reports what a guard has forgotten.
func (r *Received) check() error {
	for _, c := range [...]struct {
		bad  bool
		name string
	}{
		{r.Mode != ModePath && r.Mode != ModeHead, "Mode"},
		{r.Audience.IsZero(), "Audience"},
		{!validMethod(r.Method), "Method"},
		{r.Token == nil || r.Token.IssuedAt().IsZero(), "Token"},
		{r.Peer.ID.IsZero() || r.Peer.Leaf == nil, "Peer"},
	} {
		if c.bad {
			return trat.Errorf(trat.ReasonInternal, c.name, "not given, or not usable")
		}
	}
	return nil
}
