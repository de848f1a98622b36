package client

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"log/slog"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/stats"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// keyMetrics are the instruments of the key watch.
type keyMetrics struct {
	refreshes metric.Int64Counter
	age       metric.Registration
}

func newKeyMetrics(p metric.MeterProvider, keys *keySet) (*keyMetrics, error) {
	meter := p.Meter(semconv.ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
	refreshes, err := meter.Int64Counter(semconv.KeysRefreshes.Name,
		metric.WithUnit(semconv.KeysRefreshes.Unit), metric.WithDescription(semconv.KeysRefreshes.Description))
	if err != nil {
		return nil, err
	}
	age, err := meter.Float64ObservableGauge(semconv.KeysAge.Name,
		metric.WithUnit(semconv.KeysAge.Unit), metric.WithDescription(semconv.KeysAge.Description))
	if err != nil {
		return nil, err
	}
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if d, ok := keys.age(); ok {
			o.ObserveFloat64(age, d.Seconds())
		}
		return nil
	}, age)
	if err != nil {
		return nil, err
	}
	return &keyMetrics{refreshes: refreshes, age: registration}, nil
}

// refreshed counts a message that was taken over.
func (m *keyMetrics) refreshed(ctx context.Context) {
	m.refreshes.Add(ctx, 1, metric.WithAttributes(semconv.TokenResult.String(semconv.ResultOK)))
}

// failed counts a message that was refused, or a watch that broke.
func (m *keyMetrics) failed(ctx context.Context, reason trat.Reason) {
	m.refreshes.Add(ctx, 1, metric.WithAttributes(
		semconv.TokenResult.String(semconv.ResultError), semconv.ErrorType.String(string(reason))))
}

// close stops observing the age.
func (m *keyMetrics) close() error { return m.age.Unregister() }

// rpcTelemetry is otelgrpc for Exchange. WatchKeys is left out: a span as long as
// the connection says nothing.
func rpcTelemetry(o *options) stats.Handler {
	return otelgrpc.NewClientHandler(
		otelgrpc.WithTracerProvider(o.tracers),
		otelgrpc.WithMeterProvider(o.meters),
		otelgrpc.WithFilter(func(info *stats.RPCTagInfo) bool {
			return info.FullMethodName != tratv1.TokenService_WatchKeys_FullMethodName
		}),
	)
}

// markSpan writes the transaction on the caller's span: it is where the
// transaction starts, and no guard will do it there.
func markSpan(ctx context.Context, t *trat.Token) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		semconv.TokenTxn.String(t.TransactionID()),
		tokenHash(t),
		semconv.TokenSize.Int(t.Size()),
	)
}

// tokenHash is the short hash of spans, made from the long one of logs.
func tokenHash(t *trat.Token) attribute.KeyValue {
	const digits = 16
	sum, err := base64.RawURLEncoding.DecodeString(t.Fingerprint())
	if err != nil {
		return attribute.KeyValue{}
	}
	return semconv.TokenHash.String(hex.EncodeToString(sum)[:digits])
}

// event logs under one of semconv's event names.
func event(ctx context.Context, log *slog.Logger, level slog.Level, name, message string, attrs ...slog.Attr) {
	log.LogAttrs(ctx, level, message, append(attrs, slog.String(semconv.EventName, name))...)
}
