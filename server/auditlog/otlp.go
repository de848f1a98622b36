package auditlog

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/server"
)

// OTLP is a server.Auditor that writes each record as an OpenTelemetry log record: event
// name, severity INFO or WARN, constant body, and the span of the call.
//
// What becomes of it is the provider's business. An SDK that exports in batches drops
// records when the collector is away for long, and tells nobody but its own error handler:
// this is a copy to search in, beside a File or a Log that is the record.
type OTLP struct{ logger log.Logger }

// NewOTLP makes one that writes to provider.
func NewOTLP(provider log.LoggerProvider) *OTLP {
	return &OTLP{logger: provider.Logger(semconv.ScopeName, log.WithSchemaURL(semconv.SchemaURL))}
}

// Record implements server.Auditor. A provider that discards the record, such as the no-op
// one, is an error.
func (o *OTLP) Record(ctx context.Context, r server.Record) error {
	event, level, message := event(&r)
	severity := log.SeverityInfo
	if level == slog.LevelWarn {
		severity = log.SeverityWarn
	}
	if !o.logger.Enabled(ctx, log.EnabledParameters{Severity: severity, EventName: event}) {
		return errors.New("auditlog: OpenTelemetry's logs are not exported, or configured to drop records of this level")
	}
	var record log.Record
	record.SetEventName(event)
	record.SetTimestamp(r.Time)
	record.SetSeverity(severity)
	record.SetSeverityText(level.String())
	record.SetBody(attribute.StringValue(message))
	attributes := make([]attribute.KeyValue, 0, len(fields))
	for i := range fields {
		if v, ok := fields[i].value(&r); ok {
			attributes = append(attributes, attribute.KeyValue{Key: attribute.Key(fields[i].key), Value: otelValue(v)})
		}
	}
	record.AddAttributes(attributes...)
	o.logger.Emit(ctx, record)
	return nil
}

// otelValue knows the kinds that fields have. OpenTelemetry has no time, so that one is
// text, as it is in the other sinks.
func otelValue(v slog.Value) attribute.Value {
	switch v.Kind() {
	case slog.KindString:
		return attribute.StringValue(v.String())
	case slog.KindInt64:
		return attribute.Int64Value(v.Int64())
	case slog.KindBool:
		return attribute.BoolValue(v.Bool())
	case slog.KindTime:
		return attribute.StringValue(v.Time().UTC().Format(time.RFC3339Nano))
	default:
		list, _ := v.Any().([]string)
		return attribute.StringSliceValue(list)
	}
}
