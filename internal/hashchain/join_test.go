package hashchain

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFilesAreJoinedThatGoOnWhereOthersEnd(t *testing.T) {
	f := newFixture(t, small, withKey)
	f.open(t)
	f.write(t, 20)
	f.close(t)
	files, err := Files(f.config.Path)
	must(t, err)
	for _, file := range files {
		if Base(file) != f.config.Path {
			t.Errorf("%s is of %s", file, Base(file))
		}
	}
	write := func(name string, text []byte) string {
		path := filepath.Join(t.TempDir(), name)
		must(t, os.WriteFile(path, text, 0o600))
		return path
	}
	text, err := os.ReadFile(files[1])
	must(t, err)
	lines := bytes.SplitAfter(text, newline)
	begun := write("begun", bytes.Join(lines[:2], nil))
	other := newFixture(t, withKey)
	other.open(t)
	other.write(t, 2)
	other.close(t)
	for name, tc := range map[string]struct{ a, b, want []string }{
		"a part in another place": {files[:2], files[2:], files},
		"the other way round":     {files[2:], files[:2], files},
		"one in the middle":       {slices.Concat(files[:1], files[2:]), files[1:2], files},
		"a copy":                  {files, []string{write("copy", text)}, files},
		"a copy of a beginning":   {[]string{begun}, files, files},
		"a gap":                   {files[:1], files[2:], nil},
		"another log":             {files, []string{other.config.Path}, nil},
		"other lines":             {files, []string{write("changed", bytes.Replace(text, lines[1], lines[2], 1))}, nil},
		"no line":                 {files, []string{write("text", []byte("text\n"))}, nil},
		"an empty file":           {files, []string{write("empty", nil)}, nil},
	} {
		got, err := Join(tc.a, tc.b)
		if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	if _, err := Join(files, []string{filepath.Join(t.TempDir(), "absent")}); err == nil {
		t.Error("a file that is not there: no error")
	}
	for _, path := range []string{"log", "log.1", "log.000000000000001x", "log.00000000000000001"} {
		if Base(path) != path {
			t.Errorf("the base of %s is %s", path, Base(path))
		}
	}
}

// To open a pipe is to wait for its other end; a directory does for it here, which every
// system has.
func TestOnlyFilesAreFiles(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	f.close(t)
	must(t, os.Mkdir(f.config.Path+".0000000000000001", 0o700))
	if _, err := Files(f.config.Path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v", err)
	}
}
