package chainlog

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/hashchain"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

// Damage is a place where a log is not as it was written.
type Damage struct {
	// File and Line are the place; Line counts from 1, and the end of the log is the line
	// after the last.
	File string
	Line int64
	// Text says what is wrong, in words for a person.
	Text string
	// Beginning says that nothing is wrong but that older files are elsewhere.
	Beginning bool
}

// Summary says how a log is as a whole.
type Summary struct {
	// ID is the id of the log; First and Last are the numbers of its lines.
	ID          string
	First, Last uint64
	// Calls is how many lines of calls there are that can be read.
	Calls int64
	// Lost is how many records the server says that it could not write, Torn how many
	// half-written lines a crash has left, as the log says itself.
	Lost uint64
	Torn int64
	// Own says that there is a line such as only chain logs have, damaged or not; Other, that
	// there is one of another kind of log.
	Own, Other bool
	// Closed says that the last line is the one of a log that was closed.
	Closed bool
	// Damage has the first 100 places, MoreDamage counts the others.
	Damage     []Damage
	MoreDamage int64
}

// ReadOptions tune Read. The zero value is a log without a key.
type ReadOptions struct {
	// Key is the one that the log was written with.
	Key Key
}

// Read reads the files of one log, in the order of the chain (see Files), and gives every
// line that is one to each. What is damaged is in the Summary and is passed over; only a
// file that cannot be read, and what each returns, is an error. Read needs the memory of
// one line.
func Read(paths []string, o ReadOptions, each func(*Entry) error) (Summary, error) {
	var s scan
	s.each = each
	report, err := hashchain.VerifyFiles(paths, hashchain.VerifyOptions{Key: o.Key, Each: s.line})
	return s.summary(&report, err)
}

// ReadFrom is Read for a log that is one stream.
func ReadFrom(r io.Reader, o ReadOptions, each func(*Entry) error) (Summary, error) {
	var s scan
	s.each = each
	report, err := hashchain.Verify(r, hashchain.VerifyOptions{Key: o.Key, Each: s.line})
	return s.summary(&report, err)
}

// Files returns the files of the log at path that are there, in the order of the chain: the
// rotated ones, and then path itself.
func Files(path string) ([]string, error) { return hashchain.Files(path) }

// Base returns the path of the log that a file belongs to by its name: without the number that
// rotation gave it.
func Base(path string) string { return hashchain.Base(path) }

// Join returns the files of two places in the order of the chain, if they are of one log, and
// nil if they only say so. Of two of which one is a copy of the other's beginning the longer
// one is returned. Whether lines were changed is for Read to say.
func Join(a, b []string) ([]string, error) { return hashchain.Join(a, b) }

// First tells of which log a file is, and which of its lines is the file's first.
func First(path string) (id string, sequence uint64, err error) {
	head, err := hashchain.First(path)
	return head.Log, head.Sequence, err
}

// ParseCall reads again what was Entry.Text of a call.
func ParseCall(text []byte) (*Call, time.Time, error) {
	var e Entry
	if err := e.parseCall(text); err != nil {
		return nil, time.Time{}, err
	}
	return e.Call, e.Time, nil
}

// scan goes through a log.
type scan struct {
	each   func(*Entry) error
	calls  int64
	file   string // of the line before
	own    bool
	other  bool
	closed bool
	damage []Damage
	more   int64
}

func (s *scan) line(l hashchain.Line) error {
	e := &Entry{File: l.File, Line: l.Number, Sequence: l.Sequence, Changed: l.Changed, Text: l.Text}
	problem := e.parse(l.Event, l.Text)
	s.other = s.other || errors.Is(problem, errEvent)
	s.own = s.own || isOwn(l.Event)
	if problem != nil {
		s.found(Damage{File: l.File, Line: l.Number, Text: problem.Error()})
		return nil //nolint:nilerr // what is damaged is passed over
	}
	e.Opened = l.Event == semconv.EventAuditOpened && s.file == l.File
	s.closed, s.file = e.Closed, l.File
	if e.Call != nil {
		s.calls++
	}
	return s.each(e)
}

func (s *scan) found(d Damage) {
	if len(s.damage) == hashchain.DefaultMaxBreaks {
		s.more++
		return
	}
	s.damage = append(s.damage, d)
}

func (s *scan) summary(report *hashchain.Report, err error) (Summary, error) {
	sum := Summary{
		ID: report.Head.Log, First: report.First, Last: report.Head.Sequence, Calls: s.calls,
		Lost: report.Lost, Torn: report.Torn, Own: s.own, Other: s.other, Closed: s.closed,
		Damage: s.damage, MoreDamage: s.more + report.MoreBreaks,
	}
	for _, b := range report.Breaks {
		text := string(b.Kind)
		if b.Sequence > 0 {
			text = fmt.Sprintf("record %d: %s", b.Sequence, text)
		}
		if b.Detail != "" {
			text += ": " + b.Detail
		}
		sum.Damage = append(sum.Damage, Damage{
			File: b.File, Line: b.Line, Text: text, Beginning: b.Kind == hashchain.BreakStart && report.First > 1,
		})
	}
	if err != nil && !errors.Is(err, hashchain.ErrBroken) {
		return sum, err
	}
	return sum, nil
}
