package subject

import (
	"crypto"
	"encoding/base64"
	"strings"

	"github.com/grpc-trat/grpc-trat/trat"
)

const maxKeyID = 255

// jws is a JWT in compact form that has been read, but not verified.
type jws struct {
	signingInput string // the first two parts and the dot between them
	signature    []byte
	typ          string // "" if absent
	alg          trat.Algorithm
	kid          string // "" if absent
	claims       trat.Object
}

// looksLikeJWT says whether token is a JWT by its form, be it a good one or not: three
// parts, the first of which begins like a JSON object in base64url.
func looksLikeJWT(token string) bool {
	if strings.Count(token, ".") != 2 {
		return false
	}
	first, _, _ := strings.Cut(token, ".")
	header, err := base64.RawURLEncoding.DecodeString(first)
	return err == nil && strings.HasPrefix(strings.TrimLeft(string(header), " \t\r\n"), "{")
}

// parseJWS reads a JWT strictly: three parts of base64url without padding or stray
// bits, JSON objects without duplicate members, a known asymmetric algorithm. It
// refuses header parameters that carry or point to keys, and critical extensions,
// of which it knows none (RFC 7515 section 4.1.11).
func parseJWS(compact string) (*jws, error) {
	if len(compact) > MaxTokenSize {
		return nil, invalid("subject_token", "longer than %d bytes", MaxTokenSize)
	}
	// A byte count first: splitting must not cost more than the token is worth.
	if strings.Count(compact, ".") != 2 {
		return nil, invalid("subject_token", "not a JWT in compact form")
	}
	parts := strings.Split(compact, ".")
	for _, part := range parts {
		if strings.ContainsAny(part, "\r\n") { // which encoding/base64 skips
			return nil, invalid("subject_token", "not base64url")
		}
	}
	header, err := parsePart(parts[0], "header")
	if err != nil {
		return nil, err
	}
	claims, err := parsePart(parts[1], "payload")
	if err != nil {
		return nil, err
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(signature) == 0 {
		return nil, invalid("subject_token", "the signature is absent or not base64url")
	}
	j := &jws{signingInput: compact[:len(parts[0])+1+len(parts[1])], signature: signature, claims: claims}
	if err := j.readHeader(header); err != nil {
		return nil, err
	}
	return j, nil
}

func parsePart(part, name string) (trat.Object, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return trat.Object{}, invalid("subject_token", "the %s is not base64url", name)
	}
	o, err := trat.ParseObject(string(text))
	if err != nil {
		return trat.Object{}, invalid("subject_token", "the %s is not an acceptable JSON object", name)
	}
	return o, nil
}

func (j *jws) readHeader(header trat.Object) error {
	for name := range header.Members() {
		switch name {
		case "crit", "b64":
			return invalid(name, "no critical extension is supported")
		case "jku", "jwk", "x5u", "x5c":
			return invalid(name, "a key from the token is not a key")
		}
	}
	h := claimReader{claims: header}
	alg := h.text("alg", 16)
	j.typ = h.optionalText("typ", maxKeyID)
	j.kid = h.optionalText("kid", maxKeyID)
	if h.err != nil {
		return h.err
	}
	switch j.alg = trat.Algorithm(alg); j.alg {
	case trat.ES256, trat.EdDSA, trat.PS256, trat.RS256:
		return nil
	}
	return invalid("alg", "not supported")
}

// hasType says whether the header's typ is one of want. Media types are compared
// without regard to case (RFC 7515 section 4.1.9). "" stands for an absent typ.
func (j *jws) hasType(want ...string) bool {
	for _, w := range want {
		if strings.EqualFold(j.typ, w) {
			return true
		}
	}
	return false
}

// verify checks the signature with key, which belongs to j.alg.
func (j *jws) verify(key crypto.PublicKey) error {
	if !trat.VerifySignature(j.alg, key, j.signingInput, j.signature) {
		return invalid("subject_token", "the signature does not verify")
	}
	return nil
}
