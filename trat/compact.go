package trat

import (
	"encoding/base64"
	"strings"
)

// encoding is base64url as RFC 7515 section 2 wants it, strict about the unused
// bits of the last character: one value has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// compact is the compact serialization of a JWS (RFC 7515 section 3.1), cut into
// its segments, which are still encoded.
type compact struct {
	signingInput               string // header "." payload
	header, payload, signature string
}

// splitCompact checks the size and cuts raw at its two dots.
func splitCompact(raw string) (compact, error) {
	switch {
	case raw == "":
		return compact{}, &Error{Reason: ReasonTxnTokenMissing}
	case len(raw) > MaxSize:
		return compact{}, Errorf(ReasonTxnTokenMalformed, "", "longer than %d bytes", MaxSize)
	}
	first := strings.IndexByte(raw, '.')
	length := strings.IndexByte(raw[first+1:], '.') // of the payload, if first is there
	last := first + 1 + length
	if first < 0 || length < 0 || strings.IndexByte(raw[last+1:], '.') >= 0 {
		return compact{}, Errorf(ReasonTxnTokenMalformed, "", "not three segments")
	}
	c := compact{
		signingInput: raw[:last],
		header:       raw[:first],
		payload:      raw[first+1 : last],
		signature:    raw[last+1:],
	}
	if c.header == "" || c.payload == "" || c.signature == "" {
		return compact{}, Errorf(ReasonTxnTokenMalformed, "", "empty segment")
	}
	return c, nil
}

// decoded is a compact serialization with its segments decoded. Header and payload
// are substrings of one string, which everything read from them shares.
type decoded struct {
	signingInput    string
	header, payload string
	signature       []byte
}

// signatureBuffer holds the longest signature: RSA of maxRSABits.
type signatureBuffer [maxRSABits / 8]byte

// decode decodes the segments. The signature is placed in buf.
func (c compact) decode(buf *signatureBuffer) (decoded, error) {
	var text [MaxSize]byte
	h, err := decodeSegment(text[:], c.header)
	if err != nil {
		return decoded{}, &Error{Reason: ReasonTxnTokenMalformed, Field: "header", Err: err}
	}
	p, err := decodeSegment(text[h:], c.payload)
	if err != nil {
		return decoded{}, &Error{Reason: ReasonTxnTokenMalformed, Field: "payload", Err: err}
	}
	s, err := decodeSegment(buf[:], c.signature)
	if err != nil {
		return decoded{}, &Error{Reason: ReasonTxnTokenMalformed, Field: "signature", Err: err}
	}
	both := string(text[:h+p])
	return decoded{
		signingInput: c.signingInput,
		header:       both[:h],
		payload:      both[h:],
		signature:    buf[:s],
	}, nil
}

// decodeSegment decodes one segment into dst and returns the number of bytes.
func decodeSegment(dst []byte, segment string) (int, error) {
	if encoding.DecodedLen(len(segment)) > len(dst) {
		return 0, errSegmentSize
	}
	// encoding/base64 skips line breaks.
	if strings.IndexByte(segment, '\n') >= 0 || strings.IndexByte(segment, '\r') >= 0 {
		return 0, errSegmentEncoding
	}
	n, err := encoding.Decode(dst, []byte(segment))
	if err != nil {
		return 0, errSegmentEncoding
	}
	return n, nil
}
