package hashchain

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Covers AUD-01.
func TestFileHoldsEveryRecord(t *testing.T) {
	for name, option := range map[string]func(*FileConfig){"plain": func(*FileConfig) {}, "keyed": withKey} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, option)
			f.open(t)
			f.write(t, 3)
			f.close(t)
			f.open(t)
			f.write(t, 2)
			f.close(t)
			report := f.intact(t)
			if report.Records != 5 || report.Opened != 2 || report.Head.Sequence != 7 || report.First != 1 ||
				report.Lost != 0 || report.Torn != 0 || report.Keyed != (f.config.Key != nil) {
				t.Errorf("report %+v", report)
			}
		})
	}
}

// Every kind of value comes out as JSON that says the same.
func TestLineHasItsMembers(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	list := []string{"a", "b\n"}
	err := f.file.Append(Entry{Event: "x", Time: testTime, Write: func(m *Members) {
		m.Add("text", slog.StringValue("a \"quoted\"\nline \x00\xff ü"))
		m.Add("number", slog.Int64Value(-3))
		m.Add("count", slog.Uint64Value(3))
		m.Add("flag", slog.BoolValue(true))
		m.Add("at", slog.TimeValue(testTime))
		m.Add("list", slog.AnyValue(list))
	}})
	must(t, err)
	f.close(t)
	lines := bytes.Split(bytes.TrimSpace(f.content(t)), []byte{'\n'})
	var got map[string]any
	must(t, json.Unmarshal(lines[1], &got))
	want := map[string]any{
		"seq": 2.0, "prev": got["prev"], "hash": got["hash"], "event.name": "x", "time": "2026-11-22T12:00:00.25Z",
		"text": "a \"quoted\"\nline \x00\ufffd ü", "number": -3.0, "count": 3.0, "flag": true,
		"at": "2026-11-22T12:00:00.25Z", "list": []any{"a", "b\n"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

// Covers AUD-01.
func TestConcurrentRecordsMakeOneChain(t *testing.T) {
	f := newFixture(t, func(c *FileConfig) { c.MaxSize = 20_000; c.CheckpointRecords = 50; c.Sync = SyncRecord })
	f.open(t)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 50 {
				if err := f.file.Append(record(testTime, 0, "")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	f.close(t)
	if report := f.intact(t); report.Records != 400 {
		t.Errorf("%d records, want 400", report.Records)
	}
	if files, _ := Files(f.config.Path); len(files) < 4 {
		t.Errorf("files %q, want several", files)
	}
}

func TestSecondWriterIsRefused(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	_, err := OpenFile(f.config)
	if err == nil || !strings.Contains(err.Error(), "another process writes this log") {
		t.Errorf("error %v", err)
	}
	f.close(t)
	f.open(t)
}

func TestRecordAfterCloseIsAnError(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	file := f.file
	f.close(t)
	if err := file.Append(Entry{}); err == nil {
		t.Error("no error")
	}
	if err := file.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestOpenFileRefuses(t *testing.T) {
	tests := map[string]struct {
		prepare func(t *testing.T, c *FileConfig)
		want    []string
	}{
		"an empty configuration": {
			func(_ *testing.T, c *FileConfig) { *c = FileConfig{} },
			[]string{"Path is required", "Logger is required"},
		},
		"numbers that make no sense": {
			func(_ *testing.T, c *FileConfig) {
				c.Key, c.MaxSize, c.Sync, c.SyncInterval, c.CheckpointInterval, c.CheckpointRecords = []byte{1}, -1, 9, -1, -1, -1
			},
			[]string{
				"Key has fewer than 32 bytes", "MaxSize is negative", "Sync 9 is unknown", "SyncInterval is negative",
				"CheckpointInterval is negative", "CheckpointRecords is negative",
			},
		},
		"an empty key": {func(_ *testing.T, c *FileConfig) { c.Key = []byte{} }, []string{"Key has fewer than 32 bytes"}},
		"a directory that is not there": {
			func(_ *testing.T, c *FileConfig) { c.Path = filepath.Join(c.Path, "audit.jsonl") }, []string{"no such file"},
		},
		"a directory": {
			func(t *testing.T, c *FileConfig) { must(t, os.Mkdir(c.Path, 0o700)) }, []string{"not a regular file"},
		},
		"a pipe": {
			func(t *testing.T, c *FileConfig) { must(t, exec.CommandContext(t.Context(), "mkfifo", c.Path).Run()) },
			[]string{"not a regular file"},
		},
		"a symbolic link": {
			func(t *testing.T, c *FileConfig) {
				must(t, os.WriteFile(c.Path+".real", nil, 0o600))
				must(t, os.Symlink(c.Path+".real", c.Path))
			},
			[]string{"not a regular file"},
		},
		"a symbolic link to nothing": {
			func(t *testing.T, c *FileConfig) { must(t, os.Symlink(c.Path+".real", c.Path)) },
			[]string{"not a regular file"},
		},
		"a file that others may write": {
			func(t *testing.T, c *FileConfig) {
				must(t, os.WriteFile(c.Path, nil, 0o600))
				must(t, os.Chmod(c.Path, 0o620))
			},
			[]string{"can be written by others"},
		},
		"another file": {
			func(t *testing.T, c *FileConfig) { must(t, os.WriteFile(c.Path, []byte("root:x:0:0\n"), 0o600)) },
			[]string{"does not end as an audit log does"},
		},
		"a log of which the last line was changed": {
			func(t *testing.T, c *FileConfig) { change(t, c, "order.create", "order.delete") }, []string{"line 3 was changed, or written with another key"},
		},
		"a log with another key":  {func(t *testing.T, c *FileConfig) { change(t, c, "", ""); c.Key = testKey }, []string{"another key"}},
		"a log without beginning": {func(t *testing.T, c *FileConfig) { change(t, c, "{", "") }, []string{"does not begin as an audit log does"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			tc.prepare(t, &f.config)
			_, err := OpenFile(f.config)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
		})
	}
}

// change writes a log and changes it.
func change(t *testing.T, c *FileConfig, old, replacement string) {
	t.Helper()
	f := &fixture{config: *c, now: testTime, op: newOpLog()}
	f.open(t)
	f.write(t, 2)
	f.close(t)
	content := f.content(t)
	at := bytes.LastIndex(content, []byte(old))
	if old == "{" {
		at = 0
	}
	f.replace(t, append(content[:at:at], append([]byte(replacement), content[at+len(old):]...)...))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	for _, path := range []string{f.config.Path, f.config.Path + ".lock"} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	e := record(testTime, 1, strings.Repeat("x", 1000))
	for name, mode := range map[string]SyncMode{"memory": SyncNever, "periodic": SyncPeriodic, "disk": SyncRecord} {
		b.Run(name, func(b *testing.B) {
			f := newFixture(b, func(c *FileConfig) { c.Sync = mode; c.SyncInterval, c.CheckpointInterval = 0, 0 })
			f.open(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := f.file.Append(e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("disk, 32 callers", func(b *testing.B) {
		f := newFixture(b, func(c *FileConfig) { c.Sync = SyncRecord })
		f.open(b)
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := f.file.Append(e); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
