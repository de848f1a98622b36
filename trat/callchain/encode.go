package callchain

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"slices"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// encodeCall returns the value of MetadataKey for a call: own is its link, which continues
// parent, and ownIntermediates lead from own's leaf to the bundle. presented is the leaf
// that was presented when the connection was made. Without all links back to the root, all
// of them verified, there is no path form, and a root is always in path form.
func encodeCall(
	mode Mode, parent *Chain, own signedLink, ownIntermediates [][]byte, presented *x509.Certificate,
) (string, error) {
	if mode != ModePath && mode != ModeHead {
		return "", trat.Errorf(trat.ReasonInternal, fieldMode, "no form for mode %s", mode)
	}
	var intermediates [][]byte
	sendLeaf := presented == nil || !bytes.Equal(presented.Raw, own.leaf)
	if sendLeaf {
		intermediates = ownIntermediates
	}
	var m message
	before := parent
	if tooDeep := parent.known() && own.depth >= MaxLinks; mode == ModePath && !tooDeep {
		before = parent.whole()
	}
	switch {
	case own.depth > 0 && (mode == ModeHead || !before.known()):
		m = newMessage(formHead, nil, intermediates)
		m.short = shortLink(&own)
		m.short.depth, m.short.parent = byte(own.depth), own.parent //nolint:gosec // at most MaxDepth
	case own.depth >= MaxLinks:
		return "", trat.Errorf(trat.ReasonChainTooDeep, FieldDepth, "more than %d links", MaxLinks)
	default:
		var ancestors []signedLink
		if own.depth > 0 {
			ancestors = before.signed
			intermediates = slices.Concat(before.intermediates, intermediates)
		}
		m = newMessage(formPath, ancestors, intermediates)
		m.short = shortLink(&own)
		m.shareTrace(own.trace)
	}
	if sendLeaf {
		m.short.flags |= flagLeaf
		m.short.leaf = m.addLeaf(own.leaf)
	}
	if err := m.checkCertificates(); err != nil {
		return "", err
	}
	encoded := m.String()
	if len(encoded) > MaxEncodedSize {
		return "", trat.Errorf(trat.ReasonMetadataTooLarge, MetadataKey, "longer than %d bytes", MaxEncodedSize)
	}
	return encoded, nil
}

// newMessage returns a message with the given full links.
func newMessage(form byte, full []signedLink, intermediates [][]byte) message {
	m := message{form: form, full: make([]wireLink, len(full))}
	for i := range full {
		l := newWireLink(&full[i])
		l.issuer, l.method = full[i].issuer.Path(), full[i].method
		l.leaf = m.addLeaf(full[i].leaf)
		m.full[i] = l
	}
	m.intermediates = slices.Clone(intermediates)
	slices.SortFunc(m.intermediates, bytes.Compare)
	m.intermediates = slices.CompactFunc(m.intermediates, bytes.Equal)
	return m
}

func newWireLink(s *signedLink) wireLink {
	return wireLink{
		flags:     s.statementFlags(),
		issuedAt:  uint64(s.issuedAt.UnixMilli()),
		lifetime:  byte(s.lifetime / time.Second), //nolint:gosec // at most MaxLifetime
		id:        s.id,
		trace:     s.trace,
		path:      s.path,
		signature: s.signature,
	}
}

func shortLink(s *signedLink) wireLink {
	l := newWireLink(s)
	l.check = checkOf(s.link)
	return l
}

// addLeaf returns the index of a leaf and adds it if it is not there yet.
func (m *message) addLeaf(der []byte) byte {
	i := slices.IndexFunc(m.leaves, func(have []byte) bool { return bytes.Equal(have, der) })
	if i < 0 {
		i = len(m.leaves)
		m.leaves = append(m.leaves, der)
	}
	return byte(i) //nolint:gosec // at most MaxLinks
}

// shareTrace leaves out the trace ids that are the last link's.
func (m *message) shareTrace(last Trace) {
	for i := range m.full {
		if f := &m.full[i]; f.flags&flagTrace != 0 && f.trace.TraceID == last.TraceID {
			f.flags |= flagSameTrace
		}
	}
}

// checkCertificates refuses what no receiver accepts. A certificate that is both a leaf and
// an intermediate is none of either.
func (m *message) checkCertificates() error {
	tooLong := func(der []byte) bool { return len(der) > maxCertificateSize }
	if len(m.leaves) > maxLeaves || len(m.intermediates) > maxIntermediates ||
		slices.ContainsFunc(m.leaves, tooLong) || slices.ContainsFunc(m.intermediates, tooLong) {
		return trat.Errorf(trat.ReasonMetadataTooLarge, FieldCertificate, "too many certificates, or one that is too long")
	}
	return nil
}

// String returns the message as text.
func (m *message) String() string {
	const usualLink = 384 // with an ID, a method and a path of some levels
	if len(m.full)+len(m.leaves)+len(m.intermediates) == 0 {
		// One link, as a busy service sends it in head mode.
		var usual [usualLink]byte
		var text [2 * usualLink]byte
		return string(encoding.AppendEncode(text[:0], m.append(usual[:0])))
	}
	size := (len(m.full) + 1) * usualLink
	for _, der := range m.leaves {
		size += len(der)
	}
	for _, der := range m.intermediates {
		size += len(der)
	}
	return encoding.EncodeToString(m.append(make([]byte, 0, size)))
}

// append appends the message in bytes.
func (m *message) append(dst []byte) []byte {
	dst = append(dst, m.form, byte(len(m.leaves)+len(m.intermediates))) //nolint:gosec // at most MaxCertificates
	dst = appendAll(appendAll(dst, m.leaves), m.intermediates)
	if m.form != formHead {
		dst = append(dst, byte(len(m.full))) //nolint:gosec // at most MaxLinks
	}
	for i := range m.full {
		dst = m.full[i].appendFull(dst)
	}
	if m.form != formReceipt {
		dst = m.short.appendShort(dst, m.form)
	}
	return dst
}

// appendShort appends l as the last link of a head or path form.
func (l *wireLink) appendShort(dst []byte, form byte) []byte {
	dst = append(dst, l.flags)
	dst = append(dst, l.check[:]...)
	dst = l.appendIdentity(dst, form == formHead)
	if l.flags&flagTrace != 0 {
		dst = append(append(dst, l.trace.TraceID[:]...), l.trace.SpanID[:]...)
	}
	if l.flags&flagLeaf != 0 {
		dst = append(dst, l.leaf)
	}
	return l.appendProof(dst)
}

// appendFull appends l as a link that the receiver knows nothing of.
func (l *wireLink) appendFull(dst []byte) []byte {
	dst = append(dst, l.flags)
	dst = l.appendIdentity(dst, l.flags&flagDetached != 0)
	if l.flags&flagTrace != 0 {
		if l.flags&flagSameTrace == 0 {
			dst = append(dst, l.trace.TraceID[:]...)
		}
		dst = append(dst, l.trace.SpanID[:]...)
	}
	dst = appendString(dst, l.issuer)
	dst = appendString(dst, l.method)
	dst = append(dst, l.leaf)
	return l.appendProof(dst)
}

// appendIdentity appends what both kinds of links have first.
func (l *wireLink) appendIdentity(dst []byte, parent bool) []byte {
	var iat [8]byte
	binary.BigEndian.PutUint64(iat[:], l.issuedAt)
	dst = append(dst, iat[2:]...)
	dst = append(dst, l.lifetime)
	dst = append(dst, l.id[:]...)
	if parent {
		dst = append(dst, l.depth)
		dst = append(dst, l.parent[:]...)
	}
	return dst
}

// appendProof appends what both kinds of links have last.
func (l *wireLink) appendProof(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, l.path.shape)
	dst = append(dst, l.path.nodes...)
	return append(dst, l.signature[:]...)
}

// appendAll appends certificates, each behind its length.
func appendAll(dst []byte, certificates [][]byte) []byte {
	for _, der := range certificates {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(der))) //nolint:gosec // at most maxCertificateSize
		dst = append(dst, der...)
	}
	return dst
}

func shortHash(s string) [2]byte {
	var usual [256]byte
	sum := sha256.Sum256(append(usual[:0], s...))
	return [2]byte(sum[:2])
}
