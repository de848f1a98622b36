package interceptors

import (
	"context"
	"errors"
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
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// clientTelemetry holds the carrier's instruments.
type clientTelemetry struct {
	propagations metric.Int64Counter
	attached     []metric.AddOption
	signing      metric.Float64Histogram
	signingBy    []metric.RecordOption
	groups       metric.Int64Histogram
}

func (t *clientTelemetry) init(meter metric.Meter) error {
	var problems [3]error
	t.propagations, problems[0] = semconv.ClientPropagations.Int64Counter(meter)
	t.signing, problems[1] = semconv.ChainSignDuration.Float64Histogram(meter)
	t.groups, problems[2] = semconv.ChainGroupSize.Int64Histogram(meter)
	attached := attribute.NewSet(semconv.TokenOutcome.String(semconv.OutcomeAttached))
	t.attached = []metric.AddOption{metric.WithAttributeSet(attached)}
	signing := attribute.NewSet(semconv.ChainAlg.String(linkAlg))
	t.signingBy = []metric.RecordOption{metric.WithAttributeSet(signing)}
	return errors.Join(problems[:]...)
}

// reportAttached notes that one attempt carries what out says, and link if there is one.
func (c *Client) reportAttached(ctx context.Context, out *outbound, link callchain.Link, now time.Time) {
	c.telemetry.propagations.Add(ctx, 1, c.telemetry.attached...)
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	attrs := tokenAttributes(out.token, now)
	if !link.IsZero() {
		attrs = append(append(attrs, semconv.ChainMode.String(out.mode.String())), linkAttributes(link)...)
	}
	span.SetAttributes(attrs...)
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
