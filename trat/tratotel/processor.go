// Package tratotel marks the spans of a transaction, for programs that set up the
// OpenTelemetry SDK.
//
// Guard and carrier write the transaction id on the spans of RPCs only. With this processor
// all spans below those have it, of databases, queues and a program's own functions, so that one
// query finds them in any backend:
//
//	sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tratotel.NewSpanProcessor()), ...)
//
// The id goes on spans and nowhere else. It is not put into baggage: that leaves with every
// request, to whomever it is made, and whoever receives it cannot tell who wrote it. The next
// service has the id from the TraT that it verifies itself.
package tratotel

import (
	"context"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// NewSpanProcessor returns a span processor that gives txn_token.txn, the id of the
// transaction, to every span that is started in a context with a verified TraT
// (trat.FromContext). It reads nothing else of the token, records nothing else, and leaves
// other spans alone. The server span of a guarded call begins before the token is verified: there
// the guard writes the attribute. It may stand anywhere among the processors, may be given
// to several providers, and holds nothing that would have to be flushed.
func NewSpanProcessor() sdktrace.SpanProcessor { return processor{} }

type processor struct{}

// OnStart marks the span. The context is the one that it is started in, whose values are
// those of the request also when the span is made the root of another trace.
func (processor) OnStart(parent context.Context, span sdktrace.ReadWriteSpan) {
	if t, ok := trat.FromContext(parent); ok {
		span.SetAttributes(semconv.TokenTxn.String(t.TransactionID()))
	}
}

// OnEnd does nothing.
func (processor) OnEnd(sdktrace.ReadOnlySpan) {}

// Shutdown does nothing.
func (processor) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (processor) ForceFlush(context.Context) error { return nil }
