package interceptors_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// sinks is everything that guard and carrier write to.
type sinks struct {
	spans   *tracetest.SpanRecorder
	tracers *sdktrace.TracerProvider
	reader  *sdkmetric.ManualReader
	meters  *sdkmetric.MeterProvider
	log     *safeBuffer
	logger  *slog.Logger
}

// safeBuffer is a buffer that handlers of several calls write to.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newSinks() *sinks {
	s := &sinks{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader(), log: &safeBuffer{}}
	s.tracers = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.spans))
	s.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	s.logger = slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return s
}

func (s *sinks) otelOptions() []otelgrpc.Option {
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(s.tracers), otelgrpc.WithMeterProvider(s.meters),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
	}
}

func (s *sinks) serverOption() grpc.ServerOption {
	return grpc.StatsHandler(otelgrpc.NewServerHandler(s.otelOptions()...))
}

func (s *sinks) dialOption() grpc.DialOption {
	return grpc.WithStatsHandler(otelgrpc.NewClientHandler(s.otelOptions()...))
}

// last waits for the last ended span of kind and returns its txn_* and error.type
// attributes.
func (s *sinks) last(t *testing.T, want int, spanKind trace.SpanKind) map[string]any {
	t.Helper()
	deadline := time.Now().Add(callTimeout)
	for {
		var spans []sdktrace.ReadOnlySpan
		for _, span := range s.spans.Ended() {
			if span.SpanKind() == spanKind {
				spans = append(spans, span)
			}
		}
		if len(spans) >= want {
			return ours(spans[len(spans)-1].Attributes())
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d %s spans, want %d", len(spans), spanKind, want)
		}
		// The server ends its span after the client has the answer.
		runtime.Gosched()
	}
}

// ours picks the attributes that this module sets.
func ours(attrs []attribute.KeyValue) map[string]any {
	m := make(map[string]any)
	for _, kv := range attrs {
		if key := string(kv.Key); strings.HasPrefix(key, "txn_") || key == "error.type" {
			m[key] = kv.Value.AsInterface()
		}
	}
	return m
}

// points returns the attribute sets of a metric with their counts, "k=v,k=v 3".
func (s *sinks) points(t *testing.T, name string) []string {
	t.Helper()
	var points []string
	add := func(set attribute.Set, n uint64) {
		points = append(points, fmt.Sprintf("%s %d", set.Encoded(attribute.DefaultEncoder()), n))
	}
	for _, scope := range s.collect(t).ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			if scope.Scope.Name != semconv.ScopeName || scope.Scope.SchemaURL != semconv.SchemaURL {
				t.Errorf("%s is in scope %v", name, scope.Scope)
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, uint64(p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Count)
				}
			default:
				t.Errorf("%s is a %T", name, data)
			}
		}
	}
	slices.Sort(points)
	return points
}

func (s *sinks) collect(t *testing.T) metricdata.ResourceMetrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := s.reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	return rm
}

func hash16(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return hex.EncodeToString(sum[:8])
}

func hash43(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Covers PRIV-02.
func TestServerTelemetryPerOutcome(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	g := guard(t, d, interceptors.Rules{
		wholeService:    interceptors.Require("test"),
		clientStreaming: interceptors.Exempt("the test says so"),
		bidiStreaming:   interceptors.Require("test").CheckMessage(deny),
	}, interceptors.WithLogger(s.logger), interceptors.WithMeterProvider(s.meters))
	addr := serveGuarded(t, d, g, &backend{}, s.serverOption())
	client := dialRaw(t, d, addr)
	good, narrow, forged := d.Raw(trattest.TransactionID("txn-1")), d.Raw(trattest.Scope("other")), d.Broken(trattest.Forged)
	token, err := d.Verifier().Verify(good)
	if err != nil {
		t.Fatal(err)
	}
	common := func(result, mode string, more map[string]any) map[string]any {
		m := map[string]any{"txn_token.result": result, "txn_token.mode": mode}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	peer := d.ID("gateway").String()
	for i, tc := range []struct {
		name   string
		call   func(context.Context, testpb.TestServiceClient) error
		values []string
		want   map[string]any
	}{
		{"ok", callUnary, []string{good}, common("ok", "strict", map[string]any{
			"txn_chain.peer.id": peer, "txn_token.txn": "txn-1", "txn_token.hash": hash16(good),
			"txn_token.req_wl": peer, "txn_token.size": int64(len(good)),
			"txn_token.remaining_lifetime": token.Expiry().Sub(d.Now()).Seconds(),
		})},
		{"missing", callUnary, nil, common("denied", "strict", map[string]any{
			"txn_chain.peer.id": peer, "error.type": "TXN_TOKEN_MISSING",
		})},
		{"forged", callServerStreaming, []string{forged}, common("denied", "strict", map[string]any{
			"txn_chain.peer.id": peer, "error.type": "TXN_TOKEN_INVALID", "txn_token.hash": hash16(forged),
		})},
		{"scope", callUnary, []string{narrow}, common("denied", "strict", map[string]any{
			"txn_chain.peer.id": peer, "error.type": "INSUFFICIENT_SCOPE", "txn_token.hash": hash16(narrow),
		})},
		{"exempt", callClientStreaming, []string{forged}, common("exempt", "off", nil)},
		{"message", callBidi, []string{good}, common("denied", "strict", map[string]any{
			"txn_chain.peer.id": peer, "error.type": "POLICY_DENIED", "txn_token.hash": hash16(good),
			"txn_token.txn": "txn-1", "txn_token.req_wl": peer, "txn_token.size": int64(len(good)),
			"txn_token.remaining_lifetime": token.Expiry().Sub(d.Now()).Seconds(),
		})},
	} {
		_ = tc.call(withToken(callContext(t), tc.values...), client)
		if diff := cmp.Diff(tc.want, s.last(t, i+1, trace.SpanKindServer)); diff != "" {
			t.Errorf("%s: attributes of the server span (-want +got):\n%s", tc.name, diff)
		}
	}
	want := []string{
		"error.type=INSUFFICIENT_SCOPE,rpc.method=grpc.testing.TestService/UnaryCall,txn_token.mode=strict,txn_token.result=denied 1",
		"error.type=POLICY_DENIED,rpc.method=grpc.testing.TestService/FullDuplexCall,txn_token.mode=strict,txn_token.result=denied 1",
		"error.type=TXN_TOKEN_INVALID,rpc.method=grpc.testing.TestService/StreamingOutputCall,txn_token.mode=strict,txn_token.result=denied 1",
		"error.type=TXN_TOKEN_MISSING,rpc.method=grpc.testing.TestService/UnaryCall,txn_token.mode=strict,txn_token.result=denied 1",
		"rpc.method=grpc.testing.TestService/FullDuplexCall,txn_token.mode=strict,txn_token.result=ok 1",
		"rpc.method=grpc.testing.TestService/StreamingInputCall,txn_token.mode=off,txn_token.result=exempt 1",
		"rpc.method=grpc.testing.TestService/UnaryCall,txn_token.mode=strict,txn_token.result=ok 1",
	}
	if diff := cmp.Diff(want, s.points(t, "txn_token.server.verifications")); diff != "" {
		t.Errorf("verifications (-want +got):\n%s", diff)
	}
	want = []string{"txn_token.result=denied 3", "txn_token.result=exempt 1", "txn_token.result=ok 2"}
	if diff := cmp.Diff(want, s.points(t, "txn_token.server.verification.duration")); diff != "" {
		t.Errorf("durations (-want +got):\n%s", diff)
	}
	for _, want := range []string{
		`"event.name":"txn_token.verification.failed"`, `"error.type":"TXN_TOKEN_INVALID"`,
		`"txn_token.hash":"` + hash16(forged) + `"`, `"txn_token.fingerprint":"` + hash43(forged) + `"`,
		`"cause":"POLICY_DENIED: denied by the test"`, `"level":"WARN","msg":"TraT guard refused a call"`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("log has no %s", want)
		}
	}
}

// Covers PROP-07, PROP-09.
func TestClientTelemetryPerOutcome(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	_, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	c := carrier(t, d, interceptors.WithLogger(s.logger), interceptors.WithMeterProvider(s.meters))
	client := dialCarrier(t, d, addr, c, s.dialOption())
	token := d.Token(trattest.TransactionID("txn-1"))
	ctx := trat.NewContext(callContext(t), token)
	if err := callUnary(ctx, client); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"txn_token.txn": "txn-1", "txn_token.hash": hash16(token.UnsafeRaw()), "txn_token.req_wl": d.ID("gateway").String(),
		"txn_token.size": int64(token.Size()), "txn_token.remaining_lifetime": token.Expiry().Sub(d.Now()).Seconds(),
	}
	if diff := cmp.Diff(want, s.last(t, 1, trace.SpanKindClient)); diff != "" {
		t.Errorf("attributes of the client span (-want +got):\n%s", diff)
	}

	serverCreds, clientCreds := ordinaryTLS(t)
	_, addr = serveRecorded(t, serverCreds, &backend{})
	elsewhere := dial(t, addr, clientCreds, append(c.DialOptions(), s.dialOption())...)
	wantRefusal(t, callUnary(ctx, elsewhere), trat.ReasonEgressBlocked)
	want = map[string]any{"txn_token.result": "denied", "error.type": "EGRESS_BLOCKED"}
	if diff := cmp.Diff(want, s.last(t, 2, trace.SpanKindClient)); diff != "" {
		t.Errorf("attributes of the blocked client span (-want +got):\n%s", diff)
	}
	if !strings.Contains(s.log.String(), `"event.name":"txn_token.egress.blocked"`) {
		t.Error("no event for the blocked egress")
	}

	// An early refusal has no span of its own and leaves the caller's alone.
	parent, span := s.tracers.Tracer("test").Start(ctx, "handler")
	wantRefusal(t, callUnary(metadata.AppendToOutgoingContext(parent, "txn-chain", "x"), client), trat.ReasonClientMetadataConflict)
	wantRefusal(t, callUnary(trat.NewContext(parent, nil), client), trat.ReasonTxnTokenMissing)
	d.Advance(time.Hour)
	wantRefusal(t, callUnary(parent, client), trat.ReasonTxnTokenExpired)
	span.End()
	if got := s.last(t, 1, trace.SpanKindInternal); len(got) != 0 {
		t.Errorf("attributes of the caller's span: %v", got)
	}

	edge, err := interceptors.NewEdge(interceptors.WithMeterProvider(s.meters), interceptors.WithLogger(s.logger))
	if err != nil {
		t.Fatal(err)
	}
	outside := dial(t, serveEdge(t, edge, serverCreds, &backend{}), clientCreds)
	for _, ctx := range []context.Context{callContext(t), withToken(callContext(t), "x")} {
		if err := callUnary(ctx, outside); err != nil {
			t.Error(err)
		}
	}
	wantPoints := []string{
		"error.type=CLIENT_METADATA_CONFLICT,txn_token.outcome=blocked 1",
		"error.type=EGRESS_BLOCKED,txn_token.outcome=blocked 1",
		"error.type=TXN_TOKEN_EXPIRED,txn_token.outcome=expired 1",
		"error.type=TXN_TOKEN_MISSING,txn_token.outcome=absent 1",
		"txn_token.outcome=attached 1",
		"txn_token.outcome=stripped 1",
	}
	if diff := cmp.Diff(wantPoints, s.points(t, "txn_token.client.propagations")); diff != "" {
		t.Errorf("propagations (-want +got):\n%s", diff)
	}
}

func TestScopeIsOnSpansOnlyWhenAskedFor(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	g := guard(t, d, anyScope(), interceptors.WithScopeAttribute(), interceptors.WithMeterProvider(s.meters))
	client := dialRaw(t, d, serveGuarded(t, d, g, &backend{}, s.serverOption()))
	if err := callUnary(withToken(callContext(t), d.Raw(trattest.Scope("a b"))), client); err != nil {
		t.Fatal(err)
	}
	got := s.last(t, 1, trace.SpanKindServer)["txn_token.scope"]
	if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
		t.Errorf("scope (-want +got):\n%s", diff)
	}
}

// Whatever callers send, the number of series is given by the methods, the reasons
// and the modes.
func TestCardinalityIsConstant(t *testing.T) {
	transactions := 10_000
	if testing.Short() {
		transactions = 1_000
	}
	d := trattest.New(t, domainName)
	s := newSinks()
	g := guard(t, d, anyScope(), interceptors.WithMeterProvider(s.meters))
	srv := grpc.NewServer(g.ServerOptions()...)
	testpb.RegisterTestServiceServer(srv, &backend{})
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	handler := func(context.Context, any) (any, error) { return nil, nil }
	peer := d.PeerContext(t.Context(), "gateway")
	call := func(i int, raw string) {
		ctx := metadata.NewIncomingContext(peer, metadata.Pairs("txn-token", raw))
		_, _ = g.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: unaryMethod}, handler)
		_, _ = g.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: fmt.Sprintf("/made.up/Method%d", i)}, handler)
	}
	series := func() (n int) {
		for _, scope := range s.collect(t).ScopeMetrics {
			for _, m := range scope.Metrics {
				n += len(s.points(t, m.Name))
			}
		}
		return n
	}
	call(0, d.Raw())
	before := series()
	for i := range transactions {
		call(i+1, d.Raw(trattest.Subject(fmt.Sprintf("user-%d", i))))
	}
	if after := series(); after != before {
		t.Errorf("%d series after %d transactions, %d before", after, transactions, before)
	}
	if got := s.points(t, "txn_token.server.verifications"); !strings.Contains(strings.Join(got, " "), "rpc.method=_OTHER,") {
		t.Errorf("no _OTHER among %v", got)
	}
}

// Everything that guard and carrier write, at debug level, for good calls and for
// every way to be refused, is searched for tokens and for what is in them.
//
// Covers PRIV-01, PRIV-07.
func TestNoSinkGetsATokenOrItsContents(t *testing.T) {
	const secret = "s3cret-value"
	d := trattest.New(t, domainName)
	s := newSinks()
	g := guard(t, d, interceptors.Rules{
		wholeService:  interceptors.Require("test"),
		bidiStreaming: interceptors.Require("test").CheckMessage(deny),
	}, interceptors.WithLogger(s.logger), interceptors.WithMeterProvider(s.meters), interceptors.WithFailureLimit(1e6, 1e6))
	addr := serveGuarded(t, d, g, &backend{}, s.serverOption())
	client := dial(t, addr, d.ClientCredentials("gateway", d.Members()), s.dialOption())
	c := carrier(t, d, interceptors.WithLogger(s.logger), interceptors.WithMeterProvider(s.meters))
	carried := dialCarrier(t, d, addr, c, s.dialOption())
	contents := []trattest.TokenOption{
		trattest.Subject(secret + "-sub"), trattest.Details(`{"account":"` + secret + `-tctx"}`),
		trattest.Context(`{"ip":"` + secret + `-rctx"}`),
	}
	var errs strings.Builder
	note := func(err error) {
		if err != nil {
			fmt.Fprintf(&errs, "%v %+v\n", err, err)
		}
	}
	sent := []string{d.Raw(contents...), d.Raw(append(contents, trattest.Scope("other"))...)}
	for _, b := range d.BrokenTokens(contents...) {
		sent = append(sent, b.Raw)
	}
	calls := 0
	for _, k := range kinds() {
		for _, raw := range sent {
			note(k.call(withToken(callContext(t), raw), client))
			note(k.call(withToken(callContext(t), raw, raw), client))
			note(k.call(withToken(d.Context(callContext(t), contents...), raw), carried))
			calls += 2
		}
		note(k.call(d.Context(callContext(t), contents...), carried))
		calls++
	}
	s.last(t, calls, trace.SpanKindServer)

	var dump strings.Builder
	dump.WriteString(s.log.String())
	dump.WriteString(errs.String())
	for _, span := range s.spans.Ended() {
		fmt.Fprintln(&dump, span.Name(), span.Attributes(), span.Events(), span.Status(), span.Links())
	}
	fmt.Fprintf(&dump, "%+v\n", s.collect(t))
	if dump.Len() < 10_000 {
		t.Fatalf("only %d bytes to search: the test looks at nothing", dump.Len())
	}
	for _, needle := range append([]string{"eyJ", secret, "Bearer"}, segments(sent)...) {
		if i := strings.Index(dump.String(), needle); i >= 0 {
			t.Errorf("found %.12q… near %.200q", needle, dump.String()[max(0, i-100):])
		}
	}
}

// segments returns the parts of tokens that are long enough to be recognised.
func segments(tokens []string) []string {
	var parts []string
	for _, token := range tokens {
		for part := range strings.SplitSeq(token, ".") {
			if len(part) >= 20 {
				parts = append(parts, part)
			}
		}
	}
	return parts
}
