package main

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// span is what the demo uses of a span.
type span struct {
	service    string
	kind       tracepb.Span_SpanKind
	trace      string
	id, parent string
	start, end time.Time
	attrs      map[string]string
}

// collector receives spans over OTLP, as an OpenTelemetry collector does.
type collector struct {
	collectorpb.UnimplementedTraceServiceServer
	server *grpc.Server

	mu      sync.Mutex
	spans   []span
	arrived chan struct{} // closed and replaced with each arrival
}

// startCollector serves at a free loopback port and returns its address.
func startCollector(ctx context.Context) (*collector, string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	c := &collector{server: grpc.NewServer(), arrived: make(chan struct{})}
	collectorpb.RegisterTraceServiceServer(c.server, c)
	metricspb.RegisterMetricsServiceServer(c.server, metricsSink{})
	go func() { _ = c.server.Serve(listener) }() // ends with Stop
	return c, listener.Addr().String(), nil
}

// metricsSink takes metrics, which the demo does not show.
type metricsSink struct {
	metricspb.UnimplementedMetricsServiceServer
}

func (metricsSink) Export(context.Context, *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error) {
	return &metricspb.ExportMetricsServiceResponse{}, nil
}

// Export takes one batch.
func (c *collector) Export(_ context.Context, req *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range req.GetResourceSpans() {
		service := serviceName(rs.GetResource())
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans = append(c.spans, newSpan(service, s))
			}
		}
	}
	close(c.arrived)
	c.arrived = make(chan struct{})
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

// wait returns the spans as soon as they are complete.
func (c *collector) wait(ctx context.Context, complete func([]span) bool) ([]span, error) {
	for {
		c.mu.Lock()
		spans, arrived := c.spans, c.arrived
		c.mu.Unlock()
		if complete(spans) {
			return spans, nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return spans, errors.Join(errors.New("spans are missing"), context.Cause(ctx))
		}
	}
}

// tokensSeen counts attributes that hold a complete token.
func (c *collector) tokensSeen() (attrs, leaks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		for _, v := range s.attrs {
			attrs++
			if tokenPattern.MatchString(v) {
				leaks++
			}
		}
	}
	return attrs, leaks
}

func newSpan(service string, s *tracepb.Span) span {
	attrs := make(map[string]string)
	for _, kv := range s.GetAttributes() {
		attrs[kv.GetKey()] = text(kv.GetValue())
	}
	return span{
		service: service,
		kind:    s.GetKind(),
		trace:   hex.EncodeToString(s.GetTraceId()),
		id:      hex.EncodeToString(s.GetSpanId()),
		parent:  hex.EncodeToString(s.GetParentSpanId()),
		start:   instant(s.GetStartTimeUnixNano()),
		end:     instant(s.GetEndTimeUnixNano()),
		attrs:   attrs,
	}
}

func instant(unixNano uint64) time.Time {
	return time.Unix(0, int64(unixNano)) //nolint:gosec // overflows in the year 2262
}

func serviceName(r *resourcepb.Resource) string {
	for _, kv := range r.GetAttributes() {
		if kv.GetKey() == "service.name" {
			return kv.GetValue().GetStringValue()
		}
	}
	return ""
}

// text renders the scalar attributes; the demo looks at no others.
func text(v *commonpb.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *commonpb.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	case *commonpb.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	default:
		return ""
	}
}
