package spiffecreds_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	domain  = spiffeid.RequireTrustDomainFromString("shop.test")
	gateway = spiffeid.RequireFromPath(domain, "/gateway")
	orders  = spiffeid.RequireFromPath(domain, "/orders")
	evil    = spiffeid.RequireFromPath(domain, "/evil")
	members = spiffeid.MatchMemberOf(domain)
)

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newAuthority(t *testing.T, opts ...devauthority.Option) *devauthority.Authority {
	t.Helper()
	return newAuthorityFor(t, domain, opts...)
}

func newAuthorityFor(t *testing.T, td spiffeid.TrustDomain, opts ...devauthority.Option) *devauthority.Authority {
	t.Helper()
	a, err := devauthority.New(td, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return a
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// flawed is a source that presents an SVID issued with flaws, which no Workload API
// client would take.
func flawed(t *testing.T, a *devauthority.Authority, id spiffeid.ID, flaws ...devauthority.Flaw) *x509svid.SVID {
	t.Helper()
	return must[*x509svid.SVID](t)(a.X509SVID(id, flaws...))
}

type transportCredentials = credentials.TransportCredentials

type svid = x509svid.SVID

// server is a gRPC server on loopback that notes who called.
type server struct {
	addr  string
	mu    sync.Mutex
	peers []spiffecreds.Peer
}

func (s *server) lastPeer(t *testing.T) spiffecreds.Peer {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.peers) == 0 {
		t.Fatal("no call arrived")
	}
	return s.peers[len(s.peers)-1]
}

func (s *server) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.peers)
}

func (s *server) note(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	p, _ := spiffecreds.PeerFromContext(ctx)
	s.mu.Lock()
	s.peers = append(s.peers, p)
	s.mu.Unlock()
	return handler(ctx, req)
}

func startServer(t *testing.T, creds transportCredentials) *server {
	t.Helper()
	s := &server{}
	g := grpc.NewServer(grpc.Creds(creds), grpc.UnaryInterceptor(s.note), grpc.WaitForHandlers(true))
	grpc_health_v1.RegisterHealthServer(g, health.NewServer())
	lis := listen(t)
	s.addr = lis.Addr().String()
	done := make(chan error, 1)
	go func() { done <- g.Serve(lis) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { lis.Close() })
	return lis
}

func dial(t *testing.T, addr string, creds transportCredentials, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn := must[*grpc.ClientConn](t)(grpc.NewClient("passthrough:///"+addr, append(opts, grpc.WithTransportCredentials(creds))...))
	t.Cleanup(func() { conn.Close() })
	return conn
}

func check(t *testing.T, conn *grpc.ClientConn, opts ...grpc.CallOption) error {
	t.Helper()
	_, err := grpc_health_v1.NewHealthClient(conn).Check(testContext(t), &grpc_health_v1.HealthCheckRequest{}, opts...)
	return err
}

// handshake lets two credentials meet over loopback. A client may be done before the
// server has refused it: TLS 1.3 does not wait.
func handshake(t *testing.T, client, server transportCredentials) (clientInfo, serverInfo credentials.AuthInfo, clientErr, serverErr error) {
	t.Helper()
	lis := listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := lis.Accept()
		if err != nil {
			serverErr = err
			return
		}
		defer raw.Close()
		_, serverInfo, serverErr = server.ServerHandshake(raw)
	}()
	raw := must[net.Conn](t)(net.Dial("tcp", lis.Addr().String()))
	defer raw.Close()
	_, clientInfo, clientErr = client.ClientHandshake(testContext(t), "localhost", raw)
	<-done
	return clientInfo, serverInfo, clientErr, serverErr
}
