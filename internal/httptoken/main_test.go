package httptoken_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/httptoken"
	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const issuer = "https://tts.shop.test"

// patience is for machines that have much else to do.
const patience = 2 * time.Minute

var (
	trustDomain = spiffeid.RequireTrustDomainFromString("shop.test")
	tts         = spiffeid.RequireFromString("spiffe://shop.test/tts")
	gateway     = spiffeid.RequireFromString("spiffe://shop.test/gateway")
	stranger    = spiffeid.RequireFromString("spiffe://shop.test/stranger")
)

const policyText = `
version: 1
details: {order_id: any, note: any}
context: {ip: any}
rules:
  - name: gateway-orders
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes:
      orders:write: [order.create, order.read]
    tctx: {order_id: details.order_id, note: optional details.note}
    rctx: {ip: optional context.ip}
`

// subjectToken looks like an access token to whoever greps for one.
const subjectToken = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLnRlc3QiLCJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZS1zaWduYXR1cmU"

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// verifier accepts every access token as alice's, or does what it is told.
type verifier struct {
	mu     sync.Mutex
	verify func(context.Context, subject.Input) (*subject.Principal, error)
}

func (*verifier) Type() string { return trat.TokenTypeAccessToken }

func (v *verifier) Verify(ctx context.Context, in subject.Input) (*subject.Principal, error) {
	v.mu.Lock()
	verify := v.verify
	v.mu.Unlock()
	if verify != nil {
		return verify(ctx, in)
	}
	return alice(in), nil
}

func (v *verifier) set(verify func(context.Context, subject.Input) (*subject.Principal, error)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.verify = verify
}

func alice(in subject.Input) *subject.Principal {
	return &subject.Principal{
		Issuer:     "https://login.test",
		Subject:    "login:alice@example.test",
		Scopes:     []string{"orders:write"},
		ScopeKnown: true,
		Expiry:     in.Now.Add(5 * time.Minute),
	}
}

// records is an Auditor that remembers.
type records struct {
	mu   sync.Mutex
	list []server.Record
	fail func() error
}

func (r *records) Record(_ context.Context, record server.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, record)
	if r.fail != nil {
		return r.fail()
	}
	return nil
}

// take returns the records since the last call.
func (r *records) take() []server.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}

// buffer is a log sink.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// fixture is one token service behind both front ends.
type fixture struct {
	clock     *clock
	authority *devauthority.Authority
	ring      *keys.Ring
	subjects  *verifier
	records   *records
	logs      *buffer
	logger    *slog.Logger
	metrics   *sdkmetric.ManualReader
	meters    *sdkmetric.MeterProvider // its reader is metrics
	spans     *tracetest.InMemoryExporter
	service   *server.Server

	mu     sync.Mutex
	policy *policy.Policy
}

// newFixture makes the service, with what changes does to its Config.
func newFixture(t testing.TB, changes ...func(*server.Config)) *fixture {
	t.Helper()
	return newFixtureAt(t, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), changes...)
}

// newFixtureAt is newFixture at a time for others who look at their own clock.
func newFixtureAt(t testing.TB, now time.Time, changes ...func(*server.Config)) *fixture {
	t.Helper()
	f := &fixture{
		clock:    &clock{now: now},
		subjects: &verifier{},
		records:  &records{},
		logs:     &buffer{},
		metrics:  sdkmetric.NewManualReader(),
		spans:    tracetest.NewInMemoryExporter(),
	}
	f.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(f.metrics))
	f.logger = slog.New(slog.NewJSONHandler(f.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	f.authority, err = devauthority.New(trustDomain, devauthority.WithClock(f.clock.Now))
	must(err)
	t.Cleanup(func() { _ = f.authority.Close() })
	f.ring, err = keys.New(keys.Config{Clock: f.clock.Now})
	must(err)
	f.clock.Advance(keys.DefaultLead)
	f.policy, err = policy.Parse([]byte(policyText))
	must(err)
	registry, err := subject.NewRegistry(f.subjects)
	must(err)
	cfg := server.Config{
		TrustDomain:   trustDomain,
		Issuer:        issuer,
		Keys:          f.ring,
		Policy:        f.currentPolicy,
		Subjects:      registry,
		Auditor:       f.records,
		Logger:        f.logger,
		Clock:         f.clock.Now,
		MeterProvider: f.meters,
	}
	for _, change := range changes {
		change(&cfg)
	}
	f.service, err = server.New(cfg)
	must(err)
	t.Cleanup(f.service.Close)
	return f
}

func (f *fixture) currentPolicy() *policy.Policy {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.policy
}

func (f *fixture) setPolicy(p *policy.Policy) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.policy = p
}

// config is that of a handler for the fixture's service.
func (f *fixture) config() httptoken.Config {
	return httptoken.Config{
		Issuer:         issuer,
		Service:        f.service,
		RequestTimeout: patience,
		Keys:           f.ring,
		Logger:         f.logger,
		Clock:          f.clock.Now,
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(f.spans)),
		MeterProvider:  f.meters,
		Propagator:     propagation.TraceContext{},
	}
}

func (f *fixture) handler(t testing.TB, changes ...func(*httptoken.Config)) http.Handler {
	t.Helper()
	cfg := f.config()
	for _, change := range changes {
		change(&cfg)
	}
	h, err := httptoken.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// serverCredentials are those of the token service.
func (f *fixture) serverCredentials(t testing.TB, opts ...spiffecreds.CredentialsOption) credentials.TransportCredentials {
	t.Helper()
	source := f.authority.Source(tts)
	opts = append(opts, spiffecreds.WithClock(f.clock.Now), spiffecreds.WithLogger(f.logger), spiffecreds.WithHandshakeTimeout(patience))
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(trustDomain), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

// clientCredentials are those of workload id.
func (f *fixture) clientCredentials(t testing.TB, id spiffeid.ID, opts ...spiffecreds.CredentialsOption) credentials.TransportCredentials {
	t.Helper()
	source := f.authority.Source(id)
	creds, err := spiffecreds.NewClient(source, source, spiffeid.MatchID(tts), append(opts, spiffecreds.WithClock(f.clock.Now))...)
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

func listenLoopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serveHTTP serves the fixture as tratd would, but with more patience, and returns the
// address.
func (f *fixture) serveHTTP(t testing.TB, changes ...func(*httptoken.ServerConfig)) string {
	t.Helper()
	cfg := httptoken.ServerConfig{
		Credentials:      f.serverCredentials(t, spiffecreds.WithHTTP1()),
		Logger:           f.logger,
		HandshakeTimeout: patience,
		ReadTimeout:      patience,
		WriteTimeout:     patience,
		IdleTimeout:      patience,
		MaxConnectionAge: patience,
	}
	for _, change := range changes {
		change(&cfg)
	}
	if cfg.Handler == nil {
		cfg.Handler = f.handler(t)
	}
	s, err := httptoken.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := listenLoopback(t)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		cancel() // now, not when idle clients have gone
		_ = s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// serveGRPC serves the same service.
func (f *fixture) serveGRPC(t testing.TB) string {
	t.Helper()
	g := grpc.NewServer(grpc.Creds(f.serverCredentials(t)))
	f.service.Register(g)
	l := listenLoopback(t)
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

func (f *fixture) dialGRPC(t testing.TB, address string, id spiffeid.ID) tratv1.TokenServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(f.clientCredentials(t, id)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return tratv1.NewTokenServiceClient(conn)
}

// goodRequest is granted by policyText.
func goodRequest() *tratv1.ExchangeRequest {
	return &tratv1.ExchangeRequest{
		GrantType:          trat.GrantType,
		Audience:           trustDomain.Name(),
		Scope:              "order.create",
		RequestedTokenType: trat.TokenType,
		SubjectToken:       subjectToken,
		SubjectTokenType:   trat.TokenTypeAccessToken,
		RequestContext:     `{"ip": "192.0.2.1", "ssn": "secret"}`,
		RequestDetails:     `{"order_id": 9007199254740993, "note": "grün & rot; 100 % +"}`,
	}
}

// verify checks token as every workload does, with the keys that the endpoint publishes.
func (f *fixture) verify(t testing.TB, jwks, token string) *trat.Token {
	t.Helper()
	set, err := trat.ParseJWKS([]byte(jwks))
	if err != nil {
		t.Fatal(err)
	}
	judge, err := trat.NewVerifier(trustDomain.Name(), issuer, set, trat.WithClock(f.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	verified, err := judge.Verify(token)
	if err != nil {
		t.Fatal(err)
	}
	return verified
}
