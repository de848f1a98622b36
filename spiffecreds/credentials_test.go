package spiffecreds_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// Covers SEC-01.
func TestBothSidesKnowEachOther(t *testing.T) {
	a := newAuthority(t)
	ordersSource, gatewaySource := a.Source(orders), a.Source(gateway)
	s := startServer(t, must[transportCredentials](t)(spiffecreds.NewServer(ordersSource, ordersSource, members)))
	conn := dial(t, s.addr,
		must[transportCredentials](t)(spiffecreds.NewClient(gatewaySource, gatewaySource, spiffeid.MatchID(orders))),
		grpc.WithPerRPCCredentials(requireSecurity{}))

	var p peer.Peer
	if err := check(t, conn, grpc.Peer(&p)); err != nil {
		t.Fatal(err)
	}
	seen, ok := spiffecreds.PeerFromAuthInfo(p.AuthInfo)
	if !ok {
		t.Fatal("the client does not know its peer")
	}
	for _, tt := range []struct {
		side string
		got  spiffecreds.Peer
		want spiffeid.ID
	}{
		{"server", s.lastPeer(t), gateway},
		{"client", seen, orders},
	} {
		svid, err := a.X509SVID(tt.want)
		if err != nil {
			t.Fatal(err)
		}
		if tt.got.ID != tt.want || !tt.got.Leaf.Equal(svid.Certificates[0]) {
			t.Errorf("%s sees %v, want %v and its leaf", tt.side, tt.got.ID, tt.want)
		}
	}
	if p.AuthInfo.AuthType() != "spiffe" {
		t.Errorf("AuthType = %q", p.AuthInfo.AuthType())
	}
	info := p.AuthInfo.(credentials.ChannelzSecurityInfo)
	value, ok := info.GetSecurityValue().(*credentials.TLSChannelzSecurityValue)
	if !ok || !strings.HasPrefix(value.StandardName, "TLS_") || !bytes.Equal(value.RemoteCertificate, seen.Leaf.Raw) {
		t.Errorf("GetSecurityValue = %+v", value)
	}
}

// requireSecurity fails a call whose connection does not state its security level;
// credentials.CheckSecurityLevel alone accepts one that is silent about it.
type requireSecurity struct{}

func (requireSecurity) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	info, _ := credentials.RequestInfoFromContext(ctx)
	common, ok := info.AuthInfo.(interface {
		GetCommonAuthInfo() credentials.CommonAuthInfo
	})
	if !ok || common.GetCommonAuthInfo().SecurityLevel != credentials.PrivacyAndIntegrity {
		return nil, status.Error(codes.Unauthenticated, "no security level")
	}
	return nil, credentials.CheckSecurityLevel(info.AuthInfo, credentials.PrivacyAndIntegrity)
}

func (requireSecurity) RequireTransportSecurity() bool { return true }

func TestConstructorsNameEverythingMissing(t *testing.T) {
	options := []spiffecreds.CredentialsOption{
		spiffecreds.WithClock(nil), spiffecreds.WithLogger(nil), spiffecreds.WithHandshakeTimeout(0),
		spiffecreds.WithMaxHandshakes(0), nil,
	}
	_, serverErr := spiffecreds.NewServer(nil, nil, nil, options...)
	_, clientErr := spiffecreds.NewClient(nil, nil, nil, options...)
	for name, err := range map[string]error{"NewServer": serverErr, "NewClient": clientErr} {
		if err == nil {
			t.Fatalf("%s succeeded", name)
		}
		for _, want := range []string{name, "SVIDs", "bundles", "matcher", "WithClock", "WithLogger", "WithHandshakeTimeout", "WithMaxHandshakes", "nil option"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error does not name %s: %v", name, want, err)
			}
		}
	}
	source := newAuthority(t).Source(orders)
	if _, err := spiffecreds.NewServer(source, source, nil); err == nil {
		t.Error("NewServer without a matcher succeeded")
	}
}

func TestCredentialsServeOneSideOnly(t *testing.T) {
	source := newAuthority(t).Source(orders)
	server := must[transportCredentials](t)(spiffecreds.NewServer(source, source, members))
	client := must[transportCredentials](t)(spiffecreds.NewClient(source, source, members))
	_, _, clientErr, serverErr := handshake(t, server, client)
	if clientErr == nil || serverErr == nil {
		t.Errorf("swapped credentials: client %v, server %v", clientErr, serverErr)
	}
}

func TestCloneIsIndependent(t *testing.T) {
	source := newAuthority(t).Source(orders)
	creds := must[transportCredentials](t)(spiffecreds.NewClient(source, source, members))
	clone := creds.Clone()
	//nolint:staticcheck // deprecated, but part of the interface
	if err := clone.OverrideServerName("orders.internal"); err != nil {
		t.Fatal(err)
	}
	if got := creds.Info().ServerName; got != "" { //nolint:staticcheck // as above
		t.Errorf("the original has server name %q", got)
	}
	if got := clone.Info(); got.ServerName != "orders.internal" || got.SecurityProtocol != "tls" { //nolint:staticcheck // as above
		t.Errorf("Info = %+v", got)
	}
}

func TestServerNameIsTheAuthority(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(orders)
	client := must[transportCredentials](t)(spiffecreds.NewClient(source, source, members))
	overridden := client.Clone()
	//nolint:staticcheck // deprecated, but part of the interface
	if err := overridden.OverrideServerName("other.internal"); err != nil {
		t.Fatal(err)
	}
	for want, creds := range map[string]transportCredentials{"orders.internal": client, "other.internal": overridden} {
		near, far := net.Pipe()
		names := make(chan string, 1)
		go func() {
			defer far.Close()
			stop := errors.New("seen enough")
			err := tls.Server(far, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				names <- hello.ServerName
				return nil, stop
			}}).Handshake()
			if !errors.Is(err, stop) {
				names <- err.Error()
			}
		}()
		if _, _, err := creds.ClientHandshake(testContext(t), "orders.internal:443", near); err == nil {
			t.Error("handshake succeeded")
		}
		if got := <-names; got != want {
			t.Errorf("server name %q, want %q", got, want)
		}
	}
}

// Covers KEY-07.
func TestRotationMidConnection(t *testing.T) {
	a := newAuthority(t)
	serverSource, clientSource := a.Source(orders), a.Source(gateway)
	s := startServer(t, must[transportCredentials](t)(spiffecreds.NewServer(serverSource, serverSource, members)))
	creds := must[transportCredentials](t)(spiffecreds.NewClient(clientSource, clientSource, spiffeid.MatchID(orders)))
	leaf := func(conn *grpc.ClientConn) string {
		t.Helper()
		if err := check(t, conn); err != nil {
			t.Fatal(err)
		}
		return s.lastPeer(t).Leaf.SerialNumber.String()
	}
	open := dial(t, s.addr, creds)
	before := leaf(open)
	a.Rotate()
	if after := leaf(open); after != before {
		t.Error("the leaf of an open connection changed")
	}
	current := must[string](t)(serial(clientSource))
	if fresh := leaf(dial(t, s.addr, creds)); fresh != current || fresh == before {
		t.Error("a new connection does not use the new SVID")
	}
	if err := a.RotateCA(); err != nil {
		t.Fatal(err)
	}
	leaf(open)
	leaf(dial(t, s.addr, creds))
}

func serial(source *devauthority.Source) (string, error) {
	svid, err := source.GetX509SVID()
	if err != nil {
		return "", err
	}
	return svid.Certificates[0].SerialNumber.String(), nil
}

func TestPeerExpiryShowsMidConnection(t *testing.T) {
	a := newAuthority(t, devauthority.WithSVIDLifetime(time.Minute))
	source := a.Source(orders)
	s := startServer(t, must[transportCredentials](t)(spiffecreds.NewServer(source, source, members)))
	conn := dial(t, s.addr, must[transportCredentials](t)(spiffecreds.NewClient(a.Source(gateway), source, members)))
	if err := check(t, conn); err != nil {
		t.Fatal(err)
	}
	p := s.lastPeer(t)
	end := p.Leaf.NotAfter
	for at, want := range map[time.Time]bool{end.Add(-time.Second): false, end: false, end.Add(time.Nanosecond): true} {
		if got := p.Expired(at); got != want {
			t.Errorf("Expired(%v) = %v, want %v; NotAfter is %v", at, got, want, end)
		}
	}
	if !(spiffecreds.Peer{}).Expired(time.Time{}) {
		t.Error("the zero Peer is not expired")
	}
}

func TestExpiredOwnSVIDIsNotPresented(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(orders)
	past := time.Now().Add(-time.Minute)
	old := flawed(t, a, gateway, devauthority.Valid(past.Add(-time.Hour), past))

	client := must[transportCredentials](t)(spiffecreds.NewClient(old, source, members))
	server := must[transportCredentials](t)(spiffecreds.NewServer(source, source, members))
	_, _, clientErr, serverErr := handshake(t, client, server)
	if !errors.Is(clientErr, spiffecreds.ErrSVIDExpired) || serverErr == nil {
		t.Errorf("client with an expired SVID: client %v, server %v", clientErr, serverErr)
	}
	client = must[transportCredentials](t)(spiffecreds.NewClient(source, source, members))
	server = must[transportCredentials](t)(spiffecreds.NewServer(old, source, members))
	_, _, clientErr, serverErr = handshake(t, client, server)
	if !errors.Is(serverErr, spiffecreds.ErrSVIDExpired) || clientErr == nil {
		t.Errorf("server with an expired SVID: client %v, server %v", clientErr, serverErr)
	}

	future := time.Now().Add(time.Hour)
	early := flawed(t, a, gateway, devauthority.Valid(future, future.Add(time.Hour)))
	client = must[transportCredentials](t)(spiffecreds.NewClient(early, source, members))
	server = must[transportCredentials](t)(spiffecreds.NewServer(source, source, members))
	if _, _, err, _ := handshake(t, client, server); !errors.Is(err, spiffecreds.ErrSVIDNotYetValid) {
		t.Errorf("client with an SVID of tomorrow: %v", err)
	}
}

func TestServerHandshakeTimesOut(t *testing.T) {
	source := newAuthority(t).Source(orders)
	creds := must[transportCredentials](t)(spiffecreds.NewServer(source, source, members,
		spiffecreds.WithHandshakeTimeout(20*time.Millisecond)))
	near, far := net.Pipe()
	defer near.Close()
	_, _, err := creds.ServerHandshake(far)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want deadline exceeded", err)
	}
	if _, err := far.Write([]byte{0}); err == nil {
		t.Error("the connection was left open")
	}
}

func TestClientHandshakeEndsWithItsContext(t *testing.T) {
	source := newAuthority(t).Source(orders)
	creds := must[transportCredentials](t)(spiffecreds.NewClient(source, source, members))
	ctx, cancel := context.WithCancel(t.Context())
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		far.Read(make([]byte, 1)) //nolint:errcheck // the handshake has begun, or failed and says so below
		cancel()
	}()
	if _, _, err := creds.ClientHandshake(ctx, "localhost", near); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
}
