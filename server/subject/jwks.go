package subject

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// maxKeys is the largest key set. It bounds what one fetch can cost.
	maxKeys = 100

	minRSABits = 2048
	maxRSABits = 8192
)

// issuerKey is a key that an issuer signs tokens with.
type issuerKey struct {
	kid        string // "" if it has none
	algorithms []trat.Algorithm
	public     crypto.PublicKey
}

// issuerKeys are the usable keys of an issuer at one time. It is immutable.
type issuerKeys struct {
	keys          []issuerKey
	skipped       int // keys of the set that are not usable
	fetched       time.Time
	introspection string // the endpoint by the metadata that the keys were found by
}

var errUnknownKey = errors.New("no such key")

// parseKeys reads a JWK Set (RFC 7517). It skips keys that are not for verifying
// signatures with the algorithms known here, as RFC 7517 section 5 wants it:
// encryption keys, unknown types, and also secret or private keys, which are no
// longer anybody's proof once they are published. It refuses a set with a kid that
// names two usable keys, and one without any usable key.
func parseKeys(text []byte, fetched time.Time) (*issuerKeys, error) {
	// This decoder refuses duplicate members and compares names exactly.
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("not a JWK Set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("JWK Set: more than %d keys", maxKeys)
	}
	parsed := &issuerKeys{fetched: fetched}
	kids := make(map[string]bool, len(set.Keys))
	for _, raw := range set.Keys {
		key, ok := parseKey(raw)
		if !ok {
			parsed.skipped++
			continue
		}
		if key.kid != "" && kids[key.kid] {
			return nil, errors.New("JWK Set: a kid names two keys")
		}
		kids[key.kid] = true
		parsed.keys = append(parsed.keys, key)
	}
	if len(parsed.keys) == 0 {
		return nil, errors.New("JWK Set: no usable key")
	}
	return parsed, nil
}

// parseKey reports false for a key that is not usable.
func parseKey(raw json.RawMessage) (issuerKey, bool) {
	var use struct {
		KeyOps []string `json:"key_ops"`
	}
	var jwk jose.JSONWebKey
	if json.Unmarshal(raw, &use) != nil || json.Unmarshal(raw, &jwk) != nil {
		return issuerKey{}, false
	}
	if jwk.Use != "" && jwk.Use != "sig" || use.KeyOps != nil && !slices.Contains(use.KeyOps, "verify") {
		return issuerKey{}, false
	}
	if len(jwk.KeyID) > maxKeyID {
		return issuerKey{}, false
	}
	algorithms := algorithmsOf(jwk.Key)
	if jwk.Algorithm != "" {
		if !slices.Contains(algorithms, trat.Algorithm(jwk.Algorithm)) {
			return issuerKey{}, false
		}
		algorithms = []trat.Algorithm{trat.Algorithm(jwk.Algorithm)}
	}
	if len(algorithms) == 0 {
		return issuerKey{}, false
	}
	return issuerKey{kid: jwk.KeyID, algorithms: algorithms, public: jwk.Key}, true
}

// algorithmsOf returns the algorithms that a public key may verify; none for what
// is not an acceptable public key.
func algorithmsOf(key any) []trat.Algorithm {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return []trat.Algorithm{trat.ES256}
		}
	case ed25519.PublicKey:
		return []trat.Algorithm{trat.EdDSA}
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits >= minRSABits && bits <= maxRSABits {
			return []trat.Algorithm{trat.RS256, trat.PS256}
		}
	}
	return nil
}

// find returns the key for a token with this kid and algorithm. Its error is
// errUnknownKey if newer keys may hold it, and SUBJECT_TOKEN_INVALID otherwise.
func (k *issuerKeys) find(kid string, alg trat.Algorithm) (crypto.PublicKey, error) {
	if kid == "" {
		return k.only(alg)
	}
	for _, key := range k.keys {
		if key.kid != kid {
			continue
		}
		if !slices.Contains(key.algorithms, alg) {
			return nil, invalid("alg", "is not that of the key")
		}
		return key.public, nil
	}
	return nil, errUnknownKey
}

// only returns the key for a token without kid, which an issuer may leave away if
// it has one key only (OpenID Connect Core section 10.1).
func (k *issuerKeys) only(alg trat.Algorithm) (crypto.PublicKey, error) {
	var found []issuerKey
	for _, key := range k.keys {
		if slices.Contains(key.algorithms, alg) {
			found = append(found, key)
		}
	}
	if len(found) != 1 {
		return nil, invalid("kid", "is missing, and does not follow from the algorithm")
	}
	return found[0].public, nil
}
