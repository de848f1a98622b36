package server

import (
	"context"
	"encoding/base64"
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
// in it waits but what subject verifiers fetch and policy decision points say.
type telemetry struct {
	issuances      metric.Int64Counter
	duration       metric.Float64Histogram
	lifetime       metric.Float64Histogram
	size           metric.Int64Histogram
	sizeAlarms     metric.Int64Counter
	droppedMembers metric.Int64Counter
	auditFailures  metric.Int64Counter
}

func newTelemetry(provider metric.MeterProvider) (*telemetry, error) {
	meter := provider.Meter(semconv.ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
	var t telemetry
	var errs [7]error
	t.issuances, errs[0] = semconv.Issuances.Int64Counter(meter)
	t.duration, errs[1] = semconv.IssuanceDuration.Float64Histogram(meter)
	t.lifetime, errs[2] = semconv.TokenLifetime.Float64Histogram(meter)
	t.size, errs[3] = semconv.IssuedTokenSize.Int64Histogram(meter)
	t.sizeAlarms, errs[4] = semconv.SizeAlarms.Int64Counter(meter)
	t.droppedMembers, errs[5] = semconv.DroppedMembers.Int64Counter(meter)
	t.auditFailures, errs[6] = semconv.AuditFailures.Int64Counter(meter)
	return &t, errors.Join(errs[:]...)
}

func (t *telemetry) auditFailed(ctx context.Context) { t.auditFailures.Add(ctx, 1) }

func (t *telemetry) sizeAlarm(ctx context.Context) { t.sizeAlarms.Add(ctx, 1) }

// concluded records one decision. Metrics get closed sets of values only.
func (t *telemetry) concluded(ctx context.Context, r *Record, o outcome, now time.Time) {
	result := semconv.TokenResult.String(o.result)
	tokenType := semconv.OtherSubjectTokenType
	if r.SubjectTokenType != "" {
		tokenType = r.SubjectTokenType
	}
	labels := []attribute.KeyValue{result, semconv.TokenSubjectTokenType.String(tokenType)}
	if o.reason != "" {
		labels = append(labels, semconv.ErrorType.String(string(o.reason)))
	}
	if r.Repeated {
		labels = append(labels, semconv.TokenRepeated.Bool(true))
	}
	t.issuances.Add(ctx, 1, metric.WithAttributes(labels...))
	t.duration.Record(ctx, now.Sub(r.Time).Seconds(), metric.WithAttributes(result))
	if r.Issued() && !r.Repeated {
		t.lifetime.Record(ctx, r.Expiry.Sub(r.IssuedAt).Seconds())
		t.size.Record(ctx, int64(r.TokenSize))
		for _, member := range r.DroppedMembers {
			// The names are the policy's: as many as it has optional members.
			t.droppedMembers.Add(ctx, 1, metric.WithAttributes(semconv.TokenDroppedMember.String(member)))
		}
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(labels...)
		span.SetAttributes(spanAttributes(r, now)...)
	}
}

// spanAttributes are those beside the metrics' labels.
func spanAttributes(r *Record, now time.Time) []attribute.KeyValue {
	var attributes []attribute.KeyValue
	if r.Requester != "" {
		attributes = append(attributes, semconv.TokenReqWL.String(r.Requester))
	}
	if !r.Issued() {
		return attributes
	}
	if r.ReplacementCount > 0 {
		attributes = append(attributes, semconv.TokenReplacementCount.Int(r.ReplacementCount))
	}
	if digest, err := base64.RawURLEncoding.DecodeString(r.Fingerprint); err == nil {
		attributes = append(attributes, semconv.TokenHash.String(hex.EncodeToString(digest[:8])))
	}
	return append(attributes,
		semconv.TokenTxn.String(r.TransactionID),
		semconv.TokenSize.Int(r.TokenSize),
		semconv.TokenRemainingLifetime.Float64(r.Expiry.Sub(now).Seconds()),
	)
}
