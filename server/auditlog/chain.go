package auditlog

import (
	"context"
	"hash"
	"log/slog"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/server"
)

// chain writes the lines of a log into its buffer, one at a time. Not for concurrent use.
type chain struct {
	fn    hash.Hash
	name  string // of fn
	key   string // name of its key
	head  Head   // the last line that counts; sequence 0 before the first
	draft Head   // the line in the buffer
	buf   []byte
}

func newChain(key []byte) chain {
	fn, name := newHash(key)
	return chain{fn: fn, name: name, key: keyName(key), head: Head{Hash: noHash}}
}

// record returns the line of a decision, newline included. It is valid until the next call.
func (c *chain) record(ctx context.Context, r *server.Record) []byte {
	name, _, _ := event(r)
	c.begin(name, r.Time)
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		c.add("trace_id", slog.StringValue(span.TraceID().String()))
		c.add("span_id", slog.StringValue(span.SpanID().String()))
	}
	for i := range fields {
		if v, ok := fields[i].value(r); ok {
			c.add(fields[i].key, v)
		}
	}
	return c.seal()
}

// mark returns a line about the log itself.
func (c *chain) mark(event string, now time.Time, m mark) []byte {
	c.begin(event, now)
	c.add(string(semconv.AuditLog), slog.StringValue(c.head.Log))
	c.add(string(semconv.AuditHash), slog.StringValue(c.name))
	if c.key != "" {
		c.add(string(semconv.AuditKey), slog.StringValue(c.key))
	}
	if m.Lost > 0 {
		c.add(string(semconv.AuditLost), slog.Uint64Value(m.Lost))
	}
	if m.Torn > 0 {
		c.add(string(semconv.AuditTornBytes), slog.Int64Value(m.Torn))
		c.add(string(semconv.AuditTornHash), slog.StringValue(m.TornHash))
	}
	return c.seal()
}

func (c *chain) begin(event string, at time.Time) {
	c.draft = Head{Log: c.head.Log, Sequence: c.head.Sequence + 1}
	c.buf = append(c.buf[:0], beforeSeq...)
	c.buf = strconv.AppendUint(c.buf, c.draft.Sequence, 10)
	c.buf = append(c.buf, beforePrev...)
	c.buf = append(c.buf, c.head.Hash...)
	c.buf = append(c.buf, beforeEvent...)
	c.buf = append(c.buf, event...)
	c.buf = append(c.buf, '"')
	c.add("time", slog.TimeValue(at))
}

func (c *chain) add(key string, v slog.Value) {
	c.buf = append(c.buf, ',', '"')
	c.buf = append(c.buf, key...)
	c.buf = append(c.buf, '"', ':')
	c.buf = appendValue(c.buf, v)
}

func (c *chain) seal() []byte {
	digits := hashOf(c.fn, c.buf)
	c.draft.Hash = string(digits[:])
	c.buf = append(c.buf, beforeHash...)
	c.buf = append(c.buf, digits[:]...)
	c.buf = append(c.buf, afterHash...)
	c.buf = append(c.buf, '\n')
	return c.buf
}

// commit makes the line in the buffer the last one.
func (c *chain) commit() { c.head = c.draft }
