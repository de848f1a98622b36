package trat

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
)

const (
	minRSABits     = 2048
	maxRSABits     = 4096
	rsaExponent    = 65537
	shortKeyIDSize = 8
)

var (
	errKeyCurve    = errors.New("key is not on P-256")
	errKeyPoint    = errors.New("key is not a point of its curve")
	errKeyWeak     = errors.New("key is of small order: anyone can sign for it")
	errKeyRSA      = errors.New("RSA key is not of 2048 to 4096 bits with the exponent 65537")
	errKeyMismatch = errors.New("key and algorithm do not fit")
)

// Key is a public verification key, bound to the one algorithm that it may be used
// with (RFC 8725 section 3.1). It is immutable. The zero Key verifies nothing.
type Key struct {
	id         string
	alg        Algorithm
	public     crypto.PublicKey
	thumbprint string
	jwk        jwk
}

// NewKey binds a public key to an algorithm: *ecdsa.PublicKey on P-256 to ES256,
// ed25519.PublicKey, not of small order, to EdDSA, *rsa.PublicKey of 2048 to 4096 bits with the exponent
// 65537 to PS256 or RS256. The key is copied. Its ID is the first 8 characters of
// its RFC 7638 thumbprint. Failures are an *Error with ReasonParameterInvalid and
// Field "alg" or "key".
func NewKey(alg Algorithm, public crypto.PublicKey) (*Key, error) {
	if !alg.known() {
		return nil, &Error{Reason: ReasonParameterInvalid, Field: "alg", Err: errNotAllowed}
	}
	copied, material, err := copyPublic(alg, public)
	if err != nil {
		return nil, &Error{Reason: ReasonParameterInvalid, Field: "key", Err: err}
	}
	thumbprint := material.thumbprint()
	id := thumbprint[:shortKeyIDSize]
	material.ID, material.Algorithm, material.Use = id, alg, "sig"
	return &Key{id: id, alg: alg, public: copied, thumbprint: thumbprint, jwk: material}, nil
}

// withID returns a copy of k that goes by another kid.
func (k *Key) withID(kid string) *Key {
	renamed := *k
	renamed.id, renamed.jwk.ID = kid, kid
	return &renamed
}

// copyPublic checks that public fits alg and returns a copy and its JWK members.
func copyPublic(alg Algorithm, public crypto.PublicKey) (crypto.PublicKey, jwk, error) {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		if alg != ES256 {
			return nil, jwk{}, errKeyMismatch
		}
		return copyECDSA(public)
	case ed25519.PublicKey:
		if alg != EdDSA {
			return nil, jwk{}, errKeyMismatch
		}
		return copyEd25519(public)
	case *rsa.PublicKey:
		if alg != PS256 && alg != RS256 {
			return nil, jwk{}, errKeyMismatch
		}
		return copyRSA(public)
	}
	return nil, jwk{}, errKeyMismatch
}

func copyECDSA(public *ecdsa.PublicKey) (crypto.PublicKey, jwk, error) {
	if public == nil || public.Curve != elliptic.P256() {
		return nil, jwk{}, errKeyCurve
	}
	point, err := public.Bytes()
	if err != nil {
		return nil, jwk{}, errKeyPoint
	}
	copied, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, jwk{}, errKeyPoint
	}
	x, y := point[1:33], point[33:]
	return copied, jwk{Type: "EC", Curve: "P-256", X: encoding.EncodeToString(x), Y: encoding.EncodeToString(y)}, nil
}

func copyEd25519(public ed25519.PublicKey) (crypto.PublicKey, jwk, error) {
	if len(public) != ed25519.PublicKeySize {
		return nil, jwk{}, errKeyPoint
	}
	copied := append(ed25519.PublicKey(nil), public...)
	if smallOrder(copied) {
		return nil, jwk{}, errKeyWeak
	}
	return copied, jwk{Type: "OKP", Curve: "Ed25519", X: encoding.EncodeToString(copied)}, nil
}

// smallOrderPoints are the encodings, in hexadecimal and without the sign of x, of the
// points whose order divides 8: y is 0, 1, -1 or one of two of order 8, and 0 and 1 once
// more as p and p+1, which crypto/ed25519 reads too.
var smallOrderPoints = [...]string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// smallOrder reports whether public is a point of small order. A signature made of
// constants fits one in eight messages, or more, of such a key; the bytes of a key that
// was never filled in are one.
func smallOrder(public ed25519.PublicKey) bool {
	y := slices.Clone(public)
	y[len(y)-1] &= 0x7f
	return slices.Contains(smallOrderPoints[:], hex.EncodeToString(y))
}

func copyRSA(public *rsa.PublicKey) (crypto.PublicKey, jwk, error) {
	if public == nil || public.N == nil || public.E != rsaExponent || public.N.Sign() < 0 ||
		public.N.BitLen() < minRSABits || public.N.BitLen() > maxRSABits || public.N.Bit(0) == 0 {
		return nil, jwk{}, errKeyRSA
	}
	copied := &rsa.PublicKey{N: new(big.Int).Set(public.N), E: public.E}
	e := big.NewInt(int64(public.E))
	return copied, jwk{
		Type: "RSA",
		N:    encoding.EncodeToString(copied.N.Bytes()),
		E:    encoding.EncodeToString(e.Bytes()),
	}, nil
}

// ID is the kid of the tokens that this key verifies.
func (k *Key) ID() string { return k.id }

// Algorithm is the one that the key is bound to.
func (k *Key) Algorithm() Algorithm { return k.alg }

// Thumbprint is the full RFC 7638 thumbprint: SHA-256, base64url, 43 characters.
func (k *Key) Thumbprint() string { return k.thumbprint }

// Public returns a copy of the public key.
func (k *Key) Public() crypto.PublicKey {
	copied, _, err := copyPublic(k.alg, k.public)
	if err != nil {
		return nil // the zero Key
	}
	return copied
}

// same reports whether k and other are one key under one name and algorithm,
// though perhaps read twice from a source.
func (k *Key) same(other *Key) bool {
	return k == other ||
		k.thumbprint == other.thumbprint && k.alg == other.alg && k.id == other.id && k.thumbprint != ""
}

// thumbprint is that of RFC 7638: the required members in lexical order.
func (j jwk) thumbprint() string {
	var text string
	switch j.Type {
	case "EC":
		text = `{"crv":"` + j.Curve + `","kty":"EC","x":"` + j.X + `","y":"` + j.Y + `"}`
	case "OKP":
		text = `{"crv":"` + j.Curve + `","kty":"OKP","x":"` + j.X + `"}`
	case "RSA":
		text = `{"e":"` + j.E + `","kty":"RSA","n":"` + j.N + `"}`
	}
	sum := sha256.Sum256([]byte(text))
	return encoding.EncodeToString(sum[:])
}
