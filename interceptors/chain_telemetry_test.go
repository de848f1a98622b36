package interceptors_test

import (
	"context"
	"maps"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// modeRules demand chains in one mode of every method.
func modeRules(d *trattest.Domain, mode callchain.Mode) interceptors.Rules {
	rule := interceptors.Require().FromCallers(d.Members())
	switch mode {
	case callchain.ModePath: // the default
	case callchain.ModeHead:
		rule = rule.ChainHead()
	case callchain.ModeOff:
		rule = rule.ChainOff()
	}
	return interceptors.Rules{wholeService: rule}
}

// chainOnly are the attributes of the call chain.
func chainOnly(attrs map[string]any) map[string]any {
	maps.DeleteFunc(attrs, func(key string, _ any) bool { return len(key) < 10 || key[:10] != "txn_chain." })
	return attrs
}

// The client's span and the server's have the same link.
//
// Covers VER-24.
func TestSpansOfBothSidesNameTheLink(t *testing.T) {
	d := trattest.New(t, domainName)
	for _, mode := range []callchain.Mode{callchain.ModePath, callchain.ModeHead, callchain.ModeOff} {
		s := newSinks()
		g := guardOf(t, d, "stocks", modeRules(d, mode), interceptors.WithMeterProvider(s.meters))
		addr := serveAs(t, d, "stocks", g, &backend{}, s.serverOption())
		c := carrierOf(t, d, "orders", interceptors.WithMeterProvider(s.meters), interceptors.WithChainMode(wholeService, mode))
		client := dialCarrierAs(t, d, "orders", addr, c, s.dialOption())
		for i, k := range kinds() {
			ctx := d.ChainContext(callContext(t), []string{"gateway"}, "orders", k.method)
			parent, _ := callchain.FromContext(ctx)
			if err := k.call(ctx, client); err != nil {
				t.Fatalf("%s, %s: %v", mode, k.name, err)
			}
			sent, received := chainOnly(s.last(t, i+1, trace.SpanKindClient)), chainOnly(s.last(t, i+1, trace.SpanKindServer))
			wantSent := map[string]any{}
			wantReceived := map[string]any{"txn_chain.peer.id": d.ID("orders").String(), "txn_chain.mode": mode.String(), "txn_chain.result": "off"}
			if mode != callchain.ModeOff {
				wantSent = map[string]any{
					"txn_chain.mode": mode.String(), "txn_chain.depth": int64(1),
					"txn_chain.parent.hash": parent.Last().Hash().String(), "txn_chain.link.hash": received["txn_chain.link.hash"],
				}
				maps.Copy(wantReceived, wantSent)
				maps.Copy(wantReceived, map[string]any{"txn_chain.result": "ok", "txn_chain.trace_match": true})
			}
			if diff := cmp.Diff(wantSent, sent); diff != "" {
				t.Errorf("%s, %s: client span (-want +got):\n%s", mode, k.name, diff)
			}
			if diff := cmp.Diff(wantReceived, received); diff != "" {
				t.Errorf("%s, %s: server span (-want +got):\n%s", mode, k.name, diff)
			}
		}
		want := map[callchain.Mode][]string{
			callchain.ModePath: {"txn_chain.mode=path,txn_chain.result=ok 4"},
			callchain.ModeHead: {"txn_chain.mode=head,txn_chain.result=ok 4"},
			callchain.ModeOff:  {"txn_chain.mode=off,txn_chain.result=off 4"},
		}
		if diff := cmp.Diff(want[mode], s.points(t, "txn_chain.server.verifications")); diff != "" {
			t.Errorf("%s: verifications (-want +got):\n%s", mode, diff)
		}
		signed := []string{"txn_chain.alg=ES256 4"}
		if mode == callchain.ModeOff {
			signed = nil
		}
		if diff := cmp.Diff(signed, s.points(t, "txn_chain.client.sign.duration")); diff != "" {
			t.Errorf("%s: signatures (-want +got):\n%s", mode, diff)
		}
		groups := []string{" 4"} // each signed alone
		if mode == callchain.ModeOff {
			groups = nil
		}
		if diff := cmp.Diff(groups, s.points(t, "txn_chain.client.group.size")); diff != "" {
			t.Errorf("%s: groups (-want +got):\n%s", mode, diff)
		}
	}
}

// The client's span has the form that was sent, which is not always the one that the carrier
// is to send: links that are not known cannot be, and a root is all there is.
//
// Covers VER-24.
func TestTheClientSpanNamesTheFormThatWasSent(t *testing.T) {
	d := trattest.New(t, domainName)
	token := d.Token()
	heads := theft{t, d, token, unaryMethod}.receivedHead()
	for name, tc := range map[string]struct {
		path, want string
		mode       callchain.Mode
		parent     *callchain.Chain
	}{
		"the last link only": {"stocks", "head", callchain.ModePath, heads},
		"a root":             {"gateway", "path", callchain.ModeHead, nil},
	} {
		s := newSinks()
		_, addr := serveRecorded(t, d.ServerCredentials("archive", d.Members()), &backend{})
		client := dialCarrierAs(t, d, tc.path, addr, carrierOf(t, d, tc.path, interceptors.WithChainMode(wholeService, tc.mode)), s.dialOption())
		if err := callUnary(callchain.NewContext(trat.NewContext(callContext(t), token), tc.parent), client); err != nil {
			t.Fatal(err)
		}
		if got := s.last(t, 1, trace.SpanKindClient)["txn_chain.mode"]; got != tc.want {
			t.Errorf("%s: mode %v, want %s", name, got, tc.want)
		}
	}
}

// losingLog is a chain log that takes nothing.
type losingLog struct{ lost atomic.Uint64 }

func (l *losingLog) Record(context.Context, callchain.Record) { l.lost.Add(1) }
func (l *losingLog) Lost() uint64                             { return l.lost.Load() }

func TestLostRecordsAreCounted(t *testing.T) {
	d := trattest.New(t, domainName)
	for _, tc := range []struct {
		log  callchain.Recorder
		want []string
	}{
		{&losingLog{}, []string{" 3"}},
		{&memoryLog{}, nil}, // does not say
	} {
		s := newSinks()
		g := guard(t, d, anyScope(), interceptors.WithMeterProvider(s.meters), interceptors.WithChainLog(tc.log))
		client := dialCarrier(t, d, serveGuarded(t, d, g, &backend{}), carrier(t, d))
		for range 3 {
			if err := callUnary(d.Context(callContext(t)), client); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(tc.want, s.points(t, "txn_chain.server.records.lost")); diff != "" {
			t.Errorf("lost (-want +got):\n%s", diff)
		}
	}
}

// Covers VER-24, ERR-13.
func TestServerTelemetryOfRefusedChains(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	g := guardOf(t, d, "stocks", interceptors.Rules{wholeService: interceptors.Require().MaxLinks(4).NotThrough(spiffeid.MatchID(d.ID("audit")))},
		interceptors.WithMeterProvider(s.meters), interceptors.WithLogger(s.logger))
	addr := serveAs(t, d, "stocks", g, &backend{}, s.serverOption())
	payments, mallory := dial(t, addr, d.ClientCredentials("payments", d.Members())), dial(t, addr, d.ClientCredentials("mallory", d.Members()))
	through := func(token *trat.Token, paths ...string) string {
		return d.RawChain(token, append([]string{"gateway"}, paths...), "stocks", unaryMethod)
	}
	verified := []string{"txn_chain.link.hash", "txn_chain.parent.hash", "txn_chain.depth"}
	for i, tc := range []struct {
		client testpb.TestServiceClient
		chain  func(token *trat.Token) []string
		result string
		reason trat.Reason
		field  any // nil: none
		has    []string
	}{
		{payments, func(*trat.Token) []string { return nil }, "missing", trat.ReasonChainMissing, nil, nil},
		{payments, func(*trat.Token) []string { return []string{"x"} }, "link_invalid", trat.ReasonChainLinkInvalid, "txn-chain", nil},
		{mallory, func(token *trat.Token) []string { return []string{through(token, "payments")} }, "peer_mismatch", trat.ReasonChainPeerMismatch, "iss", nil},
		{mallory, func(token *trat.Token) []string {
			return []string{theft{t, d, token, unaryMethod}.ownRoot("mallory")}
		}, "root_mismatch", trat.ReasonChainRootMismatch, "iss", nil},
		{payments, func(token *trat.Token) []string { return []string{through(token, "a", "b", "c", "payments")} }, "too_deep", trat.ReasonChainTooDeep, nil, verified},
		{payments, func(token *trat.Token) []string { return []string{through(token, "audit", "payments")} }, "ok", trat.ReasonPolicyDenied, "through", verified},
	} {
		token := d.Token()
		wantRefusal(t, callUnary(withChain(callContext(t), token, tc.chain(token)...), tc.client), tc.reason)
		got := without(t, s.last(t, i+1, trace.SpanKindServer), append(tc.has, "txn_chain.peer.id", "txn_token.hash")...)
		maps.DeleteFunc(got, func(key string, _ any) bool {
			return key == "txn_token.txn" || key == "txn_token.req_wl" || key == "txn_token.size" || key == "txn_token.remaining_lifetime"
		})
		want := map[string]any{
			"txn_token.result": "denied", "txn_token.mode": "strict", "error.type": string(tc.reason),
			"txn_chain.result": tc.result, "txn_chain.mode": "path",
		}
		if tc.field != nil {
			want["txn_token.field"] = tc.field
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: attributes of the server span (-want +got):\n%s", tc.result, diff)
		}
	}
	want := []string{
		"txn_chain.mode=path,txn_chain.result=link_invalid 1", "txn_chain.mode=path,txn_chain.result=missing 1",
		"txn_chain.mode=path,txn_chain.result=ok 1", "txn_chain.mode=path,txn_chain.result=peer_mismatch 1",
		"txn_chain.mode=path,txn_chain.result=root_mismatch 1", "txn_chain.mode=path,txn_chain.result=too_deep 1",
	}
	if diff := cmp.Diff(want, s.points(t, "txn_chain.server.verifications")); diff != "" {
		t.Errorf("verifications (-want +got):\n%s", diff)
	}
}

// otherTrace is a stats handler, below otelgrpc's, that does what a mesh proxy with spans
// of its own does, or somebody who wants a call to look like part of another trace.
type otherTrace struct {
	noStats
	traceparent string // "": none at all
}

func (o otherTrace) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	md, ok := metadata.FromOutgoingContext(ctx)
	if !ok {
		md = metadata.MD{}
	}
	md.Delete("traceparent")
	if o.traceparent != "" {
		md.Set("traceparent", o.traceparent)
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// Covers VER-24.
func TestTheReceivedTraceIsComparedWithTheSignedOne(t *testing.T) {
	d := trattest.New(t, domainName)
	forged := grpc.WithStatsHandler(otherTrace{traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
	removed := grpc.WithStatsHandler(otherTrace{})
	s := newSinks()
	reporting := serveGuarded(t, d, guard(t, d, anyScope()), &backend{}, s.serverOption())
	strict := serveGuarded(t, d, guard(t, d, interceptors.Rules{wholeService: interceptors.Require().StrictTrace()}), &backend{})
	served := 0
	for name, tc := range map[string]struct {
		opts  []grpc.DialOption
		match any // nil: not reported
		want  trat.Reason
	}{
		"the same":              {[]grpc.DialOption{s.dialOption()}, true, ""},
		"another":               {[]grpc.DialOption{s.dialOption(), forged}, false, trat.ReasonChainLinkInvalid},
		"none received":         {[]grpc.DialOption{s.dialOption(), removed}, false, trat.ReasonChainLinkInvalid},
		"none signed":           {[]grpc.DialOption{forged}, false, trat.ReasonChainLinkInvalid},
		"no tracing whatsoever": {nil, nil, trat.ReasonChainLinkInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			loose, bound := dialCarrier(t, d, reporting, carrier(t, d), tc.opts...), dialCarrier(t, d, strict, carrier(t, d), tc.opts...)
			for _, k := range kinds() {
				served++
				if err := k.call(d.Context(callContext(t)), loose); err != nil {
					t.Errorf("%s: %v", k.name, err)
				}
				if got := s.last(t, served, trace.SpanKindServer)["txn_chain.trace_match"]; got != tc.match {
					t.Errorf("%s: trace_match %v, want %v", k.name, got, tc.match)
				}
				err := k.call(d.Context(callContext(t)), bound)
				if tc.want != "" {
					wantRefusal(t, err, tc.want)
				} else if err != nil {
					t.Errorf("%s, strict: %v", k.name, err)
				}
			}
		})
	}
}
