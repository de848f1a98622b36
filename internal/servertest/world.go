package servertest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
)

// handshakeTimeout is for machines that have much else to do.
const handshakeTimeout = 2 * time.Minute

// World is a trust domain with a token service whose parts can be changed. Access tokens
// are verified by Access; TraTs and self-signed tokens are verified indeed.
type World struct {
	Clock     *Clock
	Authority *devauthority.Authority
	Ring      *keys.Ring
	Access    *Verifier
	PDP       *PDP // named central
	Records   *Records
	Logs      *Buffer
	Logger    *slog.Logger // into Logs
	Metrics   *sdkmetric.ManualReader
	Meters    *sdkmetric.MeterProvider // its reader is Metrics
	Config    server.Config            // of Server
	Server    *server.Server

	policy atomic.Pointer[policy.Policy]
}

// New returns a World at Start, with what changes does to the Config of its Server. It ends
// with the test.
func New(t testing.TB, changes ...func(*server.Config)) *World {
	t.Helper()
	return At(t, Start, changes...)
}

// At is New at a time for others who look at their own clock.
func At(t testing.TB, now time.Time, changes ...func(*server.Config)) *World {
	t.Helper()
	w := &World{
		Clock:   NewClock(now),
		Access:  &Verifier{URI: trat.TokenTypeAccessToken},
		PDP:     &PDP{},
		Records: &Records{},
		Logs:    &Buffer{},
		Metrics: sdkmetric.NewManualReader(),
	}
	w.Logger = slog.New(slog.NewJSONHandler(w.Logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.Meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.Metrics))
	authority, err := devauthority.New(TrustDomain, devauthority.WithClock(w.Clock.Now))
	check(t, err)
	t.Cleanup(func() { _ = authority.Close() })
	w.Authority = authority
	w.Ring, err = keys.New(keys.Config{Clock: w.Clock.Now})
	check(t, err)
	w.Clock.Advance(keys.DefaultLead) // its key is active
	rules, err := policy.Parse([]byte(PolicyText))
	check(t, err)
	w.SetPolicy(rules)
	w.Config = server.Config{
		TrustDomain:   TrustDomain,
		Issuer:        Issuer,
		Keys:          w.Ring,
		Policy:        w.Policy,
		Subjects:      w.subjects(t),
		Bundles:       authority.Source(TTS),
		Auditor:       w.Records,
		Evaluators:    map[string]server.Evaluator{"central": w.PDP},
		Logger:        w.Logger,
		Clock:         w.Clock.Now,
		MeterProvider: w.Meters,
	}
	for _, change := range changes {
		change(&w.Config)
	}
	w.Server, err = server.New(w.Config)
	check(t, err)
	t.Cleanup(w.Server.Close)
	return w
}

func (w *World) subjects(t testing.TB) *subject.Registry {
	t.Helper()
	own, err := trat.NewVerifier(TrustDomain.Name(), Issuer, w.Ring, trat.WithClock(w.Clock.Now))
	check(t, err)
	transactions, err := subject.NewTransactionToken(own)
	check(t, err)
	used, err := replay.NewMemory(1000, w.Clock.Now)
	check(t, err)
	selfSigned, err := subject.NewSelfSigned(Issuer, used)
	check(t, err)
	registry, err := subject.NewRegistry(w.Access, transactions, selfSigned)
	check(t, err)
	return registry
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Policy returns the policy that the Server goes by.
func (w *World) Policy() *policy.Policy { return w.policy.Load() }

// SetPolicy replaces it; nil is none.
func (w *World) SetPolicy(p *policy.Policy) { w.policy.Store(p) }

// ServerCredentials are those of the token service, as strict as tratd's.
func (w *World) ServerCredentials(t testing.TB, opts ...spiffecreds.CredentialsOption) credentials.TransportCredentials {
	t.Helper()
	source := w.Authority.Source(TTS)
	opts = append(opts, spiffecreds.WithClock(w.Clock.Now), spiffecreds.WithLogger(w.Logger), spiffecreds.WithHandshakeTimeout(handshakeTimeout))
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(TrustDomain), opts...)
	check(t, err)
	return creds
}

// ClientCredentials are those of workload id.
func (w *World) ClientCredentials(t testing.TB, id spiffeid.ID, opts ...spiffecreds.CredentialsOption) credentials.TransportCredentials {
	t.Helper()
	source := w.Authority.Source(id)
	creds, err := spiffecreds.NewClient(source, source, spiffeid.MatchID(TTS), append(opts, spiffecreds.WithClock(w.Clock.Now))...)
	check(t, err)
	return creds
}

// ServeGRPC serves the Server on a socket of its own until the test ends, and returns the
// address.
func (w *World) ServeGRPC(t testing.TB, opts ...grpc.ServerOption) string {
	t.Helper()
	g := grpc.NewServer(append(opts, grpc.Creds(w.ServerCredentials(t)))...)
	w.Server.Register(g)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	done := make(chan error, 1)
	go func() { done <- g.Serve(listener) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("Serve: %v", err)
		}
	})
	return listener.Addr().String()
}

// DialGRPC connects as workload id.
func (w *World) DialGRPC(t testing.TB, address string, id spiffeid.ID) tratv1.TokenServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(w.ClientCredentials(t, id)))
	check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return tratv1.NewTokenServiceClient(conn)
}

// As returns a context as a handler has it when workload id calls: its peer comes out of a
// real handshake, here over a pipe.
func (w *World) As(t testing.TB, id spiffeid.ID) context.Context {
	t.Helper()
	return PeerContext(t, w.Authority, w.Authority, id, w.Clock)
}

// PeerContext lets a workload of one authority call the TTS of another.
func PeerContext(t testing.TB, home, callers *devauthority.Authority, id spiffeid.ID, clock *Clock) context.Context {
	t.Helper()
	own, theirs := home.Source(TTS), callers.Source(id)
	serverCreds, err := spiffecreds.NewServer(own, own, spiffeid.MatchAny(), spiffecreds.WithClock(clock.Now))
	check(t, err)
	clientCreds, err := spiffecreds.NewClient(theirs, theirs, spiffeid.MatchID(TTS), spiffecreds.WithClock(clock.Now))
	check(t, err)
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	done := make(chan error, 1)
	go func() {
		_, _, err := clientCreds.ClientHandshake(t.Context(), "tts", far)
		done <- err
	}()
	_, info, err := serverCreds.ServerHandshake(near)
	check(t, err)
	check(t, <-done)
	return peer.NewContext(t.Context(), &peer.Peer{AuthInfo: info})
}

// Issue is an exchange of workload id that must succeed, and returns the token. It leaves
// an audit record.
func (w *World) Issue(t testing.TB, id spiffeid.ID, request *tratv1.ExchangeRequest) string {
	t.Helper()
	response, err := w.Server.Exchange(w.As(t, id), request)
	check(t, err)
	return response.GetAccessToken()
}

// Verify checks token as every workload does, with the keys that are published.
func (w *World) Verify(t testing.TB, token string) *trat.Token {
	t.Helper()
	jwks, _ := w.Ring.Snapshot()
	return w.VerifyWith(t, string(jwks), token)
}

// VerifyWith does it with those keys.
func (w *World) VerifyWith(t testing.TB, jwks, token string) *trat.Token {
	t.Helper()
	set, err := trat.ParseJWKS([]byte(jwks))
	check(t, err)
	verifier, err := trat.NewVerifier(TrustDomain.Name(), Issuer, set, trat.WithClock(w.Clock.Now))
	check(t, err)
	verified, err := verifier.Verify(token)
	check(t, err)
	return verified
}
