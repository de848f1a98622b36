package interceptors

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// traceMatch is whether the trace context that came with a call is the one that its
// caller signed.
type traceMatch uint8

const (
	traceAbsent  traceMatch = iota // neither came, so there is nothing to compare
	traceMatches                   // both, and they are equal
	traceDiffers                   // only one, or another
)

// matchTrace compares the received trace context with what a link says about its call.
func matchTrace(received, signed callchain.Trace) traceMatch {
	switch {
	case signed.IsZero() && received.IsZero():
		return traceAbsent
	case signed == received:
		return traceMatches
	default:
		return traceDiffers
	}
}

// receivedTrace is the trace context of the incoming metadata (traceparent, W3C Trace
// Context); zero when there is none, or none that is valid. The context's span will not do:
// it is this server's own, and where no spans are made, or a sampler of this server began a
// new trace, it says nothing about what was received.
func receivedTrace(ctx context.Context) callchain.Trace {
	values := metadata.ValueFromIncomingContext(ctx, traceparentKey)
	if len(values) == 0 {
		return callchain.Trace{}
	}
	// The first, as otelgrpc takes it.
	inside := propagation.TraceContext{}.Extract(context.Background(), traceparent(values[0]))
	return traceOf(trace.SpanContextFromContext(inside)) //nolint:contextcheck // ctx has a span of its own
}

// traceOf is what a link says about a call with span context sc.
func traceOf(sc trace.SpanContext) callchain.Trace {
	if !sc.IsValid() {
		return callchain.Trace{}
	}
	return callchain.Trace{TraceID: sc.TraceID(), SpanID: sc.SpanID()}
}

// traceparentKey is the metadata key of W3C Trace Context.
const traceparentKey = "traceparent"

// traceparent is a propagation.TextMapCarrier of that key alone.
type traceparent string

// Get implements propagation.TextMapCarrier.
func (t traceparent) Get(key string) string {
	if key == traceparentKey {
		return string(t)
	}
	return ""
}

// Set implements propagation.TextMapCarrier. Nothing is set: this one is for reading.
func (traceparent) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (traceparent) Keys() []string { return []string{traceparentKey} }
