package trat

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Bounds of a JWK Set. A token service has a handful of keys.
const (
	maxJWKSSize  = 64 << 10
	maxJWKSKeys  = 32
	maxJWKSDepth = 8
)

var (
	errJWKPrivate  = errors.New("private or symmetric key material")
	errJWKUse      = errors.New("not for verifying signatures")
	errJWKType     = errors.New("unsupported key type or curve")
	errJWKEncoding = errors.New("not canonical base64url of the right length")
	errJWKShape    = errors.New("not a JWK Set")
)

// jwk is a JSON Web Key (RFC 7517), reduced to the public members of the key types
// that sign TraTs.
type jwk struct {
	Type      string    `json:"kty"`
	Curve     string    `json:"crv,omitempty"`
	X         string    `json:"x,omitempty"`
	Y         string    `json:"y,omitempty"`
	N         string    `json:"n,omitempty"`
	E         string    `json:"e,omitempty"`
	ID        string    `json:"kid"`
	Algorithm Algorithm `json:"alg,omitempty"`
	Use       string    `json:"use,omitempty"`
}

type jwkSet struct {
	Keys []jwk `json:"keys"`
}

// ParseJWKS reads a JWK Set (RFC 7517 section 5) that holds TraT verification keys
// and nothing else; one key that does not belong refuses the whole set:
//
//   - at most 64 KiB, 32 keys; strict JSON as in ParseObject
//   - kty EC with crv P-256, OKP with Ed25519, or RSA of 2048 to 4096 bits with the
//     exponent 65537; values in canonical base64url; points of EC keys on the curve
//     (an Ed25519 key that is no point verifies nothing), and none of small order
//   - no private or symmetric member
//   - kid present, unique, 1 to 64 visible ASCII characters; it becomes Key.ID
//   - use is sig if present; key_ops holds verify if present
//   - alg fits the key; it may be absent except with RSA, which has two
//
// An empty set is valid and rejects every token. Unknown members are ignored.
// Failures are an *Error with ReasonParameterInvalid and Field "jwks" or
// "keys[i]".
func ParseJWKS(jwks []byte) (*StaticKeySet, error) {
	members, err := splitJWKS(jwks)
	if err != nil {
		return nil, &Error{Reason: ReasonParameterInvalid, Field: "jwks", Err: err}
	}
	keys := make([]*Key, 0, len(members))
	for i, member := range members {
		k, err := parseJWK(member)
		if err != nil {
			return nil, &Error{Reason: ReasonParameterInvalid, Field: fmt.Sprintf("keys[%d]", i), Err: err}
		}
		keys = append(keys, k)
	}
	return NewStaticKeySet(keys...)
}

// splitJWKS returns the JSON text of each key. The strict scanner walks the whole
// document first.
func splitJWKS(jwks []byte) ([]Object, error) {
	if len(jwks) > maxJWKSSize {
		return nil, errTooLong
	}
	doc, _, err := scanObject(string(jwks), maxJWKSDepth)
	if err != nil {
		return nil, err
	}
	list, ok := Object{text: doc}.lookup([]string{"keys"})
	if !ok || list.kind != jsonArray {
		return nil, errJWKShape
	}
	var keys []Object
	for v := range elements(list.raw) {
		switch {
		case v.kind != jsonObject:
			return nil, errJWKShape
		case len(keys) == maxJWKSKeys:
			return nil, fmt.Errorf("more than %d keys", maxJWKSKeys)
		}
		keys = append(keys, Object{text: v.raw})
	}
	return keys, nil
}

// parseJWK reads one key.
func parseJWK(text Object) (*Key, error) {
	var j jwk
	for name, v := range text.members() {
		if err := j.set(name, v); err != nil {
			return nil, err
		}
	}
	if !validKeyID(j.ID) {
		return nil, fmt.Errorf("kid: %w", errKeyID)
	}
	public, alg, err := j.public()
	if err != nil {
		return nil, err
	}
	if j.Algorithm != "" {
		alg = j.Algorithm
	}
	k, err := NewKey(alg, public)
	if err != nil {
		return nil, err
	}
	return k.withID(j.ID), nil
}

// set takes one member.
func (j *jwk) set(name string, v jsonValue) error {
	fields := map[string]*string{
		"kty": &j.Type, "crv": &j.Curve, "x": &j.X, "y": &j.Y, "n": &j.N, "e": &j.E,
		"kid": &j.ID, "alg": (*string)(&j.Algorithm), "use": &j.Use,
	}
	if field, ok := fields[name]; ok {
		if v.kind != jsonString || v.text == "" {
			return fmt.Errorf("%s: %w", name, errWrongType)
		}
		*field = v.text
	}
	switch name {
	case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
		return errJWKPrivate
	case "use":
		if j.Use != "sig" {
			return errJWKUse
		}
	case "key_ops":
		if v.kind != jsonArray || !slices.ContainsFunc(slices.Collect(elements(v.raw)), isVerify) {
			return errJWKUse
		}
	}
	return nil
}

func isVerify(op jsonValue) bool { return op.kind == jsonString && op.text == "verify" }

// public returns the key and the algorithm that its type implies, if any.
func (j jwk) public() (crypto.PublicKey, Algorithm, error) {
	switch {
	case j.Type == "EC" && j.Curve == "P-256":
		x, errX := decodeJWK(j.X, 32)
		y, errY := decodeJWK(j.Y, 32)
		if err := errors.Join(errX, errY); err != nil {
			return nil, "", errJWKEncoding
		}
		point := append(append([]byte{4}, x...), y...)
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return nil, "", errKeyPoint
		}
		return public, ES256, nil
	case j.Type == "OKP" && j.Curve == "Ed25519":
		x, err := decodeJWK(j.X, ed25519.PublicKeySize)
		return ed25519.PublicKey(x), EdDSA, err
	case j.Type == "RSA":
		n, err := decodeJWK(j.N, 0)
		if err != nil || n[0] == 0 || len(n) > maxRSABits/8 || j.E != "AQAB" {
			return nil, "", errKeyRSA
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: rsaExponent}, "", nil
	}
	return nil, "", errJWKType
}

// decodeJWK decodes a base64url member of the given length; 0 means any but empty.
func decodeJWK(text string, length int) ([]byte, error) {
	if text == "" || len(text) > encoding.EncodedLen(maxRSABits/8) {
		return nil, errJWKEncoding
	}
	out := make([]byte, encoding.DecodedLen(len(text)))
	n, err := decodeSegment(out, text)
	if err != nil || length != 0 && n != length {
		return nil, errJWKEncoding
	}
	return out[:n], nil
}
