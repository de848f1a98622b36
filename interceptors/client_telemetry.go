package interceptors

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// clientTelemetry holds the carrier's instruments.
type clientTelemetry struct {
	propagations metric.Int64Counter
	attached     []metric.AddOption
}

func (t *clientTelemetry) init(meter metric.Meter) (err error) {
	t.propagations, err = semconv.ClientPropagations.Int64Counter(meter)
	set := attribute.NewSet(semconv.TokenOutcome.String(semconv.OutcomeAttached))
	t.attached = []metric.AddOption{metric.WithAttributeSet(set)}
	return err
}

// reportAttached notes that one attempt carries token.
func (c *Client) reportAttached(ctx context.Context, token *trat.Token, now time.Time) {
	c.telemetry.propagations.Add(ctx, 1, c.telemetry.attached...)
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(tokenAttributes(token, now)...)
	}
}

// outcomeOf groups refusals; ErrorType has the reason itself.
func outcomeOf(reason trat.Reason) string {
	switch reason {
	case trat.ReasonTxnTokenMissing:
		return semconv.OutcomeAbsent
	case trat.ReasonTxnTokenExpired:
		return semconv.OutcomeExpired
	default:
		return semconv.OutcomeBlocked
	}
}

// refusal is a call that was refused here.
type refusal struct {
	method string
	// attempt says that a connection was reached: the context's span is the call's own
	// client span. Otherwise it is that of the caller, and left alone.
	attempt bool
	server  spiffeid.ID
	err     error
}

// refuse counts and logs r and returns the error for the caller.
func (c *Client) refuse(ctx context.Context, r refusal) error {
	reason := reasonOf(r.err)
	outcome := outcomeOf(reason)
	c.telemetry.propagations.Add(ctx, 1, metric.WithAttributes(
		semconv.TokenOutcome.String(outcome), semconv.ErrorType.String(string(reason))))
	if span := trace.SpanFromContext(ctx); r.attempt && span.IsRecording() {
		span.SetAttributes(semconv.TokenResult.String(resultOf(reason)), semconv.ErrorType.String(string(reason)))
	}
	attrs := []slog.Attr{
		slog.String(string(semconv.ErrorType), string(reason)),
		slog.String(string(semconv.TokenOutcome), outcome),
		slog.String(string(semconv.RPCMethod), strings.TrimPrefix(r.method, "/")),
		slog.String("server.id", peerName(r.server)),
		slog.String("cause", r.err.Error()),
	}
	if reason == trat.ReasonEgressBlocked {
		attrs = append(attrs, slog.String(semconv.EventName, semconv.EventEgressBlocked))
	}
	c.logs.warn(ctx, &c.settings, "TraT carrier refused a call", attrs...)
	return grpcerr.Error(r.err)
}
