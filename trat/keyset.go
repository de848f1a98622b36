package trat

import (
	"encoding/json"
	"slices"
	"strings"
)

// KeySet finds verification keys. Key answers at once: it never blocks and never
// fetches. A kid that the set does not hold is ReasonTxnTokenInvalid, and so is, to a
// Verifier, an answer with another ID than kid; a set that is absent or too old is
// ReasonKeysUnavailable. Implementations must be safe for
// concurrent use. Verifiers ask again for every token, cached or not, so that a key
// which leaves the set takes its tokens with it.
type KeySet interface {
	Key(kid string) (*Key, error)
}

var errUnknownKey = &Error{Reason: ReasonTxnTokenInvalid, Field: "kid", Err: errNotAllowed}

// validKeyID bounds what may reach a KeySet as a kid, or be one.
func validKeyID(kid string) bool {
	if kid == "" || len(kid) > maxKeyIDSize {
		return false
	}
	for i := range len(kid) {
		if kid[i] <= ' ' || kid[i] >= 0x7f {
			return false
		}
	}
	return true
}

// StaticKeySet is a fixed set of keys. An empty one, as the zero value is, rejects
// every token.
type StaticKeySet struct {
	byID map[string]*Key
	keys []*Key // ordered by ID
}

// NewStaticKeySet returns the set of the given keys. Two keys with one ID are an
// error (*Error, ReasonParameterInvalid, Field "kid"), even if they are the same.
func NewStaticKeySet(keys ...*Key) (*StaticKeySet, error) {
	s := &StaticKeySet{byID: make(map[string]*Key, len(keys)), keys: slices.Clone(keys)}
	for _, k := range keys {
		if k == nil || k.public == nil {
			return nil, Errorf(ReasonParameterInvalid, "key", "nil or zero key")
		}
		if _, dup := s.byID[k.id]; dup {
			return nil, Errorf(ReasonParameterInvalid, "kid", "two keys have the same kid")
		}
		s.byID[k.id] = k
	}
	slices.SortFunc(s.keys, func(a, b *Key) int { return strings.Compare(a.id, b.id) })
	return s, nil
}

// Key returns the key with the given ID, or an *Error with ReasonTxnTokenInvalid.
func (s *StaticKeySet) Key(kid string) (*Key, error) {
	if k, ok := s.byID[kid]; ok {
		return k, nil
	}
	return nil, errUnknownKey
}

// Keys returns the keys ordered by ID.
func (s *StaticKeySet) Keys() []*Key { return slices.Clone(s.keys) }

// JWKS returns the set as JWK Set JSON (RFC 7517 section 5): public members only,
// ordered by kid, without space. The result is the same for the same keys.
func (s *StaticKeySet) JWKS() []byte {
	set := jwkSet{Keys: make([]jwk, 0, len(s.keys))}
	for _, k := range s.keys {
		set.Keys = append(set.Keys, k.jwk)
	}
	out, err := json.Marshal(set)
	if err != nil {
		panic("trat: a struct of strings does not marshal: " + err.Error())
	}
	return out
}
