package auditlog

import (
	"context"
	"errors"
	"log/slog"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/server"
)

// Log is a server.Auditor that writes each record as one record of a structured log: level
// INFO with event.name txn_token.issued or txn_token.replaced, or WARN with
// txn_token.issuance.denied.
type Log struct{ handler slog.Handler }

// NewLog makes one that writes to logger's handler.
func NewLog(logger *slog.Logger) *Log {
	return &Log{handler: logger.Handler()}
}

// Record implements server.Auditor. A handler that discards the record's level is an error:
// an audit log has no gaps by configuration.
func (l *Log) Record(ctx context.Context, r server.Record) error {
	event, level, message := event(&r)
	if !l.handler.Enabled(ctx, level) {
		return errors.New("auditlog: the logger is configured to drop records of this level")
	}
	attrs := make([]slog.Attr, 0, 1+len(fields))
	attrs = append(attrs, slog.String(semconv.EventName, event))
	for i := range fields {
		if v, ok := fields[i].value(&r); ok {
			attrs = append(attrs, slog.Attr{Key: fields[i].key, Value: v})
		}
	}
	record := slog.NewRecord(r.Time, level, message, 0)
	record.AddAttrs(attrs...)
	return l.handler.Handle(ctx, record)
}
