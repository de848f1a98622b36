package spiffecreds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc/credentials"
)

// ALPN protocol IDs (RFC 7301 section 6).
const (
	alpnHTTP2 = "h2"
	alpnHTTP1 = "http/1.1"
)

// NewServer returns the credentials of a gRPC server: it presents the SVID that svids
// has at each handshake, and accepts clients whose SVID verifies against the bundle
// that bundles has for their trust domain and whose ID authorize accepts. What a
// client may call is decided later, per method; authorize says who may connect
// at all, for example spiffeid.MatchMemberOf(trustDomain).
//
// All three are required; the error names every one that is nil. authorize must be
// safe for concurrent use. Handshakes are bounded in time and in number, see
// WithHandshakeTimeout and WithMaxHandshakes.
func NewServer(svids x509svid.Source, bundles x509bundle.Source, authorize spiffeid.Matcher, opts ...CredentialsOption) (credentials.TransportCredentials, error) {
	return newCreds(roleServer, svids, bundles, authorize, opts)
}

// NewClient returns the credentials of a gRPC client: it presents the SVID that svids
// has at each handshake, and goes on only with a server whose SVID verifies against the
// bundle that bundles has for its trust domain and whose ID server accepts. With any
// other it aborts the handshake before it has sent its own certificate. Name the
// server exactly with spiffeid.MatchID wherever it is known.
//
// All three are required; the error names every one that is nil. server must be safe
// for concurrent use.
func NewClient(svids x509svid.Source, bundles x509bundle.Source, server spiffeid.Matcher, opts ...CredentialsOption) (credentials.TransportCredentials, error) {
	return newCreds(roleClient, svids, bundles, server, opts)
}

type role string

const (
	roleServer role = "NewServer"
	roleClient role = "NewClient"
)

// creds implements credentials.TransportCredentials for one role: the matcher says who
// may be at the other end, so what was made for one side must not serve the other.
type creds struct {
	role       role
	svids      x509svid.Source
	verifier   verifier
	config     credentialsConfig
	handshakes *handshakes // of all clones together
	refusals   *refusalLog
	serverName string // set by OverrideServerName only
}

func newCreds(r role, svids x509svid.Source, bundles x509bundle.Source, matcher spiffeid.Matcher, opts []CredentialsOption) (*creds, error) {
	cfg := defaultCredentialsConfig()
	var problems []error
	for _, opt := range opts {
		if opt == nil {
			problems = append(problems, errNilOption)
			continue
		}
		opt.applyCredentials(&cfg)
	}
	if svids == nil {
		problems = append(problems, errors.New("no source of X.509-SVIDs"))
	}
	if bundles == nil {
		problems = append(problems, errors.New("no source of X.509 bundles"))
	}
	if matcher == nil {
		problems = append(problems, errors.New("no matcher for the peer's SPIFFE ID"))
	}
	problems = append(problems, cfg.problems()...)
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("spiffecreds: %s: %w", r, err)
	}
	return &creds{
		role:       r,
		svids:      svids,
		verifier:   verifier{protocol: cfg.protocol, bundles: bundles, authorize: matcher, now: cfg.now},
		config:     cfg,
		handshakes: newHandshakes(cfg.maxHandshakes),
		refusals:   &refusalLog{logger: cfg.logger, now: cfg.now},
	}, nil
}

// ends is who was at the two ends of a connection, as a handshake finds out.
type ends struct {
	peer    Peer
	ownLeaf *x509.Certificate
}

// ClientHandshake implements credentials.TransportCredentials. It ends when ctx does.
func (c *creds) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if c.role != roleClient {
		return nil, nil, c.wrongRole()
	}
	var ends ends
	cfg := c.tlsConfig(&ends.peer)
	cfg.ServerName = hostOf(authority)
	if c.serverName != "" {
		cfg.ServerName = hostOf(c.serverName)
	}
	// Not to skip verification, but to replace that of host names by ours, which
	// VerifyConnection does on each handshake.
	cfg.InsecureSkipVerify = true
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return c.ownCertificate(&ends)
	}
	return finish(ctx, raw, tls.Client(raw, cfg), &ends)
}

// ServerHandshake implements credentials.TransportCredentials. It ends after the
// handshake timeout, or when it has to make room for others.
func (c *creds) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if c.role != roleServer {
		return nil, nil, c.wrongRole()
	}
	var ends ends
	cfg := c.tlsConfig(&ends.peer)
	// Any certificate, because VerifyConnection verifies it.
	cfg.ClientAuth = tls.RequireAnyClientCert
	cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return c.ownCertificate(&ends)
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.config.handshakeTimeout)
	defer cancel()
	end := c.handshakes.begin(raw)
	conn, info, err := finish(ctx, raw, tls.Server(raw, cfg), &ends)
	if !end() { // whatever came of it: the connection is closed
		err = errDisplaced
	}
	if err != nil {
		c.refusals.add(raw, err)
		return nil, nil, err
	}
	return conn, info, nil
}

// Info implements credentials.TransportCredentials.
func (c *creds) Info() credentials.ProtocolInfo {
	//nolint:staticcheck // deprecated, but what OverrideServerName is there for
	return credentials.ProtocolInfo{SecurityProtocol: "tls", ServerName: c.serverName}
}

// Clone implements credentials.TransportCredentials.
func (c *creds) Clone() credentials.TransportCredentials {
	clone := *c
	return &clone
}

// OverrideServerName implements credentials.TransportCredentials. It changes SNI and
// :authority, never who is accepted. Not safe for concurrent use with handshakes.
//
// Deprecated: use grpc.WithAuthority.
func (c *creds) OverrideServerName(name string) error {
	c.serverName = name
	return nil
}

// tlsConfig returns what both sides share, made anew for each handshake so that the
// verified peer has a place of its own.
func (c *creds) tlsConfig(peer *Peer) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		MaxVersion: tls.VersionTLS13,
		NextProtos: []string{c.config.protocol},
		// No tickets and (by ClientSessionCache being nil) no cache: nothing to resume.
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) (err error) {
			*peer, err = c.verifier.connection(state)
			return err
		},
	}
}

// ownCertificate asks the source at each handshake, so rotation is seen at once, and
// never lets an SVID out of its validity period reach a peer.
func (c *creds) ownCertificate(ends *ends) (*tls.Certificate, error) {
	svid, err := c.svids.GetX509SVID()
	if err != nil {
		return nil, fmt.Errorf("spiffecreds: own X.509-SVID: %w", err)
	}
	if err := checkValidity(svid, c.config.now()); err != nil {
		return nil, err
	}
	cert := &tls.Certificate{
		Certificate: make([][]byte, len(svid.Certificates)),
		PrivateKey:  svid.PrivateKey,
		Leaf:        svid.Certificates[0],
	}
	for i, c := range svid.Certificates {
		cert.Certificate[i] = c.Raw
	}
	ends.ownLeaf = cert.Leaf
	return cert, nil
}

func (c *creds) wrongRole() error {
	return fmt.Errorf("spiffecreds: credentials made by %s were used for the other side", c.role)
}

// finish runs the handshake. The connection is closed unless it succeeds.
func finish(ctx context.Context, raw net.Conn, conn *tls.Conn, ends *ends) (net.Conn, credentials.AuthInfo, error) {
	if err := conn.HandshakeContext(ctx); err != nil {
		conn.Close()
		// A context that ended closed the connection under the handshake: say the cause,
		// not the symptom.
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, nil, err
	}
	info := newAuthInfo(ends.peer, ends.ownLeaf, conn.ConnectionState().CipherSuite)
	sys, ok := raw.(syscall.Conn)
	if !ok {
		return conn, info, nil
	}
	return &syscallConn{Conn: conn, rawConn: sys}, info, nil
}

// hostOf is the authority without its port, for SNI.
func hostOf(authority string) string {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		return authority
	}
	return host
}
