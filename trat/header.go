package trat

import (
	"errors"
	"strings"
)

var (
	errSegmentSize     = errors.New("segment too long")
	errSegmentEncoding = errors.New("not canonical base64url")

	errAbsent     = errors.New("absent")
	errEmpty      = errors.New("empty")
	errWrongType  = errors.New("wrong JSON type")
	errTooLong    = errors.New("too long")
	errCharacter  = errors.New("character not allowed")
	errNotAllowed = errors.New("not allowed")
	errKeyID      = errors.New("not 1 to 64 visible ASCII characters")
	errRange      = errors.New("out of range")
	errFuture     = errors.New("in the future")
	errMismatch   = errors.New("does not fit the other claims")
	errIssuer     = errors.New("not an https URL without query and fragment")
)

// header is what a TraT's JOSE header may say: which key, and with which
// algorithm, to be compared with that key's own.
type header struct {
	typ string
	alg Algorithm
	kid string
}

// parseHeader reads the JOSE header (draft section 9.1). Parameters that bring key
// material or change how a JWS is processed are refused; unknown ones are ignored
// (RFC 7515 section 4).
func parseHeader(src string) (header, error) {
	h := header{}
	s, err := newJSONScanner(src, MaxDepth)
	if err != nil {
		return h, malformed("header", err)
	}
	members, err := s.object()
	if err != nil {
		return h, malformed("header", err)
	}
	for {
		name, ok, err := members.next()
		if err != nil {
			return h, malformed("header", err)
		}
		if !ok {
			break
		}
		v, err := s.value()
		if err != nil {
			return h, malformed("header", err)
		}
		if err := h.set(name, v); err != nil {
			return h, err
		}
	}
	if err := s.end(); err != nil {
		return h, malformed("header", err)
	}
	return h, nil
}

// set takes one parameter.
func (h *header) set(name string, v jsonValue) error {
	switch name {
	case "typ", "alg", "kid":
		if v.kind != jsonString {
			return malformed(name, errWrongType)
		}
	case "jku", "jwk", "x5u", "x5c", "crit", "b64", "zip":
		return invalid(name, errNotAllowed)
	}
	switch name {
	case "typ":
		h.typ = v.text
	case "alg":
		h.alg = Algorithm(v.text)
	case "kid":
		if !validKeyID(v.text) {
			return malformed(name, errKeyID)
		}
		h.kid = v.text
	}
	return nil
}

// checkType holds typ to RFC 8725 section 3.11: without it, or with another, a JWT
// is some other kind of token.
func (h header) checkType() error {
	const prefix = "application/"
	typ := h.typ
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	// Lengths first: EqualFold also folds characters outside ASCII.
	if len(typ) != len(Type) || !strings.EqualFold(typ, Type) {
		return invalid("typ", errNotAllowed)
	}
	return nil
}

func malformed(field string, err error) error {
	return &Error{Reason: ReasonTxnTokenMalformed, Field: field, Err: err}
}

func invalid(field string, err error) error {
	return &Error{Reason: ReasonTxnTokenInvalid, Field: field, Err: err}
}
