package interceptors_test

import (
	"bytes"
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

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
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

// without returns attrs without the keys that a test cannot know the values of, and checks
// that they are there.
func without(t *testing.T, attrs map[string]any, keys ...string) map[string]any {
	t.Helper()
	for _, key := range keys {
		if _, ok := attrs[key]; !ok {
			t.Errorf("no attribute %s", key)
		}
		delete(attrs, key)
	}
	return attrs
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
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Count)
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
