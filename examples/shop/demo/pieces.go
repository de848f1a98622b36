package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
)

// What is where in a link, as docs/call-chain-format.md says.
const (
	flagTrace     = 1 << 2 // of a link: trace and span id are there
	flagSameTrace = 1 << 4 // of a full link: but not the trace id
	flagDetached  = 1 << 5 // of a full link: number and hash of those before are there
	linkIdentity  = 1 + 6 + 1 + 16
	traceID       = 16
	ownLeafAt     = 1 + 8 + 6 + 1 + 16 // of a short link without a trace
)

var errPieces = errors.New("no call chain as the demo makes them")

// pieces are a call chain, taken apart to be put together in another way.
type pieces struct {
	form         byte
	certificates [][]byte
	full         [][]byte // links but the last one
	short        []byte   // the last link
}

// takeApart takes the value of txn-chain apart, in path form.
func takeApart(encoded string) (pieces, error) {
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return pieces{}, err
	}
	r := cutter{rest: raw}
	p := pieces{form: r.byte()}
	for range r.byte() {
		p.certificates = append(p.certificates, r.text())
	}
	p.full = r.fullLinks()
	p.short = r.rest
	if r.failed {
		return pieces{}, errPieces
	}
	return p, nil
}

// String puts the pieces together.
func (p pieces) String() string {
	raw := []byte{p.form, byte(len(p.certificates))} //nolint:gosec // a handful
	for _, der := range p.certificates {
		raw = binary.BigEndian.AppendUint16(raw, uint16(len(der))) //nolint:gosec // of a chain
		raw = append(raw, der...)
	}
	raw = append(raw, byte(len(p.full))) //nolint:gosec // a handful
	raw = append(raw, slices.Concat(p.full...)...)
	return base64.RawURLEncoding.EncodeToString(append(raw, p.short...))
}

// cutter cuts bytes off. When there are too few it fails, once and for all.
type cutter struct {
	rest   []byte
	failed bool
}

func (r *cutter) take(n int) []byte {
	if n > len(r.rest) {
		r.failed, r.rest = true, nil
		return make([]byte, n)
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *cutter) byte() byte   { return r.take(1)[0] }
func (r *cutter) text() []byte { return r.take(int(binary.BigEndian.Uint16(r.take(2)))) }

// fullLinks cuts the number of full links off, and these.
func (r *cutter) fullLinks() [][]byte {
	var links [][]byte
	for range r.byte() {
		links = append(links, r.fullLink())
	}
	return links
}

func (r *cutter) fullLink() []byte {
	whole := r.rest
	flags := r.take(linkIdentity)[0]
	if flags&flagDetached != 0 {
		r.take(1 + 32)
	}
	if flags&flagTrace != 0 {
		r.take(8)
		if flags&flagSameTrace == 0 {
			r.take(traceID)
		}
	}
	r.text() // iss
	r.text() // rpc
	r.byte() // index of the leaf
	levels := int(r.take(2)[0] >> 4)
	r.take(24*levels + 64)
	return whole[:len(whole)-len(r.rest)]
}

// beforeOthers is the last link of a receipt, a root, as it stands before other links of its
// trace: those leave the trace id to the last one.
func beforeOthers(link []byte) []byte {
	if link[0]&flagTrace == 0 || link[0]&flagSameTrace != 0 {
		return link
	}
	moved := slices.Delete(slices.Clone(link), linkIdentity, linkIdentity+traceID)
	moved[0] |= flagSameTrace
	return moved
}
