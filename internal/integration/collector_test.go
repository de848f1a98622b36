//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/trat/tratotel"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// collector is a running OpenTelemetry Collector.
type collector struct {
	process  *process
	endpoint string // host and port that take OTLP over gRPC, in plain text
	file     string // OTLP JSON, one line for each batch of spans
}

// startCollector runs an OpenTelemetry Collector that writes the spans it is sent to a file,
// until the end of the test.
func startCollector(t *testing.T) *collector {
	t.Helper()
	dir := t.TempDir()
	c := &collector{endpoint: "127.0.0.1:" + freePort(t), file: filepath.Join(dir, "traces.jsonl")}
	config := write(t, dir, "collector.yaml", fmt.Sprintf(`
receivers: {otlp: {protocols: {grpc: {endpoint: %q}}}}
processors: {batch: {timeout: 100ms}}
exporters: {file: {path: %q, flush_interval: 100ms}}
service:
  telemetry: {metrics: {level: none}, logs: {level: warn}}
  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [file]}}
`, c.endpoint, c.file))
	c.process = start(t, command{
		name: "otelcol", program: filepath.Join(component(t, "otelcol"), "otelcol"), args: []string{"--config", config},
	})
	c.process.waitReady(t, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.endpoint)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return c
}

// collectedSpan is what the tests look at in a span of the file.
type collectedSpan struct {
	Name         string `json:"name"`
	TraceID      string `json:"traceId"` // hexadecimal, unlike other JSON of protobuf
	SpanID       string `json:"spanId"`
	ParentSpanID string `json:"parentSpanId"`
	Attributes   []struct {
		Key   string `json:"key"`
		Value struct {
			String string `json:"stringValue"`
		} `json:"value"`
	} `json:"attributes"`
}

// spans waits until the file has at least that many spans, and returns all it has.
func (c *collector) spans(t *testing.T, atLeast int) []collectedSpan {
	t.Helper()
	var spans []collectedSpan
	c.process.waitReady(t, func(context.Context) error {
		text, err := os.ReadFile(c.file)
		if err != nil {
			return err
		}
		if spans, err = parseSpans(text); err != nil {
			return err
		}
		if len(spans) < atLeast {
			return fmt.Errorf("%d spans of %d", len(spans), atLeast)
		}
		return nil
	})
	return spans
}

// parseSpans reads a file of OTLP JSON whose last line may be incomplete.
func parseSpans(text []byte) ([]collectedSpan, error) {
	var spans []collectedSpan
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var batch struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []collectedSpan `json:"spans"`
				} `json:"scopeSpans"`
			} `json:"resourceSpans"`
		}
		switch err := decoder.Decode(&batch); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return spans, nil
		case err != nil:
			return nil, err
		}
		for _, resource := range batch.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				spans = append(spans, scope.Spans...)
			}
		}
	}
}

// newTracing makes a program's tracing: its spans go to the collector, and those of a
// transaction are marked. flush sends what has ended.
func (c *collector) newTracing(t *testing.T) (tracer trace.Tracer, flush func()) {
	t.Helper()
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(c.endpoint), otlptracegrpc.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tratotel.NewSpanProcessor()), sdktrace.WithBatcher(exporter))
	t.Cleanup(func() {
		if err := provider.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return provider.Tracer("integration"), func() {
		t.Helper()
		if err := provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// What comes out of a Collector is what was sent, and one query for the transaction finds all
// of its spans, whoever made them.
func TestACollectorHasAllSpansOfATransaction(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	d := trattest.New(t, "shop.test")
	gateway, flushGateway := c.newTracing(t)
	orders, flushOrders := c.newTracing(t)

	want := make(map[string]string) // names by span id
	span := func(ctx context.Context, tracer trace.Tracer, name string) context.Context {
		ctx, s := tracer.Start(ctx, name)
		s.End()
		want[s.SpanContext().SpanID().String()] = name
		return ctx
	}
	request := span(d.Context(t.Context(), trattest.TransactionID("txn-1")), gateway, "POST /orders")
	// The token goes from one service to the next in metadata; what the second one verifies is
	// another value of the same.
	received := d.Context(trace.ContextWithSpanContext(t.Context(), trace.SpanContextFromContext(request)), trattest.TransactionID("txn-1"))
	span(span(received, orders, "shop.v1.OrderService/CreateOrder"), orders, "INSERT orders")

	_, other := gateway.Start(d.Context(t.Context(), trattest.TransactionID("txn-2")), "GET /orders")
	other.End()
	_, outside := gateway.Start(t.Context(), "reload configuration")
	outside.End()
	flushGateway()
	flushOrders()

	got, traces := make(map[string]string), make(map[string]bool)
	for _, s := range c.spans(t, len(want)+2) {
		for _, a := range s.Attributes {
			if a.Key == "txn_token.txn" && a.Value.String == "txn-1" {
				got[s.SpanID], traces[s.TraceID] = s.Name, true
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans of the transaction (-want +got):\n%s", diff)
	}
	wantTrace := trace.SpanContextFromContext(request).TraceID().String()
	if ids := slices.Collect(maps.Keys(traces)); !slices.Equal(ids, []string{wantTrace}) {
		t.Errorf("traces %v, want %s", ids, wantTrace)
	}
}
