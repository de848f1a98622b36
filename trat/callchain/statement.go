package callchain

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// The labels with which everything begins that is hashed or signed here: no link can pass
// for another artefact of the same key, and no root for a link.
const (
	statementLabel = "txn-link/1 statement\x00"
	rootLabel      = "txn-link/1 root\x00"
)

// algES256 is ECDSA on P-256 with SHA-256, the only signature algorithm of version 1.
const algES256 = 1

// Flags of a statement: which of its optional fields are there.
const (
	flagParent = 1 << iota // prh: on all links but a root
	flagAnchor             // ckp: on a root after a checkpoint
	flagTrace              // tid and sid
)

// statementFlags says which optional fields the link has.
func (l *link) statementFlags() byte {
	var f byte
	if l.depth > 0 {
		f |= flagParent
	}
	if !l.anchor.IsZero() {
		f |= flagAnchor
	}
	if !l.trace.IsZero() {
		f |= flagTrace
	}
	return f
}

// appendStatement appends the canonical statement. It never travels: signer and verifier
// both make it from what they know, and its hash is what is signed.
func (l *link) appendStatement(dst []byte) []byte {
	flags := l.statementFlags()
	dst = append(dst, statementLabel...)
	dst = append(dst, algES256, flags, byte(l.depth)) //nolint:gosec // at most MaxDepth
	dst = binary.BigEndian.AppendUint64(dst, uint64(l.issuedAt.UnixMilli()))
	dst = append(dst, byte(l.lifetime/time.Second)) //nolint:gosec // at most MaxLifetime
	dst = append(append(append(dst, l.id[:]...), l.tokenHash[:]...), l.leafHash[:]...)
	if flags&flagParent != 0 {
		dst = append(dst, l.parent[:]...)
	}
	if flags&flagAnchor != 0 {
		dst = append(dst, l.anchor[:]...)
	}
	if flags&flagTrace != 0 {
		dst = append(append(dst, l.trace.TraceID[:]...), l.trace.SpanID[:]...)
	}
	dst = appendString(dst, l.issuer.String())
	dst = appendString(dst, l.audience.String())
	return appendString(dst, l.method)
}

// seal computes the hash. Nothing of l changes after that.
func (l *link) seal() {
	var usual [512]byte
	l.hash = sha256.Sum256(l.appendStatement(usual[:0]))
}

// rootStatement is what a signature is of: the root of a group of links of one signer.
func rootStatement(leafHash, root [32]byte) []byte {
	b := make([]byte, 0, len(rootLabel)+1+len(leafHash)+len(root))
	b = append(append(b, rootLabel...), algES256)
	return append(append(b, leafHash[:]...), root[:]...)
}

// appendString appends s behind its length. No string that gets here is longer than
// maxIDSize or maxMethodSize.
func appendString(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s))) //nolint:gosec // see above
	return append(dst, s...)
}
