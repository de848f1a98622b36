package hashchain

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

// verifier goes through a log line by line.
type verifier struct {
	after     Head
	maxBreaks int
	each      func(Line) error
	key       string            // its name
	hashName  string            // what the lines are chained with
	fn        hash.Hash         // that function
	heads     map[uint64][]Head // those that were not met yet

	file      string
	number    int64 // of the present line in file
	started   bool
	marked    bool   // a line has said what the log is chained with
	unchecked bool   // the key is wrong, so that no hash can be right
	text      region // what is no line, behind the last line
	report    Report
}

// region is text that is no line. It counts when a line declares it as torn.
type region struct {
	damage
	line int64 // where it begins
}

func newVerifier(o VerifyOptions) (*verifier, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	v := &verifier{after: o.After, maxBreaks: o.MaxBreaks, each: o.Each, key: keyName(o.Key), heads: make(map[uint64][]Head)}
	v.fn, v.hashName = newHash(o.Key)
	if v.maxBreaks == 0 {
		v.maxBreaks = DefaultMaxBreaks
	}
	for _, head := range o.Heads {
		v.heads[head.Sequence] = append(v.heads[head.Sequence], head)
	}
	v.report.Head = Head{Log: o.After.Log, Sequence: o.After.Sequence, Hash: noHash}
	if o.After.Sequence > 0 {
		v.report.Head.Hash = o.After.Hash
		v.meet()
	}
	return v, nil
}

// read goes through one file.
func (v *verifier) read(name string, r io.Reader) error {
	v.file, v.number = name, 0
	lines := bufio.NewReaderSize(r, MaxLine+1)
	for {
		text, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("hashchain: %w", err)
		}
		full := errors.Is(err, bufio.ErrBufferFull)
		if len(text) > 0 {
			v.number++
			text = bytes.TrimSuffix(text, newline)
			if l, ok := parseLine(text); ok && !full {
				changed := v.line(&l)
				if v.each != nil {
					each := Line{File: v.file, Number: v.number, Sequence: l.seq, Event: l.event, Text: text, Changed: changed}
					if err := v.each(each); err != nil {
						return err
					}
				}
			} else {
				v.unreadable(text)
			}
		}
		if full {
			if err = v.skip(lines); err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("hashchain: %w", err)
			}
		}
		if errors.Is(err, io.EOF) {
			v.number++
			v.undeclared()
			return nil
		}
	}
}

// skip takes the rest of a line that is too long for one.
func (v *verifier) skip(lines *bufio.Reader) error {
	for {
		text, err := lines.ReadSlice('\n')
		v.text.add(bytes.TrimSuffix(text, newline))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// unreadable notes text that is no line.
func (v *verifier) unreadable(text []byte) {
	if v.text.line == 0 {
		v.text.line = v.number
	} else {
		v.text.add(newline)
	}
	v.text.add(text)
}

// undeclared ends the region, if there is one, without a line that declares it.
func (v *verifier) undeclared() {
	if v.text.line > 0 {
		v.found(Break{Kind: BreakText, Line: v.text.line, Detail: fmt.Sprintf("%d bytes", v.text.torn)})
	}
	v.text = region{}
}

// line holds one line to those before, and says whether its text was changed.
func (v *verifier) line(l *line) (changed bool) {
	m, isMark := l.mark()
	if isMark && m.Torn > 0 {
		v.declared(l, &m)
	} else {
		v.undeclared()
	}
	if isMark {
		v.identity(l, &m)
	}
	if !v.unchecked {
		if want := hashOf(v.fn, l.text); l.hash != string(want[:]) {
			changed = true
			v.found(Break{Kind: BreakContent, Sequence: l.seq})
		}
	}
	v.position(l, isMark)
	v.report.Head.Sequence, v.report.Head.Hash = l.seq, l.hash
	if !v.started {
		v.started, v.report.First = true, l.seq
	}
	v.meet()
	switch {
	case !isMark:
		v.report.Records++
	case l.event == semconv.EventAuditOpened:
		v.report.Opened++
	default:
		v.report.Resumed++
	}
	v.report.Lost += m.Lost
	return changed
}

// declared compares the region with what l says about it.
func (v *verifier) declared(l *line, m *mark) {
	if v.text.line == 0 || v.text.torn != m.Torn || hex.EncodeToString(v.text.hash.Sum(nil)) != m.TornHash {
		v.found(Break{Kind: BreakTorn, Sequence: l.seq})
	}
	v.report.Torn++
	v.text = region{}
}

// identity compares which log and which key l is of with what is expected.
func (v *verifier) identity(l *line, m *mark) {
	switch {
	case v.report.Head.Log == "":
		v.report.Head.Log = m.Log
	case v.report.Head.Log != m.Log:
		v.found(Break{Kind: BreakLog, Sequence: l.seq})
		v.report.Head.Log = m.Log
	}
	if !v.marked {
		v.marked, v.report.Keyed = true, m.Key != ""
	}
	if v.unchecked || m.Hash == v.hashName && m.Key == v.key {
		return
	}
	v.unchecked = true
	detail := "the log was written with another key"
	switch {
	case m.Hash == plainHash:
		detail = "the log was written without a key"
	case v.key == "":
		detail = "the log was written with a key, which is needed to verify it"
	}
	v.found(Break{Kind: BreakKey, Sequence: l.seq, Detail: detail})
}

// position compares the place of l in the chain with the line before.
func (v *verifier) position(l *line, isMark bool) {
	before := v.report.Head
	b := Break{Sequence: l.seq}
	switch {
	case l.seq == before.Sequence+1 && l.prev == before.Hash && (isMark || l.seq > 1):
		return
	case !v.started:
		b.Kind, b.Detail = BreakStart, fmt.Sprintf("it should begin after record %d", before.Sequence)
	case l.seq > before.Sequence+1:
		b.Kind, b.Detail = BreakMissing, fmt.Sprintf("%d after record %d", l.seq-before.Sequence-1, before.Sequence)
	case l.seq <= before.Sequence:
		b.Kind, b.Detail = BreakOrder, fmt.Sprintf("it follows record %d", before.Sequence)
	default:
		b.Kind = BreakLink
	}
	v.found(b)
}

// meet strikes off the expected heads that are the present one.
func (v *verifier) meet() {
	head := v.report.Head
	expected, ok := v.heads[head.Sequence]
	if !ok {
		return
	}
	expected = slices.DeleteFunc(expected, func(h Head) bool { return h == head })
	if len(expected) == 0 {
		delete(v.heads, head.Sequence)
	} else {
		v.heads[head.Sequence] = expected
	}
}

// finish looks for what is missing at the end.
func (v *verifier) finish() (Report, error) {
	if !v.started && v.after.Sequence == 0 {
		v.found(Break{Kind: BreakStart, Detail: "there is no record"})
	}
	missing := make([]Head, 0, len(v.heads))
	for _, heads := range v.heads {
		missing = append(missing, heads...)
	}
	slices.SortFunc(missing, func(a, b Head) int {
		switch {
		case a.Sequence < b.Sequence:
			return -1
		case a.Sequence > b.Sequence:
			return 1
		default:
			return 0
		}
	})
	for _, head := range missing {
		detail := "the line is another one"
		switch {
		case v.report.Head.Log == "":
			detail = "what was read does not say which log it is of"
		case head.Log != v.report.Head.Log:
			detail = "this is another log"
		case head.Sequence > v.report.Head.Sequence:
			detail = fmt.Sprintf("the log ends at record %d", v.report.Head.Sequence)
		case head.Sequence < v.report.First:
			detail = fmt.Sprintf("what was read begins at record %d", v.report.First)
		}
		v.found(Break{Kind: BreakHead, Sequence: head.Sequence, Detail: detail})
	}
	return v.report, v.report.err()
}

// found adds a break at the present line, if it names no other.
func (v *verifier) found(b Break) {
	if len(v.report.Breaks) == v.maxBreaks {
		v.report.MoreBreaks++
		return
	}
	b.File = v.file
	if b.Line == 0 {
		b.Line = v.number
	}
	v.report.Breaks = append(v.report.Breaks, b)
}
