package hashchain

import (
	"hash"
	"log/slog"
	"strconv"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

// Entry is what a line says.
type Entry struct {
	// Event is the event.name.
	Event string
	// Time is when it happened.
	Time time.Time
	// Write puts the other members in; nil for none.
	Write func(*Members)
}

// Members takes the members of one line, in the order in which they are written.
type Members struct{ buf []byte }

// Add puts one member in. The key needs no quoting; v is a string, a number, a bool, a
// time, or a []string.
func (m *Members) Add(key string, v slog.Value) {
	m.buf = append(m.buf, ',', '"')
	m.buf = append(m.buf, key...)
	m.buf = append(m.buf, '"', ':')
	m.buf = appendValue(m.buf, v)
}

// chain writes the lines of a log into its buffer, which they leave together. Not for
// concurrent use.
type chain struct {
	fn     hash.Hash
	name   string // of fn
	key    string // name of its key
	head   Head   // the last line that counts; sequence 0 before the first
	text   Members
	drafts []draft // the lines in text
}

// draft is a line that is not written yet.
type draft struct {
	head Head
	end  int // of the line in the buffer, with its newline
}

func newChain(key []byte) chain {
	fn, name := newHash(key)
	return chain{fn: fn, name: name, key: keyName(key), head: Head{Hash: noHash}}
}

// add puts the line of e behind those in the buffer. It says no, and leaves the buffer as
// it is, if the line would be too long.
func (c *chain) add(e *Entry) bool {
	begin := len(c.text.buf)
	last := c.last()
	next := Head{Log: last.Log, Sequence: last.Sequence + 1}
	c.text.buf = append(c.text.buf, beforeSeq...)
	c.text.buf = strconv.AppendUint(c.text.buf, next.Sequence, 10)
	c.text.buf = append(c.text.buf, beforePrev...)
	c.text.buf = append(c.text.buf, last.Hash...)
	c.text.buf = append(c.text.buf, beforeEvent...)
	c.text.buf = append(c.text.buf, e.Event...)
	c.text.buf = append(c.text.buf, '"')
	c.text.Add("time", slog.TimeValue(e.Time))
	if e.Write != nil {
		e.Write(&c.text)
	}
	digits := hashOf(c.fn, c.text.buf[begin:])
	next.Hash = string(digits[:])
	c.text.buf = append(c.text.buf, beforeHash...)
	c.text.buf = append(c.text.buf, digits[:]...)
	c.text.buf = append(c.text.buf, afterHash...)
	if len(c.text.buf)-begin > MaxLine {
		c.text.buf = c.text.buf[:begin]
		return false
	}
	c.text.buf = append(c.text.buf, '\n')
	c.drafts = append(c.drafts, draft{head: next, end: len(c.text.buf)})
	return true
}

// last is the line that the next one follows.
func (c *chain) last() Head {
	if n := len(c.drafts); n > 0 {
		return c.drafts[n-1].head
	}
	return c.head
}

// commit makes the nth line in the buffer the last one of the log, and empties the buffer.
func (c *chain) commit(n int) {
	if n > 0 {
		c.head = c.drafts[n-1].head
	}
	c.text.buf, c.drafts = c.text.buf[:0], c.drafts[:0]
}

// mark returns a line about the log itself.
func (c *chain) mark(event string, now time.Time, m mark) *Entry {
	return &Entry{Event: event, Time: now, Write: func(members *Members) {
		members.Add(string(semconv.AuditLog), slog.StringValue(c.head.Log))
		members.Add(string(semconv.AuditHash), slog.StringValue(c.name))
		if c.key != "" {
			members.Add(string(semconv.AuditKey), slog.StringValue(c.key))
		}
		if m.Lost > 0 {
			members.Add(string(semconv.AuditLost), slog.Uint64Value(m.Lost))
		}
		if m.Torn > 0 {
			members.Add(string(semconv.AuditTornBytes), slog.Int64Value(m.Torn))
			members.Add(string(semconv.AuditTornHash), slog.StringValue(m.TornHash))
		}
	}}
}
