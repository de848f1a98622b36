package spiffecreds_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// Covers VER-16, SEC-01.
func TestPeerCertificateChecks(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(orders)
	partner := newAuthorityFor(t, spiffeid.RequireTrustDomainFromString("partner.test"))
	if err := a.Federate(partner.Bundle()); err != nil {
		t.Fatal(err)
	}
	impostor := newAuthority(t) // of the same name
	stranger := newAuthorityFor(t, spiffeid.RequireTrustDomainFromString("stranger.test"))
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	sign := x509.KeyUsageDigitalSignature
	svid := func(a *devauthority.Authority, path string, flaws ...devauthority.Flaw) *x509svid.SVID {
		return flawed(t, a, spiffeid.RequireFromPath(a.TrustDomain(), path), flaws...)
	}
	tests := []struct {
		name string
		svid *x509svid.SVID
		want error // nil: accepted
	}{
		{"sound", svid(a, "/gateway"), nil},
		{"sound with an RSA key", svid(a, "/gateway", devauthority.RSA()), nil},
		{"no URI SAN", svid(a, "/gateway", devauthority.URISANs()), spiffecreds.ErrURISAN},
		{"two URI SANs", svid(a, "/gateway", devauthority.URISANs(gateway.String(), orders.String())), spiffecreds.ErrURISAN},
		{"a SPIFFE ID and another URI", svid(a, "/gateway", devauthority.URISANs(gateway.String(), "https://shop.test/")), spiffecreds.ErrURISAN},
		{"https URI", svid(a, "/gateway", devauthority.URISANs("https://shop.test/gateway")), spiffecreds.ErrSPIFFEID},
		{"malformed SPIFFE ID", svid(a, "/gateway", devauthority.URISANs("spiffe://shop.test/a//b")), spiffecreds.ErrSPIFFEID},
		{"SPIFFE ID with a port", svid(a, "/gateway", devauthority.URISANs("spiffe://shop.test:443/gateway")), spiffecreds.ErrSPIFFEID},
		{"root path", svid(a, "/gateway", devauthority.Claiming(domain.ID())), spiffecreds.ErrRootPath},
		{"CA", svid(a, "/gateway", devauthority.CA()), spiffecreds.ErrCA},
		{"keyCertSign", svid(a, "/gateway", devauthority.KeyUsage(sign|x509.KeyUsageCertSign)), spiffecreds.ErrKeyUsage},
		{"cRLSign", svid(a, "/gateway", devauthority.KeyUsage(sign|x509.KeyUsageCRLSign)), spiffecreds.ErrKeyUsage},
		{"no digitalSignature", svid(a, "/gateway", devauthority.KeyUsage(x509.KeyUsageKeyEncipherment)), spiffecreds.ErrKeyUsage},
		{"no key usage", svid(a, "/gateway", devauthority.KeyUsage(0)), spiffecreds.ErrKeyUsage},
		{"expired", svid(a, "/gateway", devauthority.Valid(past.Add(-time.Hour), past)), spiffecreds.ErrChain},
		{"not yet valid", svid(a, "/gateway", devauthority.Valid(future, future.Add(time.Hour))), spiffecreds.ErrChain},
		{"another CA of the same name", svid(impostor, "/gateway"), spiffecreds.ErrChain},
		{"trust domain without a bundle", svid(stranger, "/gateway"), spiffecreds.ErrChain},
		{"our ID from a federated CA", svid(partner, "/x", devauthority.Claiming(gateway)), spiffecreds.ErrChain},
		{"federated ID from our CA", svid(a, "/x", devauthority.Claiming(spiffeid.RequireFromString("spiffe://partner.test/x"))), spiffecreds.ErrChain},
		{"federated, not wanted", svid(partner, "/x"), spiffecreds.ErrNotAuthorized},
		{"member, not wanted", svid(a, "/evil"), spiffecreds.ErrNotAuthorized},
	}
	for _, tt := range tests {
		// The other side is crypto/tls: our own would not present most of these.
		raw := credentials.NewTLS(rawConfig(tt.svid))
		client := must[transportCredentials](t)(spiffecreds.NewClient(source, source, spiffeid.MatchOneOf(gateway, orders)))
		server := must[transportCredentials](t)(spiffecreds.NewServer(source, source, spiffeid.MatchOneOf(gateway, orders)))
		t.Run("of a client/"+tt.name, func(t *testing.T) {
			_, info, _, err := handshake(t, raw, server)
			wantVerdict(t, info, err, tt.svid.ID, tt.want)
		})
		t.Run("of a server/"+tt.name, func(t *testing.T) {
			info, _, err, _ := handshake(t, client, raw)
			wantVerdict(t, info, err, tt.svid.ID, tt.want)
		})
	}
}

func TestPeerIsJudgedByTheInjectedClock(t *testing.T) {
	a := newAuthority(t)
	now := time.Now()
	source := a.Source(orders)
	lasting := flawed(t, a, orders, devauthority.Valid(now.Add(-time.Hour), now.Add(2*time.Hour)))
	brief := flawed(t, a, gateway, devauthority.Valid(now.Add(-time.Hour), now.Add(time.Minute)))
	for ahead, want := range map[time.Duration]error{0: nil, time.Hour: spiffecreds.ErrChain} {
		server := must[transportCredentials](t)(spiffecreds.NewServer(lasting, source, members,
			spiffecreds.WithClock(func() time.Time { return now.Add(ahead) })))
		client := must[transportCredentials](t)(spiffecreds.NewClient(brief, source, members))
		_, info, _, err := handshake(t, client, server)
		wantVerdict(t, info, err, gateway, want)
	}
}

// rawConfig presents svid, whatever it is, and accepts anybody.
func rawConfig(svid *x509svid.SVID) *tls.Config {
	cert := tls.Certificate{Certificate: [][]byte{svid.Certificates[0].Raw}, PrivateKey: svid.PrivateKey}
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		// Not Certificates: that is skipped when the server names no suitable authority.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil },
		ClientAuth:           tls.RequestClientCert,
		InsecureSkipVerify:   true,
		NextProtos:           []string{"h2"},
	}
}

func wantVerdict(t *testing.T, info credentials.AuthInfo, err error, id spiffeid.ID, want error) {
	t.Helper()
	if want == nil {
		if p, ok := spiffecreds.PeerFromAuthInfo(info); err != nil || !ok || p.ID != id {
			t.Errorf("peer %v, %v, want %v", p.ID, err, id)
		}
		return
	}
	var refusal *spiffecreds.PeerError
	if !errors.As(err, &refusal) || !errors.Is(refusal.Check, want) || !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	if info != nil {
		t.Errorf("AuthInfo %v beside an error", info)
	}
	if refusal != nil && !refusal.ID.IsZero() && !strings.Contains(err.Error(), refusal.ID.String()) {
		t.Errorf("error does not name %v: %v", refusal.ID, err)
	}
}

// Covers SEC-01, VER-14.
func TestServerRefusesWeakClients(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(orders)
	s := startServer(t, must[transportCredentials](t)(spiffecreds.NewServer(source, source, members)))
	tests := []struct {
		name   string
		weaken func(*tls.Config)
		want   string // part of what the client sees; empty: anything
	}{
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "protocol version not supported"},
		{"no certificate", func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
		}, "certificate required"},
		{"no ALPN", func(c *tls.Config) { c.NextProtos = nil }, "bad certificate"},
		{"HTTP/1.1", func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }, "bad certificate"}, // crypto/tls alone lets it pass
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := rawConfig(flawed(t, a, gateway, sound))
			tt.weaken(cfg)
			conn := must[net.Conn](t)(net.Dial("tcp", s.addr))
			defer conn.Close()
			err := readAfterHandshake(tls.Client(conn, cfg))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	t.Run("plaintext", func(t *testing.T) {
		if err := check(t, dial(t, s.addr, insecure.NewCredentials())); status.Code(err) != codes.Unavailable {
			t.Errorf("error %v, want UNAVAILABLE", err)
		}
	})
	if n := s.calls(); n != 0 {
		t.Errorf("%d calls arrived", n)
	}
}

// sound is the flaw that is none, for an SVID apart from the workload's own.
func sound(*devauthority.Draft) error { return nil }

// readAfterHandshake waits for the first byte of the application, since a TLS 1.3
// server refuses a client only after the client is done.
func readAfterHandshake(conn *tls.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if err := conn.Handshake(); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	return err
}

// Covers SEC-01.
func TestClientRefusesWeakServers(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(gateway)
	client := must[transportCredentials](t)(spiffecreds.NewClient(source, source, members))
	for name, weaken := range map[string]func(*tls.Config){
		"TLS 1.2": func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
		"no ALPN": func(c *tls.Config) { c.NextProtos = nil },
	} {
		cfg := rawConfig(flawed(t, a, orders, sound))
		weaken(cfg)
		if _, err := clientHandshakeWith(t, client, cfg); err == nil {
			t.Errorf("%s: accepted", name)
		} else if name == "no ALPN" && !errors.Is(err, spiffecreds.ErrProtocol) {
			t.Errorf("%s: error %v, want %v", name, err, spiffecreds.ErrProtocol)
		}
	}
}

// clientHandshakeWith lets creds meet a bare TLS server, and returns what that knows at
// the end.
func clientHandshakeWith(t *testing.T, creds transportCredentials, cfg *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	server := tls.Server(far, cfg)
	done := make(chan []byte, 1)
	go func() {
		defer far.Close()
		if server.Handshake() != nil {
			done <- nil
			return
		}
		received, _ := io.ReadAll(server)
		done <- received
	}()
	conn, _, err := creds.ClientHandshake(testContext(t), "localhost", near)
	if err == nil {
		conn.Close()
	}
	if received := <-done; len(received) > 0 {
		t.Errorf("%d bytes were sent", len(received))
	}
	return server.ConnectionState(), err
}

// Covers SEC-02.
func TestClientSendsNothingToAnotherThanThePinnedServer(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(gateway)
	lis := listen(t)
	type contact struct {
		received int
		client   int // certificates
		err      error
	}
	contacts := make(chan contact, 16)
	cfg := rawConfig(flawed(t, a, evil))
	go func() {
		for {
			raw, err := lis.Accept()
			if err != nil {
				close(contacts)
				return
			}
			conn := tls.Server(raw, cfg)
			received, err := io.ReadAll(conn) // with the handshake
			conn.Close()
			contacts <- contact{len(received), len(conn.ConnectionState().PeerCertificates), err}
		}
	}()
	conn := dial(t, lis.Addr().String(), must[transportCredentials](t)(spiffecreds.NewClient(source, source, spiffeid.MatchID(orders))))
	err := check(t, conn)
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), spiffecreds.ErrNotAuthorized.Error()) {
		t.Errorf("error %v, want UNAVAILABLE, %v", err, spiffecreds.ErrNotAuthorized)
	}
	if c := <-contacts; c.received != 0 || c.client != 0 || c.err == nil {
		t.Errorf("the server received %d bytes and %d certificates, %v", c.received, c.client, c.err)
	}
	conn.Close()
	lis.Close()
	for range contacts {
		// gRPC may have tried again; wait for the end.
	}
}

// sessionCache counts the tickets that a server gave.
type sessionCache struct {
	tls.ClientSessionCache
	tickets atomic.Int32
}

func (c *sessionCache) Put(key string, session *tls.ClientSessionState) {
	c.tickets.Add(1)
	c.ClientSessionCache.Put(key, session)
}

// Covers SEC-01, VER-16.
func TestNoSessionIsEverResumed(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(orders)
	s := startServer(t, must[transportCredentials](t)(spiffecreds.NewServer(source, source, members)))

	cache := &sessionCache{ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	cfg := rawConfig(flawed(t, a, gateway, sound))
	cfg.ServerName, cfg.ClientSessionCache = "localhost", cache
	connect := func() (*tls.Conn, error) {
		t.Helper()
		raw := must[net.Conn](t)(net.Dial("tcp", s.addr))
		t.Cleanup(func() { raw.Close() })
		conn := tls.Client(raw, cfg)
		return conn, readAfterHandshake(conn)
	}
	for range 2 {
		conn, err := connect()
		if err != nil {
			t.Fatal(err)
		}
		if conn.ConnectionState().DidResume {
			t.Error("the server resumed a session")
		}
	}
	if n := cache.tickets.Load(); n != 0 {
		t.Errorf("the server gave %d tickets", n)
	}
	if err := a.RotateCA(); err != nil {
		t.Fatal(err)
	}
	a.DropOldCAs()
	if _, err := connect(); err == nil {
		t.Error("a client was accepted whose CA has left the bundle")
	}

	// A client of ours does not take up a server's offer either.
	client := must[transportCredentials](t)(spiffecreds.NewClient(source, source, members))
	offering := rawConfig(flawed(t, a, orders, sound))
	for range 2 {
		state, err := clientHandshakeWith(t, client, offering)
		if err != nil || state.DidResume {
			t.Errorf("handshake: %v, resumed %v", err, state.DidResume)
		}
	}
}

func TestRefusalsAreLoggedOncePerSecond(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(orders)
	var log strings.Builder
	now := time.Now()
	server := must[transportCredentials](t)(spiffecreds.NewServer(source, source, spiffeid.MatchID(gateway),
		spiffecreds.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		spiffecreds.WithClock(func() time.Time { return now })))
	client := must[transportCredentials](t)(spiffecreds.NewClient(a.Source(evil), source, members))
	refuse := func() {
		t.Helper()
		if _, _, _, err := handshake(t, client, server.Clone()); err == nil {
			t.Error("accepted")
		}
	}
	for range 3 {
		refuse()
	}
	now = now.Add(time.Second)
	refuse()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], evil.String()) || !strings.Contains(lines[0], "skipped=0") || !strings.Contains(lines[1], "skipped=2") {
		t.Errorf("log:\n%s", log.String())
	}
}
