package main

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
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
	file   *os.File                       // gets all spans as a Collector writes them
	onward collectorpb.TraceServiceClient // gets them too; nil for nobody
	conn   *grpc.ClientConn               // of onward

	mu      sync.Mutex
	spans   []span
	arrived chan struct{} // closed and replaced with each arrival
	failed  error         // to write the file
}

// startCollector serves at a free loopback port and returns its address. Spans are
// written to the file at path, and sent on to the collector at onward if there is one.
func startCollector(ctx context.Context, path, onward string) (*collector, string, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, "", err
	}
	c := &collector{server: grpc.NewServer(), file: file, arrived: make(chan struct{})}
	if onward != "" {
		if c.conn, err = grpc.NewClient(onward, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
			return nil, "", errors.Join(err, file.Close())
		}
		c.onward = collectorpb.NewTraceServiceClient(c.conn)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", errors.Join(err, c.close())
	}
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
func (c *collector) Export(ctx context.Context, req *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	if c.onward != nil {
		if _, err := c.onward.Export(ctx, req, grpc.WaitForReady(true)); err != nil {
			return nil, err
		}
	}
	line, err := exportLine(req)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		_, err = c.file.Write(line)
	}
	c.failed = errors.Join(c.failed, err)
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

// failure says why spans are not in the file.
func (c *collector) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// close stops serving.
func (c *collector) close() error {
	c.server.Stop()
	err := c.file.Close()
	if c.conn != nil {
		err = errors.Join(err, c.conn.Close())
	}
	return err
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

// secretsSeen counts attributes that hold a complete token or call chain.
func (c *collector) secretsSeen() (attrs, leaks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		for _, v := range s.attrs {
			attrs++
			if secretPattern.MatchString(v) {
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
