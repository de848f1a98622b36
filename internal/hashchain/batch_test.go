package hashchain

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// batch is n entries.
func batch(n int) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = record(testTime, i, "batch")
	}
	return entries
}

// Covers AUD-01.
func TestLinesOfABatchAreOneChain(t *testing.T) {
	f := newFixture(t, withKey)
	f.open(t)
	f.write(t, 1)
	for range 3 {
		if n, err := f.file.AppendAll(batch(5)); n != 5 || err != nil {
			t.Fatalf("%d written, %v", n, err)
		}
	}
	if n, err := f.file.AppendAll(nil); n != 0 || err != nil {
		t.Errorf("nothing: %d written, %v", n, err)
	}
	f.close(t)
	if report := f.intact(t); report.Records != 16 || report.Lost != 0 {
		t.Errorf("report %+v", report)
	}
	if n, err := OpenFile(f.config); err != nil {
		t.Error(n, err)
	} else {
		must(t, n.Close())
	}
}

func TestReadyTellsWhenAFileWasBegun(t *testing.T) {
	f := newFixture(t, small)
	f.open(t)
	var begun []int
	for range 30 {
		n, err := f.file.Ready()
		must(t, err)
		begun = append(begun, n)
		f.write(t, 1)
	}
	file := f.file
	f.close(t)
	files, err := Files(f.config.Path)
	must(t, err)
	if begun[0] != 1 || !slices.IsSorted(begun) || begun[29] != len(files) || len(files) < 3 {
		t.Errorf("begun %v, files %q", begun, files)
	}
	if _, err := file.Ready(); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// Whatever part of a batch fits on the disk, the lines that are whole count and the caller
// is told how many they are.
//
// Covers AUD-03.
func TestFullDiskInTheMiddleOfABatch(t *testing.T) {
	probe := newFixture(t)
	probe.open(t)
	before := len(probe.content(t))
	_, err := probe.file.AppendAll(batch(3))
	must(t, err)
	text := probe.content(t)[before:]
	for room := range len(text) - 1 {
		f := newFixture(t, unsynced)
		f.open(t)
		d := f.onDisk(room)
		n, err := f.file.AppendAll(batch(3))
		whole := bytes.Count(text[:room+1], []byte{'\n'}) // all but the newline counts
		if n != whole || !errors.Is(err, errFull) {
			t.Fatalf("room for %d bytes: %d written, want %d; error %v", room, n, whole, err)
		}
		d.room = -1
		if n, err := f.file.AppendAll(batch(3)[n:]); n != 3-whole || err != nil {
			t.Fatalf("room for %d bytes: %d written the second time, %v", room, n, err)
		}
		f.close(t)
		if report := f.intact(t); report.Records != 3 || report.Lost != 0 || report.Torn > 1 {
			t.Fatalf("room for %d bytes: report %+v", room, report)
		}
	}
}

func TestEntryThatIsTooLongEndsTheBatchBeforeIt(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	entries := batch(3)
	entries[1] = record(testTime, 1, strings.Repeat("x", MaxLine))
	if n, err := f.file.AppendAll(entries); n != 1 || !errors.Is(err, ErrTooLong) {
		t.Errorf("%d written, %v", n, err)
	}
	f.file.Lose(1)
	if n, err := f.file.AppendAll(entries[2:]); n != 1 || err != nil {
		t.Errorf("%d written, %v", n, err)
	}
	f.close(t)
	if report := f.intact(t); report.Records != 2 || report.Lost != 1 {
		t.Errorf("report %+v", report)
	}
}

func TestEachGetsEveryLine(t *testing.T) {
	lines, _ := tamperLog(t)
	lines[3] = strings.Replace(lines[3], "order.create", "order.delete", 1)
	lines = slices.Insert(lines, 2, "something else\n")
	var got []Line
	_, err := Verify(strings.NewReader(strings.Join(lines, "")), VerifyOptions{Each: func(l Line) error {
		if !json.Valid(l.Text) {
			t.Errorf("no JSON: %s", l.Text)
		}
		l.Text = nil
		got = append(got, l)
		return nil
	}})
	if !errors.Is(err, ErrBroken) {
		t.Errorf("error %v", err)
	}
	for i, l := range got {
		number := int64(i + 1)
		if i >= 2 {
			number++
		}
		if l.Sequence != uint64(i+1) || l.Number != number || l.Changed != (i == 3) || (l.Event == "txn_token.issued") != (i > 0) {
			t.Errorf("line %d: %+v", i, l)
		}
	}
	if len(got) != 6 {
		t.Errorf("%d lines", len(got))
	}
	enough := errors.New("enough")
	if _, err := Verify(strings.NewReader(lines[0]), VerifyOptions{Each: func(Line) error { return enough }}); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}
