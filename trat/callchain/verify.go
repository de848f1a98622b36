package callchain

import (
	"crypto/x509"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
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
	// At is when the chain was received; zero for now. Certificates and times are judged as
	// of then.
	At time.Time
}

// Verifier decides about chains. It is immutable but for its caches, and safe for
// concurrent use.
type Verifier struct {
	bundles x509bundle.Source
	clock   trat.Clock
}

// NewVerifier makes a Verifier.
func NewVerifier(bundles x509bundle.Source, opts ...VerifierOption) (*Verifier, error) {
	return &Verifier{bundles: bundles}, nil
}

// Verify judges the chain of a call.
func (v *Verifier) Verify(r Received) (*Chain, error) { return nil, errUnbuilt }

// VerifyEvidence judges a chain away from its connection.
func (v *Verifier) VerifyEvidence(e Evidence) (*Chain, error) { return nil, errUnbuilt }
