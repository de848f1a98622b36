package spiffecreds

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/internal/svidleaf"
)

// What a handshake can have against the other end. Each is found with errors.Is in
// the PeerError that the handshake returns.
var (
	// ErrNoCertificate: the peer presented no certificate.
	ErrNoCertificate = errors.New("no certificate")
	// ErrURISAN: not exactly one URI SAN (X509-SVID section 2).
	ErrURISAN = svidleaf.ErrURISAN
	// ErrSPIFFEID: the URI SAN is not a well-formed SPIFFE ID.
	ErrSPIFFEID = svidleaf.ErrSPIFFEID
	// ErrRootPath: the SPIFFE ID names a trust domain, not a workload (X509-SVID
	// section 5.2).
	ErrRootPath = svidleaf.ErrRootPath
	// ErrCA: the leaf certificate may sign others (X509-SVID section 5.2).
	ErrCA = svidleaf.ErrCA
	// ErrKeyUsage: keyCertSign or cRLSign is set on the leaf, or digitalSignature is not
	// (X509-SVID sections 4.3 and 5.2).
	ErrKeyUsage = svidleaf.ErrKeyUsage
	// ErrChain: no valid chain from the leaf to the bundle of the leaf's own trust
	// domain at this time, or there is no such bundle.
	ErrChain = errors.New("certificate does not chain to the bundle of its trust domain")
	// ErrNotAuthorized: a valid SVID, but not of a workload that is wanted here.
	ErrNotAuthorized = errors.New("peer is not authorized")
	// ErrResumed: the TLS session was resumed, so its peer was not verified now.
	ErrResumed = errors.New("TLS session was resumed")
	// ErrProtocol: the peer did not agree by ALPN to the protocol of this connection, "h2"
	// or that of WithHTTP1.
	ErrProtocol = errors.New("the protocol was not negotiated by ALPN")
)

// PeerError is why a handshake refused the other end. On a server it stays in the
// process (the peer gets a TLS alert); on a client gRPC puts its text into the status of
// the calls that fail.
type PeerError struct {
	// ID is the SPIFFE ID that the peer's certificate claims, not necessarily rightly;
	// zero when it claims none.
	ID spiffeid.ID
	// Check is one of the errors above.
	Check error
	// Err is the cause, if Check does not say it all.
	Err error
}

// Error joins the claimed ID, the check and the cause.
func (e *PeerError) Error() string {
	s := "spiffecreds: peer"
	if !e.ID.IsZero() {
		s += " " + e.ID.String()
	}
	s += ": " + e.Check.Error()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap makes errors.Is find both the check and the cause.
func (e *PeerError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Check}
	}
	return []error{e.Check, e.Err}
}

// verifier decides about the other end of a connection.
type verifier struct {
	protocol  string
	bundles   x509bundle.Source
	authorize spiffeid.Matcher
	now       func() time.Time
}

// connection is for tls.Config.VerifyConnection, which runs before a byte of the
// application is sent or read: on a client even before its own certificate is sent.
func (v verifier) connection(state tls.ConnectionState) (Peer, error) {
	switch {
	case state.DidResume:
		return Peer{}, &PeerError{Check: ErrResumed}
	case state.NegotiatedProtocol == "" || state.NegotiatedProtocol != v.protocol:
		return Peer{}, &PeerError{Check: ErrProtocol}
	}
	return v.certificates(state.PeerCertificates)
}

// certificates checks the shape of the leaf, then the chain, then whether the peer is
// wanted: cheap before dear, and no signature is looked at for a misshapen leaf.
func (v verifier) certificates(chain []*x509.Certificate) (Peer, error) {
	if len(chain) == 0 {
		return Peer{}, &PeerError{Check: ErrNoCertificate}
	}
	leaf := chain[0]
	id, check, cause := svidleaf.Check(leaf)
	if check != nil {
		return Peer{}, &PeerError{ID: id, Check: check, Err: cause}
	}
	intermediates, err := v.intermediates(id.TrustDomain(), chain[1:])
	if err != nil {
		return Peer{}, &PeerError{ID: id, Check: ErrChain, Err: err}
	}
	// Verify asks the source for the bundle of the leaf's own trust domain only, so a
	// federated authority cannot vouch for IDs of another trust domain.
	trusted := append([]*x509.Certificate{leaf}, intermediates...)
	if _, _, err := x509svid.Verify(trusted, v.bundles, x509svid.WithTime(v.now())); err != nil {
		return Peer{}, &PeerError{ID: id, Check: ErrChain, Err: err}
	}
	if err := v.authorize(id); err != nil {
		return Peer{}, &PeerError{ID: id, Check: ErrNotAuthorized, Err: err}
	}
	return Peer{ID: id, Leaf: leaf, Intermediates: intermediates}, nil
}

// maxIntermediates is how many certificates a peer may send behind its leaf. SPIRE's nested
// deployments need one for each level.
const maxIntermediates = 6

// intermediates returns those of sent that lead to the bundle of td. Verifying is work
// that somebody without an SVID can ask for, so its amount and keys are not theirs to choose.
func (v verifier) intermediates(td spiffeid.TrustDomain, sent []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(sent) == 0 {
		return nil, nil
	}
	if len(sent) > maxIntermediates {
		return nil, fmt.Errorf("%d intermediates, at most %d", len(sent), maxIntermediates)
	}
	bundle, err := v.bundles.GetX509BundleForTrustDomain(td)
	if err != nil {
		return nil, err
	}
	return svidleaf.Intermediates(bundle.X509Authorities(), sent), nil
}
