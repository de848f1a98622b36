package hashchain

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
)

// unsynced is for tests that would spend their time in fsync.
func unsynced(c *FileConfig) { c.Sync = SyncNever }

// Covers AUD-03.
func TestCrashAtAnyByteIsFoundAndSurvived(t *testing.T) {
	f := newFixture(t, withKey, unsynced)
	f.open(t)
	f.write(t, 1)
	whole := len(f.content(t))
	f.write(t, 1)
	f.crash(t)
	content := f.content(t)
	for cut := range len(content) + 1 {
		f.replace(t, content[:cut])
		f.op, f.count = newOpLog(), 0
		f.config.Logger = f.op.logger()
		f.open(t)
		f.write(t, 1)
		f.crash(t)
		report, err := f.verify(t)
		if err != nil {
			t.Fatalf("cut at %d: %v\n%s", cut, err, f.content(t))
		}
		wantTorn := int64(0)
		if cut > 0 && content[cut-1] != '\n' && (cut == len(content) || content[cut] != '\n') {
			wantTorn = 1
		}
		if report.Torn != wantTorn {
			t.Errorf("cut at %d: %d torn lines, want %d", cut, report.Torn, wantTorn)
		}
		if !bytes.HasPrefix(f.content(t), content[:cut]) {
			t.Fatalf("cut at %d: what stood there was changed", cut)
		}
		if cut < whole-1 && report.Records != 1 {
			t.Errorf("cut at %d: %d records", cut, report.Records)
		}
	}
}

// Covers AUD-03.
func TestZerosAfterALossOfPowerAreDeclared(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	f.write(t, 2)
	f.crash(t)
	f.replace(t, append(f.content(t), make([]byte, 4096)...))
	f.open(t)
	f.write(t, 1)
	f.close(t)
	if report := f.intact(t); report.Torn != 1 || report.Records != 3 {
		t.Errorf("report %+v", report)
	}
}

// Covers AUD-03.
func TestFullDiskLosesRecordsButNotTheChain(t *testing.T) {
	probe := newFixture(t)
	probe.open(t)
	before := len(probe.content(t))
	probe.write(t, 1)
	length := len(probe.content(t)) - before
	for room := range length - 1 { // with but the newline missing, the record is there
		f := newFixture(t, unsynced)
		f.open(t)
		f.write(t, 1)
		d := f.onDisk(room)
		if err := f.try(); !errors.Is(err, errFull) {
			t.Fatalf("room for %d bytes: error %v", room, err)
		}
		d.room = room / 2 // of the line that would declare it
		if err := f.try(); !errors.Is(err, errFull) {
			t.Fatalf("room for %d bytes, second: error %v", room, err)
		}
		d.room = -1
		f.write(t, 2)
		f.close(t)
		report := f.intact(t)
		if report.Lost != 2 || report.Records != 3 || (report.Torn > 0) != (room > 0) {
			t.Errorf("room for %d bytes: report %+v", room, report)
		}
	}
}

func TestLineWithoutItsNewlineCounts(t *testing.T) {
	probe := newFixture(t)
	probe.open(t)
	before := len(probe.content(t))
	probe.write(t, 1)
	length := len(probe.content(t)) - before

	f := newFixture(t)
	f.open(t)
	d := f.onDisk(length - 1)
	f.write(t, 1)
	d.room = 1 // for the missing newline
	if err := f.try(); !errors.Is(err, errFull) {
		t.Fatalf("error %v", err)
	}
	d.room = -1
	f.write(t, 1)
	f.close(t)
	if report := f.intact(t); report.Records != 2 || report.Lost != 1 || report.Torn != 0 {
		t.Errorf("report %+v\n%s", report, f.content(t))
	}
}

// Covers AUD-03.
func TestCrashWhileTheDiskIsFull(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	f.write(t, 1)
	d := f.onDisk(40)
	if err := f.try(); err == nil {
		t.Fatal("no error")
	}
	d.room = 90
	if err := f.try(); err == nil {
		t.Fatal("no error")
	}
	f.crash(t)
	f.open(t)
	f.write(t, 1)
	f.close(t)
	if report := f.intact(t); report.Records != 2 || report.Torn != 1 {
		t.Errorf("report %+v", report)
	}
}

// Covers AUD-03.
func TestRecordThatIsTooLongIsLost(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	if err := f.file.Append(record(testTime, 1, strings.Repeat("x", MaxLine))); !errors.Is(err, ErrTooLong) {
		t.Errorf("error %v", err)
	}
	f.write(t, 1)
	f.close(t)
	if report := f.intact(t); report.Lost != 1 || report.Records != 1 {
		t.Errorf("report %+v", report)
	}
}

func TestLongestLineIsReadAgain(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	before := len(f.content(t))
	must(t, f.file.Append(record(testTime, 1, "")))
	room := MaxLine + 1 - (len(f.content(t)) - before)
	must(t, f.file.Append(record(testTime, 1, strings.Repeat("x", room))))
	f.crash(t)
	f.open(t)
	f.close(t)
	if report := f.intact(t); report.Records != 2 {
		t.Errorf("report %+v", report)
	}
	if longest := bytes.Split(f.content(t), []byte{'\n'})[2]; len(longest) != MaxLine {
		t.Errorf("line of %d bytes, want %d", len(longest), MaxLine)
	}
}

func TestFileIsRefusedWhoseTornEndIsTooLong(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	f.write(t, 1)
	f.crash(t)
	f.replace(t, append(f.content(t), make([]byte, tailSize+1)...))
	if _, err := OpenFile(f.config); err == nil || !strings.Contains(err.Error(), "does not end as an audit log does") {
		t.Errorf("error %v", err)
	}
	must(t, os.Remove(f.config.Path))
	f.open(t)
}
