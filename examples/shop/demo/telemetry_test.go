package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func attr(key string, value *commonpb.AnyValue) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: value}
}

func textValue(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}

func TestCollectorReceivesSpansOverOTLP(t *testing.T) {
	c, address, err := startCollector(t.Context(), filepath.Join(t.TempDir(), "spans.jsonl"), "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.server.Stop()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	arrived := make(chan []span, 1)
	go func() {
		spans, _ := c.wait(t.Context(), func(spans []span) bool { return len(spans) > 0 })
		arrived <- spans
	}()
	_, err = collectorpb.NewTraceServiceClient(conn).Export(t.Context(), &collectorpb.ExportTraceServiceRequest{
		ResourceSpans: []*tracepb.ResourceSpans{{
			Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{attr("service.name", textValue("orders"))}},
			ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{
				TraceId: []byte{1}, SpanId: []byte{2}, ParentSpanId: []byte{3},
				Kind: server, StartTimeUnixNano: 5, EndTimeUnixNano: 7,
				Attributes: []*commonpb.KeyValue{
					attr("s", textValue("text")),
					attr("i", &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: 7}}),
					attr("d", &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: 1.5}}),
					attr("b", &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: true}}),
					attr("leak", textValue("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl")),
				},
			}}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []span{{
		service: "orders", kind: server, trace: "01", id: "02", parent: "03",
		start: time.Unix(0, 5), end: time.Unix(0, 7),
		attrs: map[string]string{"s": "text", "i": "7", "d": "1.5", "b": "true", "leak": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"},
	}}
	if diff := cmp.Diff(want, <-arrived, cmp.AllowUnexported(span{})); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if attrs, leaks := c.secretsSeen(); attrs != 5 || leaks != 1 {
		t.Errorf("%d attributes with %d tokens, want 5 with 1", attrs, leaks)
	}
}

func TestCollectorWaitEndsWithItsContext(t *testing.T) {
	c := &collector{arrived: make(chan struct{})}
	late := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(late)
	if _, err := c.wait(ctx, func([]span) bool { return false }); !errors.Is(err, late) {
		t.Errorf("error %v", err)
	}
}
