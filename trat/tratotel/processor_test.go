package tratotel_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/baggage"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/tratotel"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newProvider has the processor behind the exporter, where it is of least use to it.
func newProvider(t *testing.T) (*sdktrace.TracerProvider, *tracetest.InMemoryExporter) {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithSpanProcessor(tratotel.NewSpanProcessor()))
	t.Cleanup(func() {
		if err := provider.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return provider, exporter
}

// attributes are those of the exported spans, by name.
func attributes(exporter *tracetest.InMemoryExporter) map[string]map[string]string {
	spans := make(map[string]map[string]string)
	for _, s := range exporter.GetSpans() {
		spans[s.Name] = make(map[string]string)
		for _, kv := range s.Attributes {
			spans[s.Name][string(kv.Key)] = kv.Value.String()
		}
	}
	return spans
}

func TestEverySpanUnderAVerifiedTokenHasItsTransaction(t *testing.T) {
	d := trattest.New(t, "shop.test")
	provider, exporter := newProvider(t)
	tracer := provider.Tracer("test")
	start := func(ctx context.Context, name string, opts ...trace.SpanStartOption) context.Context {
		ctx, span := tracer.Start(ctx, name, opts...)
		span.End()
		return ctx
	}

	before := start(t.Context(), "before")
	request := d.Context(before, trattest.TransactionID("txn-1"), trattest.Subject("alice"))
	child := start(request, "child")
	start(child, "grandchild")
	start(child, "elsewhere", trace.WithNewRoot())
	start(trat.Detach(child), "detached")
	start(d.Context(child, trattest.TransactionID("txn-2")), "another")
	start(before, "after")

	txn := func(id string) map[string]string { return map[string]string{string(semconv.TokenTxn): id} }
	want := map[string]map[string]string{
		"before": {}, "after": {},
		"child": txn("txn-1"), "grandchild": txn("txn-1"), "elsewhere": txn("txn-1"), "detached": txn("txn-1"),
		"another": txn("txn-2"),
	}
	if diff := cmp.Diff(want, attributes(exporter)); diff != "" {
		t.Errorf("attributes of spans (-want +got):\n%s", diff)
	}
}

// A token that nobody has verified marks nothing.
func TestSpansWithoutAVerifiedTokenAreLeftAlone(t *testing.T) {
	for name, ctx := range map[string]context.Context{
		"nil token":   trat.NewContext(t.Context(), nil),
		"empty token": trat.NewContext(t.Context(), &trat.Token{}),
	} {
		t.Run(name, func(t *testing.T) {
			provider, exporter := newProvider(t)
			_, span := provider.Tracer("test").Start(ctx, "span")
			span.End()
			if diff := cmp.Diff(map[string]map[string]string{"span": {}}, attributes(exporter)); diff != "" {
				t.Errorf("attributes of spans (-want +got):\n%s", diff)
			}
		})
	}
}

// Nothing of the token but the transaction id is exported, and nothing goes into baggage.
func TestNothingElseOfTheTokenIsRecorded(t *testing.T) {
	d := trattest.New(t, "shop.test")
	provider, exporter := newProvider(t)
	ctx := d.Context(t.Context(), trattest.TransactionID("txn-1"), trattest.Subject("alice-secret"), trattest.Scope("order.secret"),
		trattest.Details(`{"card":"4242-secret"}`), trattest.Requester("spiffe://shop.test/secret"))
	token, _ := trat.FromContext(ctx)
	ctx, span := provider.Tracer("test").Start(ctx, "span")
	span.End()

	exported := fmt.Sprintf("%+v", exporter.GetSpans())
	for part := range strings.SplitSeq(token.UnsafeRaw(), ".") {
		if strings.Contains(exported, part) {
			t.Errorf("a part of the token is exported: %s", part)
		}
	}
	if strings.Contains(exported, "secret") {
		t.Errorf("a claim is exported: %s", exported)
	}
	if n := baggage.FromContext(ctx).Len(); n != 0 {
		t.Errorf("%d members of baggage, want none", n)
	}
}

// Requests go on at once, each with spans of its own goroutines: none gets the id of another.
func TestTransactionsAtOnceAreNotMixedUp(t *testing.T) {
	d := trattest.New(t, "shop.test")
	provider, exporter := newProvider(t)
	tracer := provider.Tracer("test")
	var wg sync.WaitGroup
	for i := range 20 {
		txn := fmt.Sprint("txn-", i)
		ctx := d.Context(t.Context(), trattest.TransactionID(txn))
		for range 10 {
			wg.Go(func() {
				ctx, span := tracer.Start(ctx, txn)
				_, child := tracer.Start(ctx, txn)
				child.End()
				span.End()
			})
		}
	}
	wg.Wait()

	spans := exporter.GetSpans()
	if len(spans) != 400 {
		t.Fatalf("%d spans, want 400", len(spans))
	}
	for _, s := range spans {
		if len(s.Attributes) != 1 || s.Attributes[0] != semconv.TokenTxn.String(s.Name) {
			t.Errorf("a span of %s has %v", s.Name, s.Attributes)
		}
	}
}

// What otelgrpc makes: the client span of a call that a handler makes is marked. The handler's
// own server span began before anybody had verified a token.
func TestClientSpansOfHandlersAreMarked(t *testing.T) {
	d := trattest.New(t, "shop.test")
	provider, exporter := newProvider(t)
	instrumented := otelgrpc.WithTracerProvider(provider)

	srv := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler(instrumented)), grpc.WaitForHandlers(true))
	grpc_health_v1.RegisterHealthServer(srv, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(instrumented)))
	if err != nil {
		t.Fatal(err)
	}
	ctx := d.Context(t.Context(), trattest.TransactionID("txn-1"))
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	conn.Close()
	srv.GracefulStop()
	if err := <-done; err != nil {
		t.Error(err)
	}

	marked := make(map[trace.SpanKind]bool)
	for _, s := range exporter.GetSpans() {
		marked[s.SpanKind] = slices.Contains(s.Attributes, semconv.TokenTxn.String("txn-1"))
	}
	if want := map[trace.SpanKind]bool{trace.SpanKindClient: true, trace.SpanKindServer: false}; !maps.Equal(marked, want) {
		t.Errorf("marked by kind: %v, want %v", marked, want)
	}
}

func BenchmarkStart(b *testing.B) {
	d := trattest.New(b, "shop.test")
	ctx := d.Context(b.Context())
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tratotel.NewSpanProcessor()))
	tracer := provider.Tracer("test")
	b.ReportAllocs()
	for b.Loop() {
		_, span := tracer.Start(ctx, "span")
		span.End()
	}
}
