package hashchain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

var (
	testTime = time.Date(2026, 11, 22, 12, 0, 0, 250e6, time.UTC)
	testKey  = bytes.Repeat([]byte{7}, 32)
)

// opLog is a log of operations: it keeps the checkpoints and the other messages apart.
type opLog struct {
	mu       sync.Mutex
	heads    []Head
	messages []string
	came     chan struct{} // gets a value for each checkpoint, while there is room
}

func newOpLog() *opLog { return &opLog{came: make(chan struct{}, 100)} }

func (o *opLog) logger() *slog.Logger { return slog.New(o) }

// Enabled is that of a log whose level is ERROR.
func (o *opLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

func (o *opLog) Handle(_ context.Context, r slog.Record) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	event := ""
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case semconv.EventName:
			event = a.Value.String()
		case string(semconv.AuditHead):
			head, err := ParseHead(a.Value.String())
			if err != nil {
				panic(err)
			}
			o.heads = append(o.heads, head)
		}
		return true
	})
	if event != semconv.EventAuditCheckpoint {
		o.messages = append(o.messages, r.Message)
		return nil
	}
	select {
	case o.came <- struct{}{}:
	default:
	}
	return nil
}

func (o *opLog) WithAttrs([]slog.Attr) slog.Handler { return o }
func (o *opLog) WithGroup(string) slog.Handler      { return o }

func (o *opLog) checkpoints() []Head {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]Head(nil), o.heads...)
}

func (o *opLog) errors() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.messages...)
}

// fixture is one log, which may be opened several times.
type fixture struct {
	config FileConfig
	op     *opLog
	now    time.Time
	file   *File
	count  int
}

// newFixture returns one without an open log. The intervals are long: a test that wants
// something to happen makes it happen.
func newFixture(t testing.TB, options ...func(*FileConfig)) *fixture {
	t.Helper()
	f := &fixture{op: newOpLog(), now: testTime}
	f.config = FileConfig{
		Path: filepath.Join(t.TempDir(), "audit.jsonl"), Logger: f.op.logger(),
		SyncInterval: time.Hour, CheckpointInterval: time.Hour, Clock: func() time.Time { return f.now },
	}
	for _, option := range options {
		option(&f.config)
	}
	t.Cleanup(func() {
		if f.file != nil {
			_ = f.file.Close()
		}
	})
	return f
}

func withKey(c *FileConfig) { c.Key = testKey }

func (f *fixture) open(t testing.TB) {
	t.Helper()
	file, err := OpenFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.file = file
}

func (f *fixture) close(t testing.TB) {
	t.Helper()
	if err := f.file.Close(); err != nil {
		t.Fatal(err)
	}
	f.file = nil
}

// crash ends the log as the end of its process does.
func (f *fixture) crash(t testing.TB) {
	t.Helper()
	f.file.mu.Lock()
	f.file.closing = true
	f.file.mu.Unlock()
	close(f.file.stop)
	f.file.loops.Wait()
	if err := errors.Join(f.file.file.Close(), f.file.lock.Close()); err != nil {
		t.Fatal(err)
	}
	f.file = nil
}

// try writes the next record.
func (f *fixture) try() error {
	f.count++
	return f.file.Append(record(f.now, f.count, "order.create"))
}

// record is an entry as an audit log has them.
func record(at time.Time, id int, scope string) Entry {
	return Entry{Event: "txn_token.issued", Time: at, Write: func(m *Members) {
		m.Add("id", slog.StringValue(fmt.Sprintf("%016x", id)))
		m.Add("requester", slog.StringValue("spiffe://shop.test/gateway"))
		m.Add("scope", slog.StringValue(scope))
	}}
}

// write writes n records.
func (f *fixture) write(t testing.TB, n int) {
	t.Helper()
	for range n {
		if err := f.try(); err != nil {
			t.Fatal(err)
		}
	}
}

// verify reads the whole log, with its key and all its checkpoints.
func (f *fixture) verify(t testing.TB) (Report, error) {
	t.Helper()
	files, err := Files(f.config.Path)
	if err != nil {
		t.Fatal(err)
	}
	return VerifyFiles(files, VerifyOptions{Key: f.config.Key, Heads: f.op.checkpoints()})
}

// intact verifies, and wants a log without a break.
func (f *fixture) intact(t testing.TB) Report {
	t.Helper()
	report, err := f.verify(t)
	if err != nil {
		t.Fatalf("%v\n%v\n%s", err, report.Breaks, f.content(t))
	}
	return report
}

func (f *fixture) content(t testing.TB) []byte {
	t.Helper()
	content, err := os.ReadFile(f.config.Path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func (f *fixture) replace(t testing.TB, content []byte) {
	t.Helper()
	if err := os.WriteFile(f.config.Path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// disk is a file on a disk that gets full.
type disk struct {
	appender
	room    int // bytes; negative: any number
	syncs   int
	syncErr error
}

var errFull = &fs.PathError{Op: "write", Path: "audit.jsonl", Err: errors.New("no space left on device")}

func (d *disk) Write(b []byte) (int, error) {
	if d.room < 0 || len(b) <= d.room {
		return d.appender.Write(b)
	}
	n, err := d.appender.Write(b[:d.room])
	d.room -= n
	return n, errors.Join(err, errFull)
}

func (d *disk) Sync() error {
	d.syncs++
	return errors.Join(d.syncErr, d.appender.Sync())
}

// onDisk puts a disk with that much room under the open log.
func (f *fixture) onDisk(room int) *disk {
	d := &disk{appender: f.file.file, room: room}
	f.file.file = d
	return d
}
