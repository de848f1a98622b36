package server_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

const issuer = "https://tts.shop.test"

var (
	trustDomain = spiffeid.RequireTrustDomainFromString("shop.test")
	tts         = spiffeid.RequireFromString("spiffe://shop.test/tts")
	gateway     = spiffeid.RequireFromString("spiffe://shop.test/gateway")
	longRunner  = spiffeid.RequireFromString("spiffe://shop.test/long-runner")
	stranger    = spiffeid.RequireFromString("spiffe://shop.test/stranger")
	tax         = spiffeid.RequireFromString("spiffe://shop.test/tax")
	batch       = spiffeid.RequireFromString("spiffe://shop.test/batch")
	desk        = spiffeid.RequireFromString("spiffe://shop.test/desk")
)

const policyText = `
version: 1
claims: {email: string}
details: {order_id: any, note: any, tax: int, total: int, heads: int}
context: {ip: any, authn: any}
rules:
  - name: gateway-orders
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes:
      orders:write: [order.create, order.read]
    tctx: {order_id: details.order_id, note: optional details.note}
    rctx: {ip: optional context.ip, authn: optional context.authn, channel: {value: web}}
  - name: gateway-login
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:id_token]
    grants: [login.only]
  - name: long
    requester: spiffe://shop.test/long-runner
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {orders:write: [report.run]}
    lifetime: 60s
    allow_outlive: true
  - name: tax
    requester: spiffe://shop.test/tax
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    tctx: {tax: optional details.tax}
    replacement: {scopes: [order.create, order.read]}
  - name: batch
    requester: spiffe://shop.test/batch
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    lifetime: 30s
    replacement: {scopes: [order.create, order.read], extend_lifetime: true, max_count: 3, max_age: 50s, max_visits: 2}
  - name: desk
    requester: spiffe://shop.test/desk
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {orders:write: [desk.read]}
    tctx: {per_head: {compute: details.total / details.heads, optional: true}}
    rctx: {user: {from: claims.email, pseudonym: true}}
    access_evaluation: {pdp: central}
  - name: desk-when-alone
    requester: spiffe://shop.test/desk
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {orders:write: [desk.look]}
    access_evaluation: {pdp: central, on_error: allow}
  - name: desk-notes
    requester: spiffe://shop.test/desk
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {orders:write: [desk.note]}
    tctx: {note: details.note}
    rctx: {about: {from: details.note, pseudonym: true}}
    access_evaluation: {pdp: central}
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

// fakeVerifier answers as told. By default the token is alice's, with scope
// orders:write, and lives for five minutes.
type fakeVerifier struct {
	uri string

	mu     sync.Mutex
	calls  int
	inputs []subject.Input
	verify func(subject.Input) (*subject.Principal, error)
}

func (v *fakeVerifier) Type() string { return v.uri }

func (v *fakeVerifier) Verify(_ context.Context, in subject.Input) (*subject.Principal, error) {
	v.mu.Lock()
	v.calls++
	v.inputs = append(v.inputs, in)
	verify := v.verify
	v.mu.Unlock()
	if verify == nil {
		return alice(in), nil
	}
	return verify(in)
}

func alice(in subject.Input) *subject.Principal {
	return &subject.Principal{
		Issuer:     "https://login.test",
		Subject:    "login:alice@example.test",
		Scopes:     []string{"orders:write"},
		ScopeKnown: true,
		Expiry:     in.Now.Add(5 * time.Minute),
		Claims:     aliceClaims,
	}
}

var aliceClaims = func() trat.Object {
	o, err := trat.ParseObject(`{"sub": "alice", "email": "alice@example.test", "scope": "orders:write"}`)
	if err != nil {
		panic(err)
	}
	return o
}()

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

// fixture is a trust domain with a token service whose parts can be changed.
type fixture struct {
	t         testing.TB
	clock     *clock
	authority *devauthority.Authority
	ring      *keys.Ring
	policy    *policy.Policy
	access    *fakeVerifier
	pdp       *pdp // named central
	records   *records
	logs      *buffer
	metrics   *sdkmetric.ManualReader
	spans     ended // of the gRPC server
	config    server.Config
	server    *server.Server
}

// newFixture makes the Server, with what changes does to its Config. Its signing key is
// active.
func newFixture(t testing.TB, changes ...func(*server.Config)) *fixture {
	t.Helper()
	f := &fixture{
		t:       t,
		clock:   &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)},
		access:  &fakeVerifier{uri: trat.TokenTypeAccessToken},
		pdp:     &pdp{},
		records: &records{},
		logs:    &buffer{},
		metrics: sdkmetric.NewManualReader(),
		spans:   make(ended, 1<<12), // more than any test makes
	}
	var err error
	if f.authority, err = devauthority.New(trustDomain, devauthority.WithClock(f.clock.Now)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.authority.Close() })
	if f.ring, err = keys.New(keys.Config{Clock: f.clock.Now}); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(keys.DefaultLead)
	if f.policy, err = policy.Parse([]byte(policyText)); err != nil {
		t.Fatal(err)
	}
	own, err := trat.NewVerifier(trustDomain.Name(), issuer, f.ring, trat.WithClock(f.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	transactions, err := subject.NewTransactionToken(own)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := subject.NewRegistry(f.access, transactions)
	if err != nil {
		t.Fatal(err)
	}
	cfg := server.Config{
		TrustDomain:   trustDomain,
		Issuer:        issuer,
		Keys:          f.ring,
		Policy:        func() *policy.Policy { return f.policy },
		Subjects:      registry,
		Auditor:       f.records,
		Evaluators:    map[string]server.Evaluator{"central": f.pdp},
		Logger:        slog.New(slog.NewJSONHandler(f.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Clock:         f.clock.Now,
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(f.metrics)),
	}
	for _, change := range changes {
		change(&cfg)
	}
	if f.server, err = server.New(cfg); err != nil {
		t.Fatal(err)
	}
	f.config = cfg
	t.Cleanup(f.server.Close)
	return f
}

// serve starts a gRPC server on a real socket, as strict as tratd's, and returns its
// address.
func (f *fixture) serve(t *testing.T) string {
	t.Helper()
	source := f.authority.Source(tts)
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(trustDomain), spiffecreds.WithClock(f.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(f.spans))
	g := grpc.NewServer(grpc.Creds(creds), grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(tracer))))
	f.server.Register(g)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.Serve(listener); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		g.Stop()
		wg.Wait()
	})
	return listener.Addr().String()
}

// dial connects as workload id.
func (f *fixture) dial(t *testing.T, address string, id spiffeid.ID) tratv1.TokenServiceClient {
	t.Helper()
	source := f.authority.Source(id)
	creds, err := spiffecreds.NewClient(source, source, spiffeid.MatchID(tts), spiffecreds.WithClock(f.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return tratv1.NewTokenServiceClient(conn)
}

// as returns a context as a handler has it when workload id calls: its peer comes out
// of a real handshake, here over a pipe.
func (f *fixture) as(t testing.TB, id spiffeid.ID) context.Context {
	t.Helper()
	return peerContext(t, f.authority, f.authority, id, f.clock)
}

// peerContext lets a workload of one authority call the TTS of another.
func peerContext(t testing.TB, home, callers *devauthority.Authority, id spiffeid.ID, c *clock) context.Context {
	t.Helper()
	own, theirs := home.Source(tts), callers.Source(id)
	serverCreds, err := spiffecreds.NewServer(own, own, spiffeid.MatchAny(), spiffecreds.WithClock(c.Now))
	if err != nil {
		t.Fatal(err)
	}
	clientCreds, err := spiffecreds.NewClient(theirs, theirs, spiffeid.MatchID(tts), spiffecreds.WithClock(c.Now))
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	done := make(chan error, 1)
	go func() {
		_, _, err := clientCreds.ClientHandshake(t.Context(), "tts", far)
		done <- err
	}()
	_, info, err := serverCreds.ServerHandshake(near)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return peer.NewContext(t.Context(), &peer.Peer{AuthInfo: info})
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
		RequestDetails:     `{"order_id": 9007199254740993, "other": "dropped"}`,
		RequestId:          "req-1",
	}
}

// verify checks token as every workload does, with the keys that are published.
func (f *fixture) verify(t *testing.T, token string) *trat.Token {
	t.Helper()
	jwks, _ := f.ring.Snapshot()
	set, err := trat.ParseJWKS(jwks)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := trat.NewVerifier(trustDomain.Name(), issuer, set, trat.WithClock(f.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	verified, err := verifier.Verify(token)
	if err != nil {
		t.Fatal(err)
	}
	return verified
}
