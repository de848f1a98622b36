package auditlog

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
)

var testTime = time.Date(2026, 11, 22, 12, 0, 0, 250e6, time.UTC)

// openTest begins a log.
func openTest(tb testing.TB) (file *File, path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "audit.jsonl")
	file, err := OpenFile(FileConfig{Path: path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = file.Close() })
	return file, path
}

// Covers TTS-42, AUD-01.
func TestLineHasWhatTheLogHas(t *testing.T) {
	file, path := openTest(t)
	r := fullRecord(t)
	r.RequestID = "a \"quoted\"\nline \x00\xff ü"
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	if err := file.Record(trace.ContextWithSpanContext(t.Context(), span), r); err != nil {
		t.Fatal(err)
	}
	file.Checkpoint()
	head := file.Head()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte{'\n'})
	var got, want map[string]any
	if err := json.Unmarshal(lines[1], &got); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if err := NewLog(slog.New(slog.NewJSONHandler(&log, nil))).Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(log.Bytes(), &want); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"level", "msg"} {
		delete(want, key)
	}
	want["trace_id"], want["span_id"] = "01000000000000000000000000000000", "0200000000000000"
	want["seq"], want["prev"], want["hash"] = 2.0, got["prev"], got["hash"]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	files, err := Files(path)
	if err != nil {
		t.Fatal(err)
	}
	if report, err := VerifyFiles(files, VerifyOptions{Heads: []Head{head}}); err != nil || report.Records != 1 {
		t.Errorf("report %+v, %v", report, err)
	}
}

func BenchmarkRecord(b *testing.B) {
	file, _ := openTest(b)
	r := fullRecord(b)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := file.Record(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
}
