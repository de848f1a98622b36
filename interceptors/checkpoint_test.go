package interceptors_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// fullPath is a chain of as many links as there may be, from the workloads that signed them.
var fullPath = []string{"gateway", "a", "b", "c", "d", "e"}

// replacing is a checkpoint of the workload with the given path that needs no token service.
type replacing struct {
	d      *trattest.Domain
	path   string
	err    error
	called int
}

func (r *replacing) replace(ctx context.Context) (context.Context, error) {
	r.called++
	if r.err != nil {
		return nil, r.err
	}
	return trat.NewContext(ctx, r.d.Token(trattest.Requester(r.d.ID(r.path).String()))), nil
}

// Covers REPL-06.
func TestACheckpointIsMadeWhereTheCallWouldBeTooDeep(t *testing.T) {
	d := trattest.New(t, domainName)
	addr := serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), &backend{})
	for _, tc := range []struct {
		through []string
		want    int
	}{{fullPath[:1], 0}, {fullPath[:5], 0}, {fullPath, 1}} {
		for _, k := range kinds() {
			r := &replacing{d: d, path: "orders"}
			client := dialCarrierAs(t, d, "orders", addr, carrierOf(t, d, "orders", interceptors.WithCheckpoint(r.replace)))
			if err := k.call(d.ChainContext(callContext(t), tc.through, "orders", k.method), client); err != nil {
				t.Errorf("%d links, %s: %v", len(tc.through), k.name, err)
			}
			if r.called != tc.want {
				t.Errorf("%d links, %s: %d checkpoints, want %d", len(tc.through), k.name, r.called, tc.want)
			}
		}
	}
}

// What carries no chain of several links needs no checkpoint, and fails for none.
//
// Covers REPL-06.
func TestNoCheckpointWhereNoPathIsSent(t *testing.T) {
	d := trattest.New(t, domainName)
	r := &replacing{d: d, path: "orders", err: errors.New("the token service refuses")}
	full := func() context.Context { return d.ChainContext(callContext(t), fullPath, "orders", unaryMethod) }
	refused := func(ctx context.Context) context.Context { return callchain.NewContext(ctx, nil) }
	own := func(ctx context.Context) context.Context {
		return trat.NewContext(ctx, d.Token(trattest.Requester(d.ID("orders").String())))
	}
	same := func(ctx context.Context) context.Context { return ctx }
	for name, tc := range map[string]struct {
		opt    interceptors.ClientOption
		change func(context.Context) context.Context
	}{
		"head":                   {interceptors.WithChainMode(wholeService, callchain.ModeHead), same},
		"off":                    {interceptors.WithChainMode(wholeService, callchain.ModeOff), same},
		"without token":          {nil, same},
		"no chain":               {nil, refused},
		"the chain of another's": {nil, own},
	} {
		opts := []interceptors.ClientOption{interceptors.WithCheckpoint(r.replace)}
		if tc.opt != nil {
			opts = append(opts, tc.opt)
		}
		if name == "without token" {
			for _, k := range kinds() {
				opts = append(opts, interceptors.WithoutToken(k.method, "a test"))
			}
		}
		_, addr := serveRecorded(t, d.ServerCredentials("stocks", d.Members()), &backend{})
		client := dialCarrierAs(t, d, "orders", addr, carrierOf(t, d, "orders", opts...))
		for _, k := range kinds() {
			if err := k.call(tc.change(full()), client); err != nil {
				t.Errorf("%s, %s: %v", name, k.name, err)
			}
		}
	}
	_, addr := serveRecorded(t, d.ServerCredentials("stocks", d.Members()), &backend{})
	health := healthpb.NewHealthClient(connect(t, addr, d.ClientCredentials("orders", d.Members()),
		carrierOf(t, d, "orders", interceptors.WithCheckpoint(r.replace)).DialOptions()...))
	// The server has no health service, which is for it to say.
	if _, err := health.Check(full(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("health: %v", err)
	}
	if r.called > 0 {
		t.Errorf("%d checkpoints", r.called)
	}
}

// The call fails as the checkpoint did, and is counted as refused for that.
//
// Covers REPL-06.
func TestACallFailsAsItsCheckpointDoes(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	r := &replacing{d: d, path: "orders", err: trat.Errorf(trat.ReasonIssuanceDenied, "", "policy")}
	recorder, addr := serveRecorded(t, d.ServerCredentials("stocks", d.Members()), &backend{})
	client := dialCarrierAs(t, d, "orders", addr,
		carrierOf(t, d, "orders", interceptors.WithCheckpoint(r.replace), interceptors.WithMeterProvider(s.meters)))
	for _, k := range kinds() {
		if err := k.call(d.ChainContext(callContext(t), fullPath, "orders", k.method), client); !errors.Is(err, r.err) {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	if _, n := recorder.last(); n != 0 {
		t.Errorf("%d calls went out", n)
	}
	want := []string{"error.type=ISSUANCE_DENIED,txn_token.outcome=blocked 4"}
	if got := s.points(t, "txn_token.client.propagations"); !slices.Equal(got, want) {
		t.Errorf("propagations %q, want %q", got, want)
	}

	// A checkpoint that replaces nothing, or nowhere, leaves the call as full as it was.
	for name, replace := range map[string]func(context.Context) (context.Context, error){
		"the same": func(ctx context.Context) (context.Context, error) { return ctx, nil },
		"nothing":  func(context.Context) (context.Context, error) { return nil, nil }, //nolint:nilnil // what must not crash
	} {
		client := dialCarrierAs(t, d, "orders", addr, carrierOf(t, d, "orders", interceptors.WithCheckpoint(replace)))
		for _, k := range kinds() {
			err := k.call(d.ChainContext(callContext(t), fullPath, "orders", k.method), client)
			if reason, _ := interceptors.ReasonFrom(err); reason != trat.ReasonChainTooDeep {
				t.Errorf("%s, %s: %v", name, k.name, err)
			}
		}
	}
}

// Around the largest size some calls have a checkpoint and others do not; none is refused
// for its size. That holds for all that becomes known only when the call is on its way.
//
// Covers REPL-06, PROP-03.
func TestNoCallWithACheckpointIsTooLarge(t *testing.T) {
	state, err := trace.ParseTraceState("vendor=" + strings.Repeat("v", 250) + ",other=" + strings.Repeat("o", 250))
	if err != nil {
		t.Fatal(err)
	}
	member, err := baggage.NewMemberRaw("tenant", strings.Repeat("ä b", 100))
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	traced := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state})
	spans := sdktrace.NewTracerProvider()
	tracing := grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(spans),
		otelgrpc.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))))
	same := func(ctx context.Context) context.Context { return ctx }

	for name, tc := range map[string]struct {
		opts   []grpc.DialOption
		change func(context.Context) context.Context
		key    string
	}{
		"text":        {nil, same, "note"},
		"binary":      {nil, same, "note-bin"},
		"traceparent": {[]grpc.DialOption{tracing}, same, "note"},
		"tracestate": {[]grpc.DialOption{tracing}, func(ctx context.Context) context.Context {
			return trace.ContextWithSpanContext(ctx, traced)
		}, "note"},
		"baggage": {[]grpc.DialOption{tracing}, func(ctx context.Context) context.Context {
			return baggage.ContextWithBaggage(ctx, tenant)
		}, "note"},
	} {
		t.Run(name, func(t *testing.T) {
			d := trattest.New(t, domainName)
			r := &replacing{d: d, path: "orders"}
			addr := serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), &backend{})
			client := dialCarrierAs(t, d, "orders", addr, carrierOf(t, d, "orders", interceptors.WithCheckpoint(r.replace)), tc.opts...)
			ctx := d.ChainContext(callContext(t), fullPath[:3], "orders", unaryMethod)
			if err := callUnary(ctx, client); err != nil || r.called > 0 {
				t.Fatalf("%v, %d checkpoints", err, r.called)
			}
			d.RotateSVIDs() // the connection stays, so that the new certificate goes along
			with := 0
			const calls, from, step = 140, 1000, 25
			for i := range calls {
				ctx := metadata.AppendToOutgoingContext(tc.change(ctx), tc.key, strings.Repeat("x", from+i*step))
				before := r.called
				if err := callUnary(ctx, client); err != nil {
					t.Fatalf("with %d bytes (a checkpoint: %t): %v", from+i*step, r.called > before, err)
				}
				if r.called > before {
					with++
				}
			}
			if with == 0 || with == calls {
				t.Errorf("%d of %d calls had a checkpoint", with, calls)
			}
		})
	}
}

func TestWithCheckpointWantsAFunction(t *testing.T) {
	d := trattest.New(t, domainName)
	_, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: d.Source("orders")}, interceptors.WithCheckpoint(nil))
	if err == nil || !strings.Contains(err.Error(), "WithCheckpoint") {
		t.Errorf("%v", err)
	}
}
