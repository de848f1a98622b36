package telemetry

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"regexp"

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
	w = redactor{w}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: textOfBytes}
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

var jwtStart = []byte("eyJ")

// redactor is at the very end, where a record is one line of text: whatever type a value
// had, and in a key too, a token is found.
type redactor struct{ w io.Writer }

// Write takes whole records, as slog's handlers write them.
func (r redactor) Write(line []byte) (int, error) {
	if !bytes.Contains(line, jwtStart) {
		return r.w.Write(line)
	}
	if _, err := r.w.Write(jwtPart.ReplaceAll(line, []byte("[redacted]"))); err != nil {
		return 0, err
	}
	return len(line), nil
}

// textOfBytes has bytes written as text. In base64, as the JSON handler has them, a token
// could be read by everybody, but not by redactor.
func textOfBytes(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	if b, ok := a.Value.Any().([]byte); ok {
		a.Value = slog.StringValue(string(b))
	}
	return a
}
