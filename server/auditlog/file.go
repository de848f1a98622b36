package auditlog

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/internal/hashchain"
	"github.com/grpc-trat/grpc-trat/server"
)

// File is a server.Auditor that appends each record to a file, as one line of JSON that has
// a number and the hash of the line before. It never changes or removes what it has
// written. Safe for concurrent use; one process at a time may have it open.
//
// A record that cannot be written is lost, and Record returns the error. The next one that
// can be is preceded by a line that says how many were lost, and which bytes before it are
// the half of a line that a full disk left.
type File struct{ log *hashchain.File }

// OpenFile opens the log at c.Path, or begins one, and goes on where the log ends: in that
// file, or in the newest one that was rotated. What a crash has left of a half-written line
// stays and is declared. It fails if another process has the log open, if it is not a log,
// if its end was not written with this key, or if others than the owner may write it.
func OpenFile(c FileConfig) (*File, error) {
	log, err := hashchain.OpenFile(c.chain())
	if err != nil {
		return nil, named(err)
	}
	return &File{log: log}, nil
}

// Record implements server.Auditor. With SyncRecord it returns when the record is on disk.
func (f *File) Record(ctx context.Context, r server.Record) error {
	return named(f.log.Append(entry(ctx, &r)))
}

// entry is the line of a decision.
func entry(ctx context.Context, r *server.Record) hashchain.Entry {
	name, _, _ := event(r)
	return hashchain.Entry{Event: name, Time: r.Time, Write: func(m *hashchain.Members) {
		if span := trace.SpanContextFromContext(ctx); span.IsValid() {
			m.Add("trace_id", slog.StringValue(span.TraceID().String()))
			m.Add("span_id", slog.StringValue(span.SpanID().String()))
		}
		for i := range fields {
			if v, ok := fields[i].value(r); ok {
				m.Add(fields[i].key, v)
			}
		}
	}}
}

// Checkpoint forces the log to disk, unless with SyncNever, and gives its head to the
// logger if that has moved since the last time. A File does so by itself at the configured
// intervals, when it is opened, and when it is closed.
func (f *File) Checkpoint() { f.log.Checkpoint() }

// Head returns the last line that was written.
func (f *File) Head() Head { return Head(f.log.Head()) }

// Close writes a last checkpoint and closes the log. Later records are errors.
func (f *File) Close() error { return named(f.log.Close()) }
