package chainaudit

import (
	"encoding/binary"
	"errors"
	"time"
)

var errFrame = errors.New("chainaudit: a temporary file was changed")

// frame writes the values of one frame of a spool.
type frame []byte

func (f *frame) number(n uint64) { *f = binary.AppendUvarint(*f, n) }

func (f *frame) text(s string) {
	f.number(uint64(len(s)))
	*f = append(*f, s...)
}

// time writes a time; the zero one as 1970, which stands for it.
func (f *frame) time(t time.Time) {
	nanoseconds := int64(0)
	if !t.IsZero() {
		nanoseconds = t.UnixNano()
	}
	*f = binary.AppendVarint(*f, nanoseconds)
}

// unframe reads them. After a failure all that it returns is zero.
type unframe struct {
	rest   []byte
	failed bool
}

func (u *unframe) number() uint64 {
	n, size := binary.Uvarint(u.rest)
	if size <= 0 {
		u.rest, u.failed = nil, true
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

func (u *unframe) bytes() []byte {
	n := u.number()
	if n > uint64(len(u.rest)) {
		u.rest, u.failed = nil, true
		return nil
	}
	b := u.rest[:n]
	u.rest = u.rest[n:]
	return b
}

func (u *unframe) text() string { return string(u.bytes()) }

func (u *unframe) time() time.Time {
	n, size := binary.Varint(u.rest)
	if size <= 0 {
		u.rest, u.failed = nil, true
		return time.Time{}
	}
	u.rest = u.rest[size:]
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
