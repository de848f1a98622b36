package chainlog

import (
	"errors"
	"log/slog"

	"github.com/grpc-trat/grpc-trat/internal/hashchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// line is one line of a batch, with what it means when it is not written.
type line struct {
	entry       hashchain.Entry
	certificate string // fingerprint
	bundle      bool
	call        bool
}

// write appends the lines of a batch.
func (f *File) write(batch []*callchain.Record) {
	lost := f.lost.Swap(0)
	f.log.Lose(lost)
	begun, err := f.log.Ready()
	if err != nil {
		f.lose(uint64(len(batch)))
		f.complain(lost+uint64(len(batch)), err)
		return
	}
	if begun != f.writer.begun {
		f.writer.begun, f.writer.bundle, f.writer.written = begun, nil, make(map[string]struct{})
	}
	var cause error
	lines := f.writer.bundleLines(f.clock())
	for _, r := range batch {
		if lines, err = f.writer.callLines(lines, r); err != nil {
			f.lose(1)
			lost, cause = lost+1, err
		}
	}
	entries := make([]hashchain.Entry, len(lines))
	for i := range lines {
		entries[i] = lines[i].entry
	}
	for len(lines) > 0 {
		n, failed := f.log.AppendAll(entries)
		if failed == nil {
			break
		}
		cause = failed
		lines, entries = lines[n:], entries[n:]
		skip := len(lines) // the disk is full
		if errors.Is(failed, hashchain.ErrTooLong) {
			skip = min(1, len(lines))
		}
		calls := f.writer.forget(lines[:skip])
		f.lose(calls)
		lost += calls
		lines, entries = lines[skip:], entries[skip:]
	}
	f.complain(lost, cause)
}

// lose counts records as lost that were in the queue.
func (f *File) lose(n uint64) {
	f.log.Lose(n)
	f.ever.Add(n)
}

// complain says now and then that records are lost: because of cause, or for want of room in
// the queue.
func (f *File) complain(lost uint64, cause error) {
	w := &f.writer
	w.unaccounted += lost
	if cause != nil {
		w.cause = cause
	}
	now := f.clock()
	if w.unaccounted == 0 || now.Sub(w.complained) < complaintInterval && !now.Before(w.complained) {
		return
	}
	attrs := []any{slog.Uint64("lost", w.unaccounted)}
	if w.cause != nil {
		attrs = append(attrs, slog.Any("error", w.cause))
	}
	f.logger.Error("chain log loses records", attrs...)
	w.complained, w.unaccounted, w.cause = now, 0, nil
}

// forget takes back what was noted of lines that are not written, and says how many calls
// they are of.
func (w *writer) forget(lines []line) (calls uint64) {
	for _, l := range lines {
		delete(w.written, l.certificate)
		if l.bundle {
			w.bundle = nil
		}
		if l.call {
			calls++
		}
	}
	return calls
}
