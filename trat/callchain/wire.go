package callchain

import "encoding/base64"

// encoding is base64url without padding, strict about the unused bits of the last
// character: one value has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// The first byte of a chain: the version of the format and the form.
const (
	formHead    = 0x11 // the last link, which is not a root
	formPath    = 0x12 // all links
	formReceipt = 0x13 // what is known of a chain, for who was not at its connection
)

// Flags of a link on the wire, beside those of its statement.
const (
	// flagLeaf: the leaf of the last link is sent; without it, it is the connection's.
	flagLeaf = 1 << (iota + 3)
	// flagSameTrace: an earlier link is of the trace of the last one, and has no tid.
	flagSameTrace
	// flagDetached: the only link of a receipt is not a root, and has depth and prh.
	flagDetached

	statementFlags = flagParent | flagAnchor | flagTrace
)

const (
	nonceSize = 16 // of jti
	checkSize = 8
)

// message is a chain as it travels: what the bytes say, no more and no less.
type message struct {
	form byte
	// leaves are those that links name, in the order in which they first do, and
	// intermediates are sorted. All of them are in DER, each is there once.
	leaves, intermediates [][]byte
	// full has the links that the receiver knows nothing of, oldest first: all but the last
	// one, in a receipt all.
	full []wireLink
	// short is the last link of the other two forms.
	short wireLink
}

// wireLink is a link as it travels.
type wireLink struct {
	flags    byte
	issuedAt uint64 // milliseconds, of which 48 bits travel
	lifetime byte   // seconds
	id       [nonceSize]byte
	// check is in a short link only: what tells a wrong audience, method, token or issuer
	// from a wrong signature. No security rests on it.
	check [checkSize]byte
	// depth and parent are in the head form and with flagDetached.
	depth  byte
	parent Hash
	trace  Trace
	// issuer is the path of the SPIFFE ID; the trust domain is the audience's. It and method
	// are in full links only.
	issuer, method string
	leaf           byte // index in leaves; in full links and with flagLeaf
	path           treePath
	signature      [signatureSize]byte
}

// checkOf returns the first two bytes each of SHA-256 of aud and of rpc, of tth, and of
// SHA-256 of iss.
func checkOf(l *link) [checkSize]byte {
	var c [checkSize]byte
	for i, v := range [...][2]byte{
		shortHash(l.audience.String()), shortHash(l.method),
		[2]byte(l.tokenHash[:2]), shortHash(l.issuer.String()),
	} {
		copy(c[2*i:], v[:])
	}
	return c
}
