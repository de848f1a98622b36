package callchain

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// decode reads a chain of one of the two groups of forms. What it accepts has one spelling:
// its String is encoded. It looks at nothing that is not in the bytes.
//
// Errors are CHAIN_LINK_INVALID, or CHAIN_TOO_DEEP for too many links.
func decode(encoded string, limit int, receipt bool) (*message, error) {
	b, err := decodeText(encoded, limit)
	if err != nil {
		return nil, err
	}
	m := &message{}
	r := reader{b: b}
	m.form = r.byte()
	if isReceipt := m.form == formReceipt; isReceipt != receipt || !isReceipt && m.form != formHead && m.form != formPath {
		return nil, malformed("unknown form")
	}
	if err := m.read(&r); err != nil {
		return nil, err
	}
	return m, nil
}

// decodeText returns the bytes of a chain.
func decodeText(encoded string, limit int) ([]byte, error) {
	if len(encoded) > limit {
		return nil, malformed("longer than %d bytes", limit)
	}
	// encoding/base64 skips line breaks.
	if strings.ContainsAny(encoded, "\r\n") {
		return nil, malformed("not base64url")
	}
	b, err := encoding.DecodeString(encoded)
	if err != nil {
		return nil, malformed("not base64url")
	}
	return b, nil
}

// read reads what follows the form.
func (m *message) read(r *reader) error {
	certificates, err := readCertificates(r)
	if err != nil {
		return err
	}
	if m.form != formHead {
		if err := m.readFull(r); err != nil {
			return err
		}
	}
	if m.form != formReceipt {
		m.short.readShort(r, m.form)
		if err := m.short.checkAlone(r); err != nil {
			return err
		}
	}
	if len(r.b) > 0 {
		return malformed("more bytes than the chain has")
	}
	if err := m.checkShape(); err != nil {
		return err
	}
	return m.sortCertificates(certificates)
}

// readCertificates reads leaves and intermediates, which the bytes do not keep apart.
func readCertificates(r *reader) ([][]byte, error) {
	n := int(r.byte())
	if n > MaxCertificates {
		return nil, errCertificates()
	}
	if n == 0 {
		return nil, nil
	}
	certificates := make([][]byte, n)
	for i := range certificates {
		der := r.bytes()
		if r.short {
			return nil, errShort()
		}
		if len(der) == 0 || len(der) > maxCertificateSize {
			return nil, errCertificateSize()
		}
		certificates[i] = der
	}
	return certificates, nil
}

func (m *message) readFull(r *reader) error {
	n, most := int(r.byte()), MaxLinks
	if m.form == formPath {
		most-- // and the short one
	} else if n == 0 {
		return malformed("no link")
	}
	if n > most {
		return trat.Errorf(trat.ReasonChainTooDeep, FieldDepth, "more than %d links", MaxLinks)
	}
	if n == 0 {
		return nil
	}
	m.full = make([]wireLink, n)
	for i := range m.full {
		l := &m.full[i]
		l.readFull(r)
		if err := l.checkAlone(r); err != nil {
			return err
		}
		if len(l.issuer) > maxIDSize || l.issuer == "" || spiffeid.ValidatePath(l.issuer) != nil {
			return invalid(FieldIssuer, "not the path of a SPIFFE ID")
		}
		if !validMethod(l.method) {
			return invalid(FieldMethod, "not a method")
		}
	}
	return nil
}

func (l *wireLink) readShort(r *reader, form byte) {
	l.flags = r.byte()
	copy(l.check[:], r.take(checkSize))
	l.readIdentity(r, form == formHead)
	if l.flags&flagTrace != 0 {
		copy(l.trace.TraceID[:], r.take(len(l.trace.TraceID)))
		copy(l.trace.SpanID[:], r.take(len(l.trace.SpanID)))
	}
	if l.flags&flagLeaf != 0 {
		l.leaf = r.byte()
	}
	l.readProof(r)
}

func (l *wireLink) readFull(r *reader) {
	l.flags = r.byte()
	l.readIdentity(r, l.flags&flagDetached != 0)
	if l.flags&flagTrace != 0 {
		if l.flags&flagSameTrace == 0 {
			copy(l.trace.TraceID[:], r.take(len(l.trace.TraceID)))
		}
		copy(l.trace.SpanID[:], r.take(len(l.trace.SpanID)))
	}
	l.issuer, l.method = string(r.bytes()), string(r.bytes())
	l.leaf = r.byte()
	l.readProof(r)
}

func (l *wireLink) readIdentity(r *reader, parent bool) {
	l.issuedAt = r.uint48()
	l.lifetime = r.byte()
	copy(l.id[:], r.take(nonceSize))
	if parent {
		l.depth = r.byte()
		copy(l.parent[:], r.take(len(l.parent)))
	}
}

func (l *wireLink) readProof(r *reader) {
	l.path.shape = r.uint16()
	if n := l.path.levels(); n > 0 && n <= MaxGroupLevels {
		l.path.nodes = r.take(n * nodeSize)
	}
	copy(l.signature[:], r.take(signatureSize))
}

// checkAlone checks what can be said of one link alone.
func (l *wireLink) checkAlone(r *reader) error {
	switch {
	case r.short:
		return errShort()
	case l.lifetime == 0 || time.Duration(l.lifetime)*time.Second > MaxLifetime:
		return invalid(FieldExpiry, "not between one second and %v after iat", MaxLifetime)
	case !l.path.wellFormed():
		return malformed("not a path in a tree of %d levels", MaxGroupLevels)
	}
	return nil
}

// checkShape holds links to their place in the chain: each may have what it needs there,
// and nothing else.
func (m *message) checkShape() error {
	last := &m.short
	if m.form == formReceipt {
		last = &m.full[len(m.full)-1]
	} else if err := m.short.checkPlace(m.form == formHead, len(m.full), flagLeaf); err != nil {
		return err
	}
	for i := range m.full {
		l := &m.full[i]
		var more byte
		if l != last {
			more |= flagSameTrace
		}
		if m.form == formReceipt && len(m.full) == 1 {
			more |= flagDetached
		}
		if err := l.checkPlace(l.flags&more&flagDetached != 0, i, more); err != nil {
			return err
		}
		if err := l.expandTrace(last); err != nil {
			return err
		}
	}
	if last.flags&flagTrace != 0 && !last.trace.valid() {
		return errTrace()
	}
	return nil
}

// checkPlace checks flags and depth of a link that stands at index, or that is detached
// from its ancestors.
func (l *wireLink) checkPlace(detached bool, index int, more byte) error {
	if l.flags&^(statementFlags|more) != 0 {
		return malformed("a flag that has no meaning here")
	}
	root := index == 0 && !detached
	if root == (l.flags&flagParent != 0) || l.flags&flagAnchor != 0 && !root {
		return malformed("a root with a parent, or another link with an anchor or without a parent")
	}
	if detached && l.depth > MaxDepth {
		return trat.Errorf(trat.ReasonChainTooDeep, FieldDepth, "deeper than %d", MaxDepth)
	}
	if detached && l.depth == 0 {
		return malformed("a root that is detached")
	}
	return nil
}

// expandTrace restores the trace id that was left out because it is the last link's.
func (l *wireLink) expandTrace(last *wireLink) error {
	lastID := last.trace.TraceID
	switch {
	case l.flags&flagSameTrace != 0 && l.flags&last.flags&flagTrace == 0:
		return malformed("the same trace as none")
	case l.flags&flagSameTrace != 0:
		l.trace.TraceID = lastID
	case l != last && l.flags&last.flags&flagTrace != 0 && l.trace.TraceID == lastID:
		return malformed("a trace id that should have been left out")
	}
	if l.flags&flagTrace != 0 && !l.trace.valid() {
		return errTrace()
	}
	return nil
}

// valid reports whether both ids are, as W3C Trace Context wants them.
func (t Trace) valid() bool { return t.TraceID != [16]byte{} && t.SpanID != [8]byte{} }

// sortCertificates tells leaves from intermediates, and refuses all orders but one.
func (m *message) sortCertificates(certificates [][]byte) error {
	leaves := 0
	name := func(index byte) error {
		switch i := int(index); {
		case i >= len(certificates):
			return invalid(FieldCertificate, "the certificate of a link is missing")
		case i > leaves:
			return malformed("leaves are not in order")
		case i == leaves:
			leaves++
		}
		return nil
	}
	for i := range m.full {
		if err := name(m.full[i].leaf); err != nil {
			return err
		}
	}
	if m.short.flags&flagLeaf != 0 {
		if err := name(m.short.leaf); err != nil {
			return err
		}
	}
	m.leaves, m.intermediates = certificates[:leaves:leaves], certificates[leaves:]
	if len(m.intermediates) > maxIntermediates {
		return invalid(FieldCertificate, "more than %d intermediates", maxIntermediates)
	}
	for i, der := range certificates {
		if i > leaves && bytes.Compare(certificates[i-1], der) >= 0 ||
			slices.ContainsFunc(certificates[:min(i, leaves)], func(leaf []byte) bool { return bytes.Equal(leaf, der) }) {
			return malformed("certificates are not in order, or twice the same")
		}
	}
	return nil
}

func malformed(format string, args ...any) error { return invalid(MetadataKey, format, args...) }

func errShort() error { return malformed("fewer bytes than the chain has") }

func errCertificates() error { return invalid(FieldCertificate, "more than %d", MaxCertificates) }

func errCertificateSize() error {
	return invalid(FieldCertificate, "empty, or longer than %d bytes", maxCertificateSize)
}

func errTrace() error { return malformed("a trace or span id of zeros") }

// invalid is about a link, or about all of a chain.
func invalid(field, format string, args ...any) error {
	return trat.Errorf(trat.ReasonChainLinkInvalid, field, format, args...)
}

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
