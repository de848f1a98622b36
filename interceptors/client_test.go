package interceptors_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// recorder is an unguarded server's memory of the metadata that reached it.
type recorder struct {
	mu    sync.Mutex
	calls []metadata.MD
}

func (r *recorder) note(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, md)
}

// last returns the metadata of the last call and how many there were.
func (r *recorder) last() (metadata.MD, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls) == 0 {
		return nil, 0
	}
	return r.calls[len(r.calls)-1], len(r.calls)
}

func (r *recorder) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			r.note(ctx)
			return next(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			r.note(stream.Context())
			return next(srv, stream)
		}),
	}
}

// serveRecorded serves svc without a guard.
func serveRecorded(tb testing.TB, creds credentials.TransportCredentials, svc testpb.TestServiceServer) (*recorder, string) {
	tb.Helper()
	r := &recorder{}
	srv := grpc.NewServer(append(r.options(), grpc.Creds(creds))...)
	testpb.RegisterTestServiceServer(srv, svc)
	return r, serve(tb, srv)
}

// Covers PROP-01, PROP-02, PROP-03, PROP-04, PROP-16.
func TestTheCarrierSendsExactlyTheToken(t *testing.T) {
	d := trattest.New(t, domainName)
	r, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	client := dialCarrier(t, d, addr, carrier(t, d))
	for _, k := range kinds() {
		token := d.Token()
		ctx := trat.NewContext(callContext(t), token)
		ctx = metadata.AppendToOutgoingContext(ctx, "baggage", "k=v", "authorization", "Basic Zm9v", "x-bin", "\x00")
		if err := k.call(ctx, client); err != nil {
			t.Fatalf("%s: %v", k.name, err)
		}
		md, _ := r.last()
		if got := md.Get("txn-token"); len(got) != 1 || got[0] != token.UnsafeRaw() {
			t.Errorf("%s: %d values of txn-token", k.name, len(got))
		}
		for key, values := range md {
			if key != "txn-token" && strings.Contains(strings.Join(values, " "), token.UnsafeRaw()[:12]) {
				t.Errorf("%s: the token is in %s too", k.name, key)
			}
		}
	}
}

// Covers PROP-09.
func TestTheCarrierRefusesWithoutAGoodToken(t *testing.T) {
	d := trattest.New(t, domainName)
	r, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	client := dialCarrier(t, d, addr, carrier(t, d))
	expiring := trat.NewContext(callContext(t), d.Token(trattest.Lifetime(10*time.Second)))
	other := trattest.New(t, "partner.test")
	for _, k := range kinds() {
		wantRefusal(t, k.call(callContext(t), client), trat.ReasonTxnTokenMissing)
		// A token that was put there without verification is none.
		wantRefusal(t, k.call(trat.NewContext(callContext(t), &trat.Token{}), client), trat.ReasonTxnTokenMissing)
		wantRefusal(t, k.call(trat.NewContext(callContext(t), nil), client), trat.ReasonTxnTokenMissing)
		wantRefusal(t, k.call(other.Context(callContext(t)), client), trat.ReasonEgressBlocked)
	}
	d.Advance(5 * time.Second)
	for _, k := range kinds() {
		if err := k.call(expiring, client); err != nil {
			t.Errorf("%s, before exp: %v", k.name, err)
		}
	}
	_, before := r.last()
	d.Advance(5*time.Second - time.Nanosecond) // too late to begin
	for _, k := range kinds() {
		wantRefusal(t, k.call(expiring, client), trat.ReasonTxnTokenExpired)
	}
	d.Advance(time.Nanosecond) // exp itself, within any verifier's leeway
	for _, k := range kinds() {
		wantRefusal(t, k.call(expiring, client), trat.ReasonTxnTokenExpired)
	}
	if _, after := r.last(); after != before {
		t.Errorf("%d calls with an expired token arrived", after-before)
	}
}

// Covers PROP-09.
func TestARefusedCallSendsNothing(t *testing.T) {
	d := trattest.New(t, domainName)
	var dials atomic.Int64
	dialer := grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
		dials.Add(1)
		return nil, errors.New("the test has no network")
	})
	client := dialCarrier(t, d, "127.0.0.1:1", carrier(t, d), dialer)
	expired := d.Context(callContext(t), trattest.Lifetime(time.Second))
	d.Advance(time.Second)
	// With WaitForReady only an early refusal returns at all.
	_, err := client.UnaryCall(expired, &testpb.SimpleRequest{}, grpc.WaitForReady(true))
	wantRefusal(t, err, trat.ReasonTxnTokenExpired)
	if n := dials.Load(); n != 0 {
		t.Errorf("%d connections for a call that could not be made", n)
	}
}

// Covers PROP-05.
func TestTheCarrierOwnsItsMetadata(t *testing.T) {
	d := trattest.New(t, domainName)
	r, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	client := dialCarrier(t, d, addr, carrier(t, d, interceptors.WithoutToken(bidiStreaming, "the test says so")))
	for _, key := range []string{"txn-token", "Txn-Token", "txn-chain", "txn-chain-certs-bin", "txn-token-bin"} {
		for _, k := range kinds() {
			ctx := metadata.AppendToOutgoingContext(d.Context(callContext(t)), key, d.Raw())
			wantRefusal(t, k.call(ctx, client), trat.ReasonClientMetadataConflict)
		}
	}
	if _, n := r.last(); n != 0 {
		t.Errorf("%d calls arrived", n)
	}
}

// lateMetadata is a stats handler that injects metadata, as otelgrpc does: after
// every interceptor.
type lateMetadata struct {
	noStats
	key, value string
}

// Covers PROP-05, PROP-11, PROP-16.
func TestMetadataAddedBelowTheInterceptorsIsCheckedToo(t *testing.T) {
	d := trattest.New(t, domainName)
	r, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	for _, tc := range []struct {
		late   lateMetadata
		reason trat.Reason
	}{
		{lateMetadata{key: "txn-token", value: "x"}, trat.ReasonClientMetadataConflict},
		{lateMetadata{key: "baggage", value: strings.Repeat("b", 9<<10)}, trat.ReasonMetadataTooLarge},
	} {
		client := dialCarrier(t, d, addr, carrier(t, d), grpc.WithStatsHandler(tc.late))
		for _, k := range kinds() {
			wantRefusal(t, k.call(d.Context(callContext(t)), client), tc.reason)
		}
	}
	if _, n := r.last(); n != 0 {
		t.Errorf("%d calls arrived", n)
	}
}

// otherToken are call credentials that bring a token of their own.
type otherToken struct{ raw string }

func (o otherToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"txn-token": o.raw}, nil
}

func (otherToken) RequireTransportSecurity() bool { return true }

// What other call credentials add is out of the carrier's sight. With its options last
// the connection's own lose to it, and those of a call make a second token.
//
// Covers PROP-02, PROP-04, PROP-05.
func TestOtherCallCredentialsDoNotReplaceTheToken(t *testing.T) {
	d := trattest.New(t, domainName)
	creds := d.ServerCredentials("orders", d.Members())
	r, addr := serveRecorded(t, creds, &backend{})
	other := grpc.WithPerRPCCredentials(otherToken{d.Raw()})
	client := dial(t, addr, d.ClientCredentials("gateway", d.Members()), append([]grpc.DialOption{other}, carrier(t, d).DialOptions()...)...)
	for _, k := range kinds() {
		token := d.Token()
		if err := k.call(trat.NewContext(callContext(t), token), client); err != nil {
			t.Fatalf("%s: %v", k.name, err)
		}
		if md, _ := r.last(); !slices.Equal(md.Get("txn-token"), []string{token.UnsafeRaw()}) {
			t.Errorf("%s: not the carrier's token, or not alone", k.name)
		}
	}

	svc := &backend{}
	perCall := grpc.WithDefaultCallOptions(grpc.PerRPCCredentials(otherToken{d.Raw()}))
	client = dialCarrier(t, d, serveGuarded(t, d, guard(t, d, anyScope()), svc), carrier(t, d), perCall)
	for _, k := range kinds() {
		wantRefusal(t, k.call(d.Context(callContext(t)), client), trat.ReasonTxnTokenMalformed)
	}
	if n := svc.ran.Load(); n != 0 {
		t.Errorf("%d handlers ran", n)
	}
}

// Covers PROP-11, ERR-15.
func TestTheHeaderBudget(t *testing.T) {
	d := trattest.New(t, domainName)
	// The server accepts no more than gRPC suggests to servers: what is inside the
	// carrier's budget must get there, with all that the transport adds.
	creds := d.ServerCredentials("orders", d.Members())
	srv := grpc.NewServer(grpc.Creds(creds), grpc.MaxHeaderListSize(8<<10))
	testpb.RegisterTestServiceServer(srv, &backend{})
	client := dialCarrier(t, d, serve(t, srv), carrier(t, d), grpc.WithUserAgent("a-team's-service/1.2.3"))
	token := d.Token(trattest.Details(`{"sku":"` + strings.Repeat("s", 700) + `"}`))
	const budget = 8<<10 - 512
	chain := d.RawChain(token, []string{"gateway"}, "orders", unaryMethod) // as long for every method
	used := len("txn-token") + token.Size() + 32 + len("txn-chain") + len(chain) + 32
	for _, tc := range []struct {
		name  string
		md    []string
		fits  bool
		value int
	}{
		{name: "just fits", md: []string{"baggage", strings.Repeat("b", budget-used-len("baggage")-32)}, fits: true},
		{name: "one byte more", md: []string{"baggage", strings.Repeat("b", budget-used-len("baggage")-32+1)}},
		{name: "9 KB of baggage", md: []string{"baggage", strings.Repeat("b", 9<<10)}},
		{name: "many small fields", md: strings.Split(strings.Repeat("k,v,", 240)+"k,v", ",")},
		{name: "binary counts as base64", md: []string{"blob-bin", strings.Repeat("\x00", 5400)}},
	} {
		for _, k := range kinds() {
			ctx := metadata.AppendToOutgoingContext(trat.NewContext(callContext(t), token), tc.md...)
			err := k.call(ctx, client)
			switch {
			case tc.fits && err != nil:
				t.Errorf("%s, %s: %v", tc.name, k.name, err)
			case !tc.fits:
				wantRefusal(t, err, trat.ReasonMetadataTooLarge)
			}
		}
	}
}

// Covers PROP-07.
func TestTheTokenNeverLeavesTheTrustDomain(t *testing.T) {
	d, foreign := trattest.New(t, domainName), trattest.New(t, "partner.test")
	both := bundles(t, d, foreign)
	server, err := spiffecreds.NewServer(foreign.Source("orders"), both, spiffeid.MatchAny())
	if err != nil {
		t.Fatal(err)
	}
	r, addr := serveRecorded(t, server, &backend{})
	creds, err := spiffecreds.NewClient(d.Source("gateway"), both, spiffeid.MatchAny())
	if err != nil {
		t.Fatal(err)
	}
	client := dial(t, addr, creds, carrier(t, d).DialOptions()...)
	for _, k := range kinds() {
		wantRefusal(t, k.call(d.Context(callContext(t)), client), trat.ReasonEgressBlocked)
	}
	if _, n := r.last(); n != 0 {
		t.Errorf("%d calls reached the other trust domain", n)
	}

	listed := carrier(t, d, interceptors.UnsafeAllowServerTrustDomain(foreign.TrustDomain()))
	client = dial(t, addr, creds, listed.DialOptions()...)
	for _, k := range kinds() {
		if err := k.call(d.Context(callContext(t)), client); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}

	without := carrier(t, d, interceptors.WithoutToken(unaryMethod, "the partner has no use for our tokens"))
	client = dial(t, addr, creds, without.DialOptions()...)
	if err := callUnary(d.Context(callContext(t)), client); err != nil {
		t.Error(err)
	}
	if md, _ := r.last(); len(md.Get("txn-token")) != 0 {
		t.Error("a method that is called without a token got one")
	}
	wantRefusal(t, callBidi(d.Context(callContext(t)), client), trat.ReasonEgressBlocked)
}

// Covers PROP-07.
func TestTheTokenDoesNotGoOverOtherCredentials(t *testing.T) {
	d := trattest.New(t, domainName)
	serverCreds, clientCreds := ordinaryTLS(t)
	r, addr := serveRecorded(t, serverCreds, &backend{})
	client := dial(t, addr, clientCreds, carrier(t, d).DialOptions()...)
	for _, k := range kinds() {
		wantRefusal(t, k.call(d.Context(callContext(t)), client), trat.ReasonEgressBlocked)
	}
	if _, n := r.last(); n != 0 {
		t.Errorf("%d calls went out", n)
	}
}

func TestAnExpiredServerGetsNothing(t *testing.T) {
	d := trattest.New(t, domainName)
	r, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	client := dialCarrier(t, d, addr, carrier(t, d))
	d.Advance(1000 * time.Hour) // past the certificates, which follow real time
	for _, k := range kinds() {
		wantRefusal(t, k.call(d.Context(callContext(t)), client), trat.ReasonPeerSVIDExpired)
	}
	if _, n := r.last(); n != 0 {
		t.Errorf("%d calls went out", n)
	}
}

// Covers VER-22.
func TestHealthChecksNeedNoToken(t *testing.T) {
	d := trattest.New(t, domainName)
	r := &recorder{}
	opts := append(r.options(), grpc.Creds(d.ServerCredentials("orders", d.Members())))
	srv := grpc.NewServer(opts...)
	checks := health.NewServer()
	checks.SetServingStatus("grpc.testing.TestService", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(srv, checks)
	testpb.RegisterTestServiceServer(srv, &backend{})
	addr := serve(t, srv)
	// Client-side health checking: grpc-go itself watches health on the connection,
	// with the call credentials and without interceptors.
	config := `{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":"grpc.testing.TestService"}}`
	cc := connect(t, addr, d.ClientCredentials("gateway", d.Members()),
		append(carrier(t, d).DialOptions(), grpc.WithDefaultServiceConfig(config))...)
	_, err := testpb.NewTestServiceClient(cc).UnaryCall(d.Context(callContext(t)), &testpb.SimpleRequest{}, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	for _, ctx := range []context.Context{callContext(t), d.Context(callContext(t))} {
		if _, err := healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
			t.Errorf("health check: %v", err)
		}
		if md, _ := r.last(); len(md.Get("txn-token")) != 0 {
			t.Error("a health check carried a token")
		}
	}
	// The credential itself never fails for them, whatever stats handlers add.
	late := lateMetadata{key: "baggage", value: strings.Repeat("b", 9<<10)}
	cc = connect(t, addr, d.ClientCredentials("gateway", d.Members()), append(carrier(t, d).DialOptions(), grpc.WithStatsHandler(late))...)
	if _, err := healthpb.NewHealthClient(cc).Check(callContext(t), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("health check with baggage: %v", err)
	}
}

// Covers ERR-17, PROP-09.
func TestRefusalsAreNotRetriedAndRetriesAreChecked(t *testing.T) {
	d := trattest.New(t, domainName)
	fail := status.Error(codes.Unavailable, "busy")
	svc := &backend{}
	svc.handle = func(context.Context) error { return fail }
	r, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), svc)
	// A service config may well retry UNAVAILABLE.
	config := grpc.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],"retryPolicy":{
		"maxAttempts":4,"initialBackoff":"0.001s","maxBackoff":"0.001s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]}`)
	client := dialCarrier(t, d, addr, carrier(t, d), config)
	if err := callUnary(d.Context(callContext(t)), client); status.Code(err) != codes.Unavailable {
		t.Fatal(err)
	}
	if _, n := r.last(); n != 4 {
		t.Fatalf("%d attempts, want 4: the test needs retries", n)
	}
	// The token expires after the first attempt: the next is not made.
	svc.handle = func(context.Context) error {
		d.Advance(time.Hour)
		return fail
	}
	wantRefusal(t, callUnary(d.Context(callContext(t)), client), trat.ReasonTxnTokenExpired)
	if _, n := r.last(); n != 5 {
		t.Errorf("%d attempts after the token expired", n-5)
	}
}

// Covers ERR-17.
func TestAGuardsRefusalIsOneAttempt(t *testing.T) {
	d := trattest.New(t, domainName)
	r := &recorder{}
	g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require("never.granted")})
	srv := grpc.NewServer(append(append(r.options(), g.ServerOptions()...), grpc.Creds(d.ServerCredentials("orders", d.Members())))...)
	testpb.RegisterTestServiceServer(srv, &backend{})
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	addr := serve(t, srv)
	client, raw := dialCarrier(t, d, addr, carrier(t, d)), dialRaw(t, d, addr)
	for i, k := range kinds() {
		wantRefusal(t, k.call(d.Context(callContext(t)), client), trat.ReasonInsufficientScope)
		wantRefusal(t, k.call(callContext(t), raw), trat.ReasonTxnTokenMissing)
		if _, n := r.last(); n != 2*(i+1) {
			t.Errorf("%s: %d attempts so far, want %d", k.name, n, 2*(i+1))
		}
	}
}

// Covers PROP-10.
func TestDetachedWorkEndsWithItsToken(t *testing.T) {
	d := trattest.New(t, domainName)
	_, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	client := dialCarrier(t, d, addr, carrier(t, d))
	request, end := context.WithCancel(d.Context(callContext(t)))
	detached, cancel := context.WithTimeout(trat.Detach(request), callTimeout)
	defer cancel()
	end()
	if err := callUnary(detached, client); err != nil {
		t.Errorf("after the request, within exp: %v", err)
	}
	d.Advance(trat.DefaultLifetime)
	wantRefusal(t, callUnary(detached, client), trat.ReasonTxnTokenExpired)
}
