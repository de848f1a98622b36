package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// LogFormat is how a record looks.
type LogFormat int

// Formats of log records.
const (
	// JSON is one object per line.
	JSON LogFormat = iota
	// Text is key=value pairs on one line.
	Text
)

// NewLogger returns a logger that writes records of level and above to w, each with
// the trace and span of its context. It is the last line of defence against what must
// never be logged: whatever looks like a JWT is replaced. Callers still do not log any.
func NewLogger(w io.Writer, level slog.Level, format LogFormat) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr}
	if format == Text {
		return slog.New(spanHandler{slog.NewTextHandler(w, options)})
	}
	return slog.New(spanHandler{slog.NewJSONHandler(w, options)})
}

// spanHandler adds trace_id and span_id (OpenTelemetry: trace context in non-OTLP log
// formats).
type spanHandler struct{ slog.Handler }

func (h spanHandler) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h spanHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return spanHandler{h.Handler.WithAttrs(attrs)}
}

func (h spanHandler) WithGroup(name string) slog.Handler {
	return spanHandler{h.Handler.WithGroup(name)}
}

// jwtPart matches a part of a compact JWT from its first characters, an encoded "{".
var jwtPart = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)*`)

func redactAttr(_ []string, a slog.Attr) slog.Attr {
	var text string
	switch a.Value.Kind() { //nolint:exhaustive // the other kinds hold no text, and groups come one by one
	case slog.KindString:
		text = a.Value.String()
	case slog.KindAny:
		text = fmt.Sprint(a.Value.Any())
	}
	if strings.Contains(text, "eyJ") {
		a.Value = slog.StringValue(jwtPart.ReplaceAllString(text, "[redacted]"))
	}
	return a
}
