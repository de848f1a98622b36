package callchain

import "encoding/binary"

// reader takes values from the front of b. Once there are not enough bytes it is short, and
// all that it returns is zero.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.b, r.short = nil, true
		return nil
	}
	front := r.b[:n:n]
	r.b = r.b[n:]
	return front
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint48() uint64 {
	var n [8]byte
	copy(n[2:], r.take(6))
	return binary.BigEndian.Uint64(n[:])
}

// bytes takes what a length of two bytes is in front of.
func (r *reader) bytes() []byte { return r.take(int(r.uint16())) }
