package hashchain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// tamperLog is a log of six lines, and its last head.
func tamperLog(t testing.TB, options ...func(*FileConfig)) (lines []string, head Head) {
	t.Helper()
	f := newFixture(t, append(options, unsynced)...)
	f.open(t)
	f.write(t, 5)
	head = f.file.Head()
	f.close(t)
	lines = slices.Collect(strings.Lines(string(f.content(t))))
	if len(lines) != 6 {
		t.Fatalf("%d lines", len(lines))
	}
	return lines, head
}

// rewrite chains the lines anew, as somebody can who has no key and needs none.
func rewrite(lines []string) []string {
	c := newChain(nil)
	head := c.head
	var out []string
	for i, text := range lines {
		l, ok := parseLine([]byte(strings.TrimSuffix(text, "\n")))
		if !ok {
			panic("no line")
		}
		_, rest, _ := strings.Cut(string(l.text), beforeEvent)
		head.Sequence = uint64(i + 1)
		text := fmt.Sprintf(`%s%d%s%s%s%s`, beforeSeq, head.Sequence, beforePrev, head.Hash, beforeEvent, rest)
		digits := hashOf(c.fn, []byte(text))
		head.Hash = string(digits[:])
		out = append(out, text+beforeHash+head.Hash+afterHash+"\n")
	}
	return out
}

// Covers AUD-01.
func TestVerifyFindsEveryBreak(t *testing.T) {
	lines, head := tamperLog(t)
	other, _ := tamperLog(t)
	type breaks []Break
	tests := map[string]struct {
		lines []string
		want  breaks
	}{
		"nothing changed":            {slices.Clone(lines), nil},
		"without the last newline":   {append(slices.Clone(lines[:5]), strings.TrimSuffix(lines[5], "\n")), nil},
		"removed from the middle":    {slices.Concat(lines[:2], lines[4:]), breaks{{Kind: BreakMissing, Line: 3, Sequence: 5, Detail: "2 after record 2"}}},
		"removed from the end":       {lines[:4], breaks{{Kind: BreakHead, Line: 5, Sequence: 6, Detail: "the log ends at record 4"}}},
		"removed from the beginning": {lines[2:], breaks{{Kind: BreakStart, Line: 1, Sequence: 3, Detail: "it should begin after record 0"}, {Kind: BreakHead, Line: 5, Sequence: 6, Detail: "what was read does not say which log it is of"}}},
		"everything removed":         {nil, breaks{{Kind: BreakStart, Line: 1, Detail: "there is no record"}, {Kind: BreakHead, Line: 1, Sequence: 6, Detail: "what was read does not say which log it is of"}}},
		"two exchanged": {[]string{lines[0], lines[1], lines[3], lines[2], lines[4], lines[5]}, breaks{
			{Kind: BreakMissing, Line: 3, Sequence: 4, Detail: "1 after record 2"},
			{Kind: BreakOrder, Line: 4, Sequence: 3, Detail: "it follows record 4"},
			{Kind: BreakMissing, Line: 5, Sequence: 5, Detail: "1 after record 3"},
		}},
		"repeated in the middle": {[]string{lines[0], lines[1], lines[1], lines[2], lines[3], lines[4], lines[5]}, breaks{{Kind: BreakOrder, Line: 3, Sequence: 2, Detail: "it follows record 2"}}},
		"the end repeated": {slices.Concat(lines, lines[4:]), breaks{
			{Kind: BreakOrder, Line: 7, Sequence: 5, Detail: "it follows record 6"},
		}},
		"put in from another log": {slices.Concat(lines[:3], other[3:4], lines[3:]), breaks{
			{Kind: BreakLink, Line: 4, Sequence: 4},
			{Kind: BreakOrder, Line: 5, Sequence: 4, Detail: "it follows record 4"},
		}},
		"replaced from another log": {slices.Concat(lines[:3], other[3:4], lines[4:]), breaks{{Kind: BreakLink, Line: 4, Sequence: 4}, {Kind: BreakLink, Line: 5, Sequence: 5}}},
		"another log":               {other, breaks{{Kind: BreakHead, Line: 7, Sequence: 6, Detail: "this is another log"}}},
		"another log behind it": {slices.Concat(lines, other), breaks{
			{Kind: BreakLog, Line: 7, Sequence: 1},
			{Kind: BreakOrder, Line: 7, Sequence: 1, Detail: "it follows record 6"},
		}},
		"changed": {
			slices.Concat(lines[:3], []string{strings.Replace(lines[3], "order.create", "order.delete", 1)}, lines[4:]),
			breaks{{Kind: BreakContent, Line: 4, Sequence: 4}},
		},
		"changed, with a hash that fits": {
			slices.Concat(lines[:3], rewrite([]string{lines[0], lines[1], lines[2], strings.Replace(lines[3], "order.create", "order.delete", 1)})[3:], lines[4:]),
			breaks{{Kind: BreakLink, Line: 5, Sequence: 5}},
		},
		"changed into no record": {
			slices.Concat(lines[:3], []string{"something\n", "else\n"}, lines[4:]),
			breaks{{Kind: BreakText, Line: 4, Detail: "14 bytes"}, {Kind: BreakMissing, Line: 6, Sequence: 5, Detail: "1 after record 3"}},
		},
		"cut in the last line":   {append(slices.Clone(lines[:5]), lines[5][:40]), breaks{{Kind: BreakText, Line: 6, Detail: "40 bytes"}, {Kind: BreakHead, Line: 7, Sequence: 6, Detail: "the log ends at record 5"}}},
		"an empty line":          {slices.Concat(lines[:3], []string{"\n"}, lines[3:]), breaks{{Kind: BreakText, Line: 4, Detail: "0 bytes"}}},
		"a line without an end":  {slices.Concat(lines[:3], []string{strings.Repeat("x", 3*MaxLine), "\n"}, lines[3:]), breaks{{Kind: BreakText, Line: 4, Detail: fmt.Sprintf("%d bytes", 3*MaxLine)}}},
		"written anew, shorter":  {rewrite(slices.Concat(lines[:3], lines[4:])), breaks{{Kind: BreakHead, Line: 6, Sequence: 6, Detail: "the log ends at record 5"}}},
		"written anew, as long":  {rewrite(slices.Concat(lines[:3], lines[4:], lines[5:])), breaks{{Kind: BreakHead, Line: 7, Sequence: 6, Detail: "the line is another one"}}},
		"not begun by a process": {rewrite(lines[1:]), breaks{{Kind: BreakStart, Line: 1, Sequence: 1, Detail: "it should begin after record 0"}, {Kind: BreakHead, Line: 6, Sequence: 6, Detail: "what was read does not say which log it is of"}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			report, err := Verify(strings.NewReader(strings.Join(tc.lines, "")), VerifyOptions{Heads: []Head{head}})
			if diff := cmp.Diff(tc.want, breaks(report.Breaks)); diff != "" {
				t.Errorf("breaks (-want +got):\n%s", diff)
			}
			if (err != nil) != (len(tc.want) > 0) || err != nil && !errors.Is(err, ErrBroken) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// Covers AUD-01, AUD-02.
func TestOnlyAKeyOrACheckpointTellsThatALogWasWrittenAnew(t *testing.T) {
	plain, head := tamperLog(t)
	forged := strings.Join(rewrite(slices.Concat(plain[:3], plain[4:])), "")
	if _, err := Verify(strings.NewReader(forged), VerifyOptions{}); err != nil {
		t.Errorf("docs/audit-log.md says that this is not found: %v", err)
	}
	if _, err := Verify(strings.NewReader(forged), VerifyOptions{Heads: []Head{head}}); !errors.Is(err, ErrBroken) {
		t.Errorf("with a checkpoint: %v", err)
	}

	keyed, _ := tamperLog(t, withKey)
	whole := strings.Join(keyed, "")
	stripped := strings.Join(rewrite(keyed), "")
	withoutMark := strings.NewReplacer(`"hmac-sha256"`, `"sha256"`, `,"txn_token.audit.key":"`+keyName(testKey)+`"`, "")
	downgraded := make([]string, len(keyed))
	for i, text := range keyed {
		downgraded[i] = withoutMark.Replace(text)
	}
	for name, tc := range map[string]struct {
		text string
		key  []byte
		want BreakKind
	}{
		"as written":              {whole, testKey, ""},
		"without the key":         {whole, nil, BreakKey},
		"with another key":        {whole, bytes.Repeat([]byte{8}, 32), BreakKey},
		"written anew, no key":    {stripped, testKey, BreakContent},
		"written anew as keyless": {strings.Join(rewrite(downgraded), ""), testKey, BreakKey},
		"a log that has no key":   {strings.Join(plain, ""), testKey, BreakKey},
	} {
		report, err := Verify(strings.NewReader(tc.text), VerifyOptions{Key: tc.key})
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, ErrBroken) || report.Breaks[0].Kind != tc.want {
			t.Errorf("%s: %v", name, err)
		}
		if tc.want == BreakKey && len(report.Breaks) != 1 {
			t.Errorf("%s: one cause is reported as %v", name, report.Breaks)
		}
	}
}

// Covers AUD-03.
func TestTornTextThatWasChangedIsFound(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	f.write(t, 1)
	f.crash(t)
	f.replace(t, append(f.content(t), `{"seq":3,"prev":"half`...))
	f.open(t)
	f.close(t)
	f.intact(t)
	whole := string(f.content(t))
	for _, forged := range []string{"full", "hal", "half\n", ""} {
		report, err := Verify(strings.NewReader(strings.Replace(whole, "half", forged, 1)), VerifyOptions{})
		if !errors.Is(err, ErrBroken) || report.Breaks[0].Kind != BreakTorn {
			t.Errorf("%q: %v", forged, err)
		}
	}
	if _, err := Verify(strings.NewReader(strings.Replace(whole, `{"seq":3,"prev":"half`+"\n", "", 1)), VerifyOptions{}); !errors.Is(err, ErrBroken) {
		t.Errorf("removed: %v", err)
	}
}

func TestReportIsBounded(t *testing.T) {
	lines, _ := tamperLog(t)
	text := lines[0] + strings.Repeat(lines[3], 1000)
	report, err := Verify(strings.NewReader(text), VerifyOptions{MaxBreaks: 5})
	if err == nil || len(report.Breaks) != 5 || report.MoreBreaks != 995 {
		t.Errorf("%d breaks and %d more, %v", len(report.Breaks), report.MoreBreaks, err)
	}
	// Much text without a newline takes no more memory than one line.
	const size = 16 << 20
	zeros := func() io.Reader { return io.LimitReader(zeroReader{}, size) }
	result := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			_, _ = Verify(zeros(), VerifyOptions{})
		}
	})
	if result.AllocedBytesPerOp() > size/16 {
		t.Errorf("%d bytes of memory for %d bytes of text", result.AllocedBytesPerOp(), size)
	}
}

// zeroReader never ends.
type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestVerifyReportsWhatItCannotRead(t *testing.T) {
	lines, _ := tamperLog(t)
	broken := errors.New("I/O error")
	for name, r := range map[string]io.Reader{
		"at once":       iotest.ErrReader(broken),
		"in the middle": io.MultiReader(strings.NewReader(lines[0]+lines[1][:30]), iotest.ErrReader(broken)),
		"in a long line": io.MultiReader(
			io.LimitReader(zeroReader{}, 2*MaxLine), iotest.ErrReader(broken)),
	} {
		if _, err := Verify(r, VerifyOptions{}); !errors.Is(err, broken) || errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]VerifyOptions{
		"a short key":          {Key: []byte("key")},
		"an empty key":         {Key: []byte{}},
		"a head without hash":  {Heads: []Head{{Sequence: 3}}},
		"an after without log": {After: Head{Sequence: 3, Hash: noHash}},
		"a negative bound":     {MaxBreaks: -1},
	} {
		if _, err := Verify(strings.NewReader(strings.Join(lines, "")), o); err == nil || errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBreakIsPrintedWithItsPlace(t *testing.T) {
	for want, b := range map[string]Break{
		"line 3: not a record: 5 bytes":                             {Kind: BreakText, Line: 3, Detail: "5 bytes"},
		"audit.jsonl:4: record 7: changed":                          {Kind: BreakContent, File: "audit.jsonl", Line: 4, Sequence: 7},
		"line 9: record 8: checkpoint does not hold: it ends there": {Kind: BreakHead, Line: 9, Sequence: 8, Detail: "it ends there"},
	} {
		if got := b.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	f := newFixture(b, unsynced)
	f.open(b)
	f.write(b, 10_000)
	f.close(b)
	content := f.content(b)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if _, err := Verify(bytes.NewReader(content), VerifyOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/record")
}

// Covers AUD-02.
func TestOnlyACheckpointFromBeforeTellsThatALogWasCutWhileNobodyWroteIt(t *testing.T) {
	for name, cut := range map[string]func(lines []string) string{
		"from the end":  func(lines []string) string { return strings.Join(lines[:3], "") },
		"the whole log": func([]string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, withKey)
			f.open(t)
			f.write(t, 5)
			f.close(t)
			f.replace(t, []byte(cut(slices.Collect(strings.Lines(string(f.content(t)))))))
			f.open(t)
			f.write(t, 5)
			f.close(t)
			newest := f.op.checkpoints()[len(f.op.checkpoints())-1:]
			if _, err := Verify(bytes.NewReader(f.content(t)), VerifyOptions{Key: testKey, Heads: newest}); err != nil {
				t.Errorf("docs/audit-log.md says that this is not found: %v", err)
			}
			if _, err := f.verify(t); !errors.Is(err, ErrBroken) {
				t.Errorf("with all checkpoints: %v", err)
			}
		})
	}
}
