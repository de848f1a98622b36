package auditlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestErrorsHaveTheNameOfThisPackage(t *testing.T) {
	file, path := openTest(t)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(t.TempDir(), "absent")
	for name, f := range map[string]func() error{
		"all problems of a configuration": func() error {
			_, err := OpenFile(FileConfig{Key: []byte("short"), MaxSize: -1})
			return err
		},
		"a directory that is not there": func() error {
			_, err := OpenFile(FileConfig{Path: filepath.Join(absent, "x"), Logger: slog.New(slog.DiscardHandler)})
			return err
		},
		"no log": func() error {
			other := filepath.Join(t.TempDir(), "other")
			if err := os.WriteFile(other, []byte("x\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := OpenFile(FileConfig{Path: other, Logger: slog.New(slog.DiscardHandler)})
			return err
		},
		"a closed log":    func() error { return file.Record(t.Context(), fullRecord(t)) },
		"a head":          func() error { _, err := ParseHead("x"); return err },
		"files":           func() error { _, err := Files(absent); return err },
		"wrong options":   func() error { _, err := VerifyFiles(nil, VerifyOptions{Key: []byte("x"), MaxBreaks: -1}); return err },
		"an absent file":  func() error { _, err := VerifyFiles([]string{absent}, VerifyOptions{}); return err },
		"a broken log":    func() error { _, err := Verify(strings.NewReader("x\n"), VerifyOptions{}); return err },
		"no read":         func() error { _, err := Verify(failingReader{}, VerifyOptions{}); return err },
		"the checkpoints": func() error { _, err := ReadCheckpoints(failingReader{}); return err },
	} {
		err := f()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for line := range strings.Lines(err.Error()) {
			if !strings.HasPrefix(line, "auditlog: ") || strings.Contains(line, "hashchain") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
	if _, err := VerifyFiles([]string{absent}, VerifyOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file is %v", err)
	}
	if report, err := VerifyFiles([]string{path}, VerifyOptions{Key: make([]byte, 32)}); !errors.Is(err, ErrBroken) ||
		len(report.Breaks) != 1 || report.Breaks[0].Kind != BreakKey || !strings.Contains(err.Error(), report.Breaks[0].String()) {
		t.Errorf("report %+v, %v", report, err)
	}
}

// failingReader cannot be read.
type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, fs.ErrPermission }

// Covers PRIV-01.
func TestConfigurationDoesNotPrintItsKey(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	config, options := FileConfig{Path: "audit.jsonl", Key: key}, VerifyOptions{Key: key}
	for name, v := range map[string]any{
		"a config": config, "a pointer to one": &config, "one inside": struct{ C FileConfig }{config},
		"options": options, "a pointer to some": &options, "some inside": []VerifyOptions{options},
	} {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
		for _, secret := range []string{"01234567", "48 49 50", "0x30, 0x31", "3031323334", "MDEyMzQ1"} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s: %q is in:\n%s", name, secret, &out)
			}
		}
		if !strings.Contains(out.String(), "auditlog.") {
			t.Errorf("%s is printed as:\n%s", name, &out)
		}
	}
}
