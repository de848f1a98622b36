package callchain

import (
	"context"
	"crypto/x509"
	"errors"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/trat"
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
	// workload that requested Token.
	Parent *Chain
	// Trace is the trace and client span of the call; zero when it has no span.
	Trace Trace
}

// LinkSigner signs links in the name of one workload. *Signer is one. Implementations are
// safe for concurrent use.
type LinkSigner interface {
	// SignLink returns a new link for one attempt of the call. It may wait for others to be
	// signed with it, until ctx is done. Errors are an *trat.Error.
	SignLink(ctx context.Context, d Draft) (*Signed, error)
}

// Signer is the LinkSigner of an X.509-SVID's key.
type Signer struct {
	svids x509svid.Source
	clock trat.Clock
}

var errUnbuilt = errors.New("not built")

// NewSigner makes a Signer.
func NewSigner(svids x509svid.Source, opts ...SignerOption) (*Signer, error) {
	return &Signer{svids: svids}, nil
}

// SignLink implements LinkSigner.
func (s *Signer) SignLink(ctx context.Context, d Draft) (*Signed, error) { return nil, errUnbuilt }

// Signed is a link that was signed, behind the chain that it continues. Immutable.
type Signed struct{ link Link }

// Link returns the link.
func (s *Signed) Link() Link { return s.link }

// Encode returns the value of MetadataKey: with ModePath all links, with ModeHead the last
// one. presented is the leaf certificate that this workload presented when the connection
// was made: only another one is sent along.
func (s *Signed) Encode(mode Mode, presented *x509.Certificate) (string, error) {
	return "", errUnbuilt
}
