package spiffecreds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Peer is the workload at the other end of an mTLS connection, as its X.509-SVID
// proved it when the connection was made. It says nothing about the subject of a
// transaction.
type Peer struct {
	// ID is the peer's SPIFFE ID; it has a path.
	ID spiffeid.ID
	// Leaf is the certificate that proved ID. It is shared by all calls of the
	// connection and must not be modified.
	Leaf *x509.Certificate
	// Intermediates are the certificates that the peer sent with it and that lead to its
	// bundle, most often none. They are shared and unmodified like Leaf.
	Intermediates []*x509.Certificate
}

// Expired reports whether the peer's certificate is past its NotAfter. A connection
// outlives the certificate it was made with, so whoever serves calls asks for each
// call. The zero Peer is expired.
func (p Peer) Expired(now time.Time) bool {
	return p.Leaf == nil || now.After(p.Leaf.NotAfter)
}

// PeerFromContext returns the peer that made the call being handled under ctx. It
// reports false when there is none, or when the connection's credentials were not
// made by this package: nobody else's AuthInfo is trusted.
func PeerFromContext(ctx context.Context) (Peer, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Peer{}, false
	}
	return PeerFromAuthInfo(p.AuthInfo)
}

// PeerFromAuthInfo returns the peer of a connection from its AuthInfo, as found in
// credentials.RequestInfo or peer.Peer. It reports false for an AuthInfo that was not
// made by this package.
func PeerFromAuthInfo(info credentials.AuthInfo) (Peer, bool) {
	own, ok := info.(*authInfo)
	if !ok || own == nil {
		return Peer{}, false
	}
	return own.peer, true
}

// OwnLeafFromAuthInfo returns the certificate that this workload itself presented when the
// connection was made. The source may have a newer one meanwhile. It reports false for an
// AuthInfo that was not made by this package.
func OwnLeafFromAuthInfo(info credentials.AuthInfo) (*x509.Certificate, bool) {
	own, ok := info.(*authInfo)
	if !ok || own == nil {
		return nil, false
	}
	return own.ownLeaf, own.ownLeaf != nil
}

// authInfo is unexported and has no constructor outside a handshake, so that holding
// one proves that the handshake took place. It deliberately has no ValidateAuthority:
// a call that overrides :authority fails, because here a name other than the SPIFFE ID
// proves nothing.
type authInfo struct {
	credentials.CommonAuthInfo
	peer        Peer
	ownLeaf     *x509.Certificate
	cipherSuite uint16
}

func newAuthInfo(p Peer, ownLeaf *x509.Certificate, cipherSuite uint16) *authInfo {
	return &authInfo{
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		peer:           p,
		ownLeaf:        ownLeaf,
		cipherSuite:    cipherSuite,
	}
}

// AuthType implements credentials.AuthInfo.
func (*authInfo) AuthType() string { return "spiffe" }

// GetSecurityValue implements credentials.ChannelzSecurityInfo.
func (a *authInfo) GetSecurityValue() credentials.ChannelzSecurityValue {
	return &credentials.TLSChannelzSecurityValue{
		StandardName:      tls.CipherSuiteName(a.cipherSuite),
		RemoteCertificate: a.peer.Leaf.Raw,
	}
}
