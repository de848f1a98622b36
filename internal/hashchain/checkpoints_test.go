package hashchain

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// headNumber returns a head that could be one.
func headNumber(n int) Head {
	return Head{Log: strings.Repeat("5", idSize), Sequence: uint64(n), Hash: fmt.Sprintf("%0*x", hashSize, n)}
}

const asCheckpoint = "event.name=txn_token.audit.checkpoint txn_token.audit.head="

// Covers AUD-02.
func TestCheckpointsAreFoundInTheLogOfOperations(t *testing.T) {
	for name, handler := range map[string]func(*strings.Builder) slog.Handler{
		"JSON": func(b *strings.Builder) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *strings.Builder) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			var op strings.Builder
			f := newFixture(t, func(c *FileConfig) {
				c.Path += ` with "quotes" {`
				c.Logger = slog.New(handler(&op)).With("a", "{")
			})
			for range 2 {
				f.open(t)
				f.write(t, 3)
				f.config.Logger.Warn("something else", "remote", " "+asCheckpoint+headNumber(7).String())
				f.close(t)
			}
			heads, err := ReadCheckpoints(strings.NewReader(op.String()))
			if err != nil || len(heads) != 4 {
				t.Fatalf("heads %v, %v in\n%s", heads, err, &op)
			}
			files, err := Files(f.config.Path)
			must(t, err)
			report, err := VerifyFiles(files, VerifyOptions{Heads: heads})
			if err != nil || report.Head != heads[3] {
				t.Errorf("report %+v, %v", report, err)
			}
			prefixed := strings.ReplaceAll("\n"+op.String(), "\n", "\nNov 22 12:00:00 host tratd[1]: ")
			if again, err := ReadCheckpoints(strings.NewReader(prefixed)); err != nil || !cmp.Equal(again, heads) {
				t.Errorf("with something before: %v, %v", again, err)
			}
		})
	}
}

func TestCheckpointsAmongOtherLines(t *testing.T) {
	one, two := headNumber(1), headNumber(2)
	for name, tc := range map[string]struct {
		text string
		want []Head
		err  string
	}{
		"none":                        {"", nil, ""},
		"another event":               {"event.name=txn_token.audit.opened txn_token.audit.head=" + one.String(), nil, ""},
		"another event in JSON":       {`{"event.name":"x","txn_token.audit.head":"` + one.String() + `","v":"txn_token.audit.checkpoint"}`, nil, ""},
		"a checkpoint without a head": {"event.name=txn_token.audit.checkpoint\n" + `{"event.name":"txn_token.audit.checkpoint"}`, nil, ""},
		"the last without a newline":  {asCheckpoint + one.String() + "\r\n" + asCheckpoint + two.String(), []Head{one, two}, ""},
		"the last is cut off":         {asCheckpoint + one.String() + "\n" + asCheckpoint + two.String()[:70], []Head{one}, ""},
		"one in between is cut off":   {asCheckpoint + one.String()[:70] + "\n" + asCheckpoint + two.String() + "\n", nil, "line 1: "},
		"one twice":                   {strings.Repeat(asCheckpoint+one.String()+"\n", 2), []Head{one}, ""},
		"a long line":                 {strings.Repeat("x", 3*MaxLine) + " " + asCheckpoint + one.String() + "\n" + asCheckpoint + two.String() + "\n", []Head{two}, ""},
		"a long line at the end":      {asCheckpoint + one.String() + "\n" + asCheckpoint + two.String() + strings.Repeat(" ", MaxLine), []Head{one}, ""},
		"quoted in a value":           {`msg="" remote=" ` + asCheckpoint + one.String() + `"` + "\n", nil, ""},
		"a quote that does not end":   {`tratd" x="` + " " + asCheckpoint + one.String() + "\n", []Head{one}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadCheckpoints(strings.NewReader(tc.text))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
	broken := errors.New("broken")
	if _, err := ReadCheckpoints(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func FuzzReadCheckpoints(f *testing.F) {
	head := headNumber(1).String()
	f.Add("time=x " + asCheckpoint + head + "\n")
	f.Add(`x {"event.name":"txn_token.audit.checkpoint","txn_token.audit.head":"` + head + `"}`)
	f.Add(`"a\"b"="c" d= =e ` + asCheckpoint + `"` + head + `"`)
	f.Fuzz(func(t *testing.T, text string) {
		heads, _ := ReadCheckpoints(strings.NewReader(text))
		for _, h := range heads {
			if h.check() != nil || !strings.Contains(text, h.Log) && !strings.Contains(text, `\`) {
				t.Errorf("head %v", h)
			}
		}
	})
}
