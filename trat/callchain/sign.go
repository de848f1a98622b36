package callchain

import (
	"context"
	"crypto/x509"
	"errors"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

var (
	errForeign       = errors.New("not in the trust domain of the TraT")
	errOtherToken    = errors.New("the parent is of another TraT")
	errOtherReceiver = errors.New("the parent was sent to another workload")
	errUnverified    = errors.New("the parent was not verified")
)

// Draft is what the caller knows of a call before its link is signed.
type Draft struct {
	// Audience is the workload at the other end of the connection.
	Audience spiffeid.ID
	// Method is the full method, "/pkg.Service/Method".
	Method string
	// Token is the TraT that goes with the call.
	Token *trat.Token
	// Parent is the chain that was received with the call being handled; nil for the
	// workload that requested Token. Signers do not ask whether it did: callees do.
	Parent *Chain
	// Trace is the trace and client span of the call; zero when it has no span. With one of
	// the two ids alone it counts as zero.
	Trace Trace
}

// LinkSigner signs links in the name of one workload. *Signer is one. Implementations are
// safe for concurrent use.
type LinkSigner interface {
	// SignLink returns a new link for one attempt of the call. It may wait for others to be
	// signed with it, until ctx is done. Errors are an *trat.Error.
	SignLink(ctx context.Context, d Draft) (*Signed, error)
}

// link returns the link without what only the signature decides.
func (d *Draft) link() (*link, error) {
	l := &link{
		audience:  d.Audience,
		method:    d.Method,
		tokenHash: d.Token.Digest(),
	}
	if d.Trace.valid() {
		l.trace = d.Trace
	}
	switch {
	case l.tokenHash == [32]byte{}:
		return nil, &trat.Error{Reason: trat.ReasonInternal, Field: FieldToken, Err: errAbsent}
	case d.Audience.Path() == "" || len(d.Audience.String()) > maxIDSize:
		return nil, &trat.Error{Reason: trat.ReasonInternal, Field: FieldAudience, Err: errRange}
	case d.Audience.TrustDomain().Name() != d.Token.Audience():
		return nil, &trat.Error{Reason: trat.ReasonEgressBlocked, Field: FieldAudience, Err: errForeign}
	case !validMethod(d.Method):
		return nil, &trat.Error{Reason: trat.ReasonInternal, Field: FieldMethod, Err: errRange}
	case d.Parent == nil:
		l.anchor = d.Token.CallChainHash()
		return l, nil
	case d.Parent.Len() == 0:
		return nil, &trat.Error{Reason: trat.ReasonInternal, Field: FieldParent, Err: errUnverified}
	}
	last := d.Parent.Last()
	if last.TokenHash() != l.tokenHash {
		return nil, &trat.Error{Reason: trat.ReasonChainLinkInvalid, Field: FieldParent, Err: errOtherToken}
	}
	if last.Depth() >= MaxDepth {
		return nil, trat.Errorf(trat.ReasonChainTooDeep, FieldDepth, "more than %d links before it", MaxDepth)
	}
	l.parent, l.depth = last.Hash(), last.Depth()+1
	return l, nil
}

// Signed is a link that was signed, behind the chain that it continues. It is immutable
// and safe for concurrent use.
type Signed struct {
	own           signedLink
	group         int // links of the same signature
	parent        *Chain
	intermediates [][]byte
}

// Link returns the link.
func (s *Signed) Link() Link { return Link{s.own.link} }

// GroupSize is how many links share the signature, this one included: 1 when it was signed
// alone.
func (s *Signed) GroupSize() int { return s.group }

// Encode returns the value of MetadataKey: with ModePath all links, with ModeHead the last
// one, which is also all there is to send when not all links before it are known. presented
// is the leaf certificate that this workload presented when the connection was made: only
// another one is sent along. Errors: CHAIN_TOO_DEEP for a path of more than MaxLinks links,
// METADATA_TOO_LARGE beyond MaxEncodedSize, INTERNAL for any other Mode.
func (s *Signed) Encode(mode Mode, presented *x509.Certificate) (string, error) {
	return encodeCall(mode, s.parent, s.own, s.intermediates, presented)
}

const signatureSize = 64

// signedLink is a link with what proves it. It is immutable; copies share everything.
type signedLink struct {
	*link
	// leaf is the signer's certificate in DER.
	leaf []byte
	// path leads from the link to the root of the group that it was signed in.
	path treePath
	// signature is r||s over rootStatement.
	signature [signatureSize]byte
}

// root is the root of the group that the link was signed in.
func (s *signedLink) root() [32]byte { return s.path.root(leafNode(s.hash)) }
