package spool

import (
	"encoding/binary"
	"errors"
	"time"
)

// ErrChanged is the error for what is not as it was written, or could not be.
var ErrChanged = errors.New("a temporary file was changed")

// Frame is what belongs together in a spool: values, one after the other.
type Frame []byte

// Number writes a number.
func (f *Frame) Number(n uint64) { *f = binary.AppendUvarint(*f, n) }

// Text writes a text.
func (f *Frame) Text(s string) {
	f.Number(uint64(len(s)))
	*f = append(*f, s...)
}

// Time writes a time; the zero one as 1970, which stands for it.
func (f *Frame) Time(t time.Time) {
	nanoseconds := int64(0)
	if !t.IsZero() {
		nanoseconds = t.UnixNano()
	}
	*f = binary.AppendVarint(*f, nanoseconds)
}

// Reader reads the values of a frame, in the order in which they were written. After a failure
// all that it returns is zero.
type Reader struct {
	// Rest is what was not read yet.
	Rest []byte
	// Failed says that there was less than was asked for.
	Failed bool
}

// Number reads a number.
func (r *Reader) Number() uint64 {
	n, size := binary.Uvarint(r.Rest)
	if size <= 0 {
		r.Rest, r.Failed = nil, true
		return 0
	}
	r.Rest = r.Rest[size:]
	return n
}

// Bytes reads a text, as a part of the frame.
func (r *Reader) Bytes() []byte {
	n := r.Number()
	if n > uint64(len(r.Rest)) {
		r.Rest, r.Failed = nil, true
		return nil
	}
	b := r.Rest[:n]
	r.Rest = r.Rest[n:]
	return b
}

// Text reads a text.
func (r *Reader) Text() string { return string(r.Bytes()) }

// Time reads a time.
func (r *Reader) Time() time.Time {
	n, size := binary.Varint(r.Rest)
	if size <= 0 {
		r.Rest, r.Failed = nil, true
		return time.Time{}
	}
	r.Rest = r.Rest[size:]
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
