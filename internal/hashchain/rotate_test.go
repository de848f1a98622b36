package hashchain

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func small(c *FileConfig) { c.MaxSize = 2000 }

// Covers AUD-02.
func TestChainGoesOnInTheNextFile(t *testing.T) {
	f := newFixture(t, small, withKey)
	f.open(t)
	f.write(t, 20)
	f.close(t)
	f.open(t)
	f.write(t, 20)
	f.close(t)
	files, err := Files(f.config.Path)
	must(t, err)
	if len(files) < 5 || files[len(files)-1] != f.config.Path {
		t.Fatalf("files %q", files)
	}
	if report := f.intact(t); report.Records != 40 || report.Lost != 0 {
		t.Errorf("report %+v", report)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode() != 0o600 || info.Size() > 2000+1000 {
			t.Errorf("%s: %v, %d bytes", path, info.Mode(), info.Size())
		}
	}

	options := VerifyOptions{Key: testKey, Heads: f.op.checkpoints()}
	for name, order := range map[string][]string{
		"one in the middle is missing": slices.Concat(files[:2], files[3:]),
		"two are exchanged":            slices.Concat(files[:1], files[2:3], files[1:2], files[3:]),
		"one is there twice":           slices.Concat(files[:2], files[1:]),
		"the last is missing":          files[:len(files)-1],
		"the first is missing":         files[1:],
		"none":                         nil,
	} {
		if _, err := VerifyFiles(order, options); err == nil {
			t.Errorf("%s: no error", name)
		}
	}

	first, err := VerifyFiles(files[:1], VerifyOptions{Key: testKey})
	must(t, err)
	last := f.op.checkpoints()[len(f.op.checkpoints())-1]
	rest, err := VerifyFiles(files[1:], VerifyOptions{Key: testKey, After: first.Head, Heads: []Head{first.Head, last}})
	if err != nil || rest.First != first.Head.Sequence+1 || rest.Records+first.Records != 40 {
		t.Errorf("the part after the first file: %+v, %v", rest, err)
	}
}

// Covers AUD-03.
func TestCrashDuringRotation(t *testing.T) {
	for name, next := range map[string]func(t *testing.T, path string){
		"before the next file":    func(*testing.T, string) {},
		"with the next one empty": func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o600)) },
		"with half a line in the next one": func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte(`{"seq":17,"pre`), 0o600))
		},
	} {
		for end, torn := range map[string]string{"": "", ", half a line in the full one": `{"seq":5,"prev":"`, ", zeros in the full one": "\x00\x00"} {
			t.Run(name+end, func(t *testing.T) {
				f := newFixture(t)
				f.open(t)
				f.write(t, 3)
				f.crash(t)
				full := append(f.content(t), torn...)
				rotated := f.config.Path + ".0000000000000004"
				must(t, os.Rename(f.config.Path, rotated))
				must(t, os.WriteFile(rotated, full, 0o600))
				next(t, f.config.Path)
				f.open(t)
				f.write(t, 1)
				f.crash(t)
				f.open(t) // what is declared is declared once
				f.write(t, 1)
				f.close(t)
				wantTorn := int64(min(len(torn), 1))
				if strings.HasPrefix(name, "with half") {
					wantTorn++
				}
				if report := f.intact(t); report.Records != 5 || report.Torn != wantTorn {
					t.Errorf("report %+v", report)
				}
				if now, err := os.ReadFile(rotated); err != nil || !bytes.HasPrefix(now, full) {
					t.Errorf("what stood in the full file was changed: %v", err)
				}
			})
		}
	}
}

// Covers AUD-03.
func TestTornEndThatCannotBeDeclaredIsAnError(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	f.write(t, 3)
	f.crash(t)
	f.replace(t, append(f.content(t), `{"seq":5`...))
	rotated := f.config.Path + ".0000000000000004"
	must(t, os.Rename(f.config.Path, rotated))
	must(t, os.Chmod(rotated, 0o622))
	if _, err := OpenFile(f.config); err == nil || !strings.Contains(err.Error(), rotated) {
		t.Errorf("error %v", err)
	}
	must(t, os.Chmod(rotated, 0o600))
	f.open(t)
	f.close(t)
	if report := f.intact(t); report.Torn != 1 {
		t.Errorf("report %+v", report)
	}
}

// Covers AUD-03.
func TestRotationThatFailsStopsNothing(t *testing.T) {
	f := newFixture(t, small)
	f.open(t)
	// The name that the full file is to get is taken.
	for seq := range 30 {
		must(t, os.WriteFile(f.config.Path+".00000000000000"+string(rune('0'+seq/10))+string(rune('0'+seq%10)), nil, 0o600))
	}
	f.write(t, 20)
	f.close(t)
	if said := f.op.errors(); !slices.Contains(said, "audit log is not rotated") || len(said) > 5 {
		t.Errorf("said %q", said)
	}
	content := f.content(t)
	if report, err := Verify(bytes.NewReader(content), VerifyOptions{Heads: f.op.checkpoints()}); err != nil || report.Records != 20 {
		t.Errorf("report %+v, %v", report, err)
	}
}

// look lets the log find out what happened to its file.
func (f *fixture) look() { f.now = f.now.Add(2 * time.Second) }

// Covers AUD-02, AUD-03.
func TestFileThatIsMovedAwayIsContinuedInANewOne(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	f.write(t, 2)
	moved := filepath.Join(filepath.Dir(f.config.Path), "moved")
	must(t, os.Rename(f.config.Path, moved))
	f.write(t, 1)
	f.look()
	f.write(t, 2)
	f.close(t)
	report, err := VerifyFiles([]string{moved, f.config.Path}, VerifyOptions{Heads: f.op.checkpoints()})
	if err != nil || report.Records != 5 {
		t.Errorf("report %+v, %v", report, err)
	}
	if said := f.op.errors(); !slices.Equal(said, []string{"audit log was moved away or deleted"}) {
		t.Errorf("said %q", said)
	}
}

// Covers AUD-03.
func TestFileThatIsReplacedIsSetAside(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	f.write(t, 2)
	other := newFixture(t)
	other.open(t)
	other.write(t, 2)
	other.close(t)
	must(t, os.Rename(f.config.Path, f.config.Path+".stolen"))
	f.replace(t, other.content(t))
	f.look()
	f.write(t, 1)
	f.close(t)
	if said := f.op.errors(); !slices.Equal(said, []string{"audit log was replaced by another file"}) {
		t.Errorf("said %q", said)
	}
	report, err := f.verify(t)
	if err == nil || report.Breaks[0].Kind != BreakStart {
		t.Errorf("without the stolen file: %+v, %v", report, err)
	}
	report, err = VerifyFiles([]string{f.config.Path + ".stolen", f.config.Path}, VerifyOptions{Heads: f.op.checkpoints()})
	if err != nil || report.Records != 3 {
		t.Errorf("with the stolen file: %+v, %v", report, err)
	}
	if aside, err := filepath.Glob(f.config.Path + ".foreign-*"); err != nil || len(aside) != 1 {
		t.Errorf("set aside: %q, %v", aside, err)
	}
}

func TestTextOfSomebodyElseIsReportedAndEndsBeforeTheNextRecord(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	f.write(t, 2)
	file, err := os.OpenFile(f.config.Path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteString(`{"seq":`)
	must(t, err)
	must(t, file.Close())
	f.look()
	f.write(t, 2)
	f.close(t)
	if said := f.op.errors(); !slices.Equal(said, []string{"audit log was changed by somebody else"}) {
		t.Errorf("said %q", said)
	}
	report, err := f.verify(t)
	if err == nil || len(report.Breaks) != 1 || report.Breaks[0].Kind != BreakText || report.Breaks[0].Line != 4 || report.Records != 4 {
		t.Errorf("report %+v, %v", report, err)
	}
}

func TestFilesOfNoLog(t *testing.T) {
	if _, err := Files(filepath.Join(t.TempDir(), "audit.jsonl")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("error %v", err)
	}
	if _, err := VerifyFiles([]string{filepath.Join(t.TempDir(), "audit.jsonl")}, VerifyOptions{}); err == nil {
		t.Error("no error")
	}
}
