package interceptors_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

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
	common := func(result, mode string, more ...map[string]any) map[string]any {
		m := map[string]any{"txn_token.result": result, "txn_token.mode": mode}
		for _, some := range more {
			maps.Copy(m, some)
		}
		return m
	}
	peer := d.ID("gateway").String()
	verified := map[string]any{"txn_chain.result": "ok", "txn_chain.mode": "path", "txn_chain.depth": int64(0)}
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
		}, verified)},
		{"missing", callUnary, nil, common("denied", "strict", map[string]any{
			"txn_chain.peer.id": peer, "error.type": "TXN_TOKEN_MISSING",
		})},
		{"forged", callServerStreaming, []string{forged}, common("denied", "strict", map[string]any{
			"txn_chain.peer.id": peer, "error.type": "TXN_TOKEN_INVALID", "txn_token.hash": hash16(forged),
		})},
		{"scope", callUnary, []string{narrow}, common("denied", "strict", map[string]any{
			"txn_chain.peer.id": peer, "error.type": "INSUFFICIENT_SCOPE", "txn_token.hash": hash16(narrow), "txn_token.field": "scope",
		})},
		{"exempt", callClientStreaming, []string{forged}, common("exempt", "off")},
		{"message", callBidi, []string{good}, common("denied", "strict", map[string]any{
			"txn_chain.peer.id": peer, "error.type": "POLICY_DENIED", "txn_token.hash": hash16(good),
			"txn_token.txn": "txn-1", "txn_token.req_wl": peer, "txn_token.size": int64(len(good)),
			"txn_token.remaining_lifetime": token.Expiry().Sub(d.Now()).Seconds(),
		}, verified)},
	} {
		_ = tc.call(withToken(callContext(t), tc.values...), client)
		got := s.last(t, i+1, trace.SpanKindServer)
		if tc.want["txn_chain.result"] != nil {
			got = without(t, got, "txn_chain.link.hash")
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
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

// Whoever looks into a refusal finds the transaction by its id, unless the token is one
// that anybody could have made up.
func TestRefusalLogNamesTheTransactionOfAVerifiedToken(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	addr := serveGuarded(t, d, guard(t, d, anyScope(), interceptors.WithLogger(s.logger)), &backend{})
	client := dialRaw(t, d, addr)
	token := d.Token(trattest.TransactionID("txn-1"))
	for _, k := range kinds() {
		before := len(s.log.String())
		wantRefusal(t, k.call(withChain(callContext(t), token, d.RawChain(token, []string{"gateway"}, "stocks", k.method)), client),
			trat.ReasonChainLinkInvalid)
		wantRefusal(t, k.call(withToken(callContext(t), d.Broken(trattest.Forged, trattest.TransactionID("txn-2"))), client),
			trat.ReasonTxnTokenInvalid)
		log := s.log.String()[before:]
		if n := strings.Count(log, `"txn_token.txn":"txn-1"`); n != 1 || !strings.Contains(log, `"txn_token.fingerprint":"`+token.Fingerprint()+`"`) {
			t.Errorf("%s: %d refusals have the transaction of the verified token:\n%s", k.name, n, log)
		}
		if strings.Contains(log, "txn-2") {
			t.Errorf("%s: what a forged token says is in the log:\n%s", k.name, log)
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
		"txn_chain.mode": "path", "txn_chain.depth": int64(0),
	}
	if diff := cmp.Diff(want, without(t, s.last(t, 1, trace.SpanKindClient), "txn_chain.link.hash")); diff != "" {
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
		ctx := received(peer, d, unaryMethod, raw)
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
