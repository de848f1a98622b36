package server

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

// telemetry are the instruments of the token service. Span attributes go on the span
// that the transport made for the RPC; issuing has no span of its own, since nothing
// in it waits but what subject verifiers fetch.
type telemetry struct {
	issuances     metric.Int64Counter
	duration      metric.Float64Histogram
	lifetime      metric.Float64Histogram
	size          metric.Int64Histogram
	auditFailures metric.Int64Counter
}

func newTelemetry(provider metric.MeterProvider) (*telemetry, error) {
	meter := provider.Meter(semconv.ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
	var t telemetry
	var errs [5]error
	t.issuances, errs[0] = semconv.Issuances.Int64Counter(meter)
	t.duration, errs[1] = semconv.IssuanceDuration.Float64Histogram(meter)
	t.lifetime, errs[2] = semconv.TokenLifetime.Float64Histogram(meter)
	t.size, errs[3] = semconv.IssuedTokenSize.Int64Histogram(meter)
	t.auditFailures, errs[4] = semconv.AuditFailures.Int64Counter(meter)
	return &t, errors.Join(errs[:]...)
}

func (t *telemetry) auditFailed(ctx context.Context) { t.auditFailures.Add(ctx, 1) }

// concluded records one decision. Metrics get closed sets of values only.
func (t *telemetry) concluded(ctx context.Context, a *attempt, o outcome, now time.Time) {
	result := semconv.TokenResult.String(o.result)
	tokenType := semconv.OtherSubjectTokenType
	if a.supported {
		tokenType = a.request.subjectTokenType
	}
	labels := []attribute.KeyValue{result, semconv.TokenSubjectTokenType.String(tokenType)}
	if o.reason != "" {
		labels = append(labels, semconv.ErrorType.String(string(o.reason)))
	}
	t.issuances.Add(ctx, 1, metric.WithAttributes(labels...))
	t.duration.Record(ctx, now.Sub(a.started).Seconds(), metric.WithAttributes(result))

	span := trace.SpanFromContext(ctx)
	if span.IsRecording() {
		span.SetAttributes(labels...)
		if !a.requester.ID.IsZero() {
			span.SetAttributes(semconv.TokenReqWL.String(a.requester.ID.String()))
		}
	}
	if o.reason != "" {
		return
	}
	t.lifetime.Record(ctx, a.claims.Expiry.Sub(a.claims.IssuedAt).Seconds())
	t.size.Record(ctx, int64(len(a.token)))
	if span.IsRecording() {
		span.SetAttributes(
			semconv.TokenTxn.String(a.claims.TransactionID),
			semconv.TokenHash.String(hex.EncodeToString(a.digest[:8])),
			semconv.TokenSize.Int(len(a.token)),
			semconv.TokenRemainingLifetime.Float64(a.claims.Expiry.Sub(now).Seconds()),
		)
	}
}
