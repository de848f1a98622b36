package trat

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	testDomain = "prod.example.org"
	testIssuer = "https://tts.prod.example.org"
)

// testNow is the time of every test.
var testNow = time.Date(2026, time.July, 6, 12, 0, 0, 0, time.UTC)

func fixedClock() time.Time { return testNow }

// testSigners has one signer per algorithm; RSA keys take long to make.
var testSigners = sync.OnceValue(func() map[Algorithm]*Signer {
	p256, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, err2 := ed25519.GenerateKey(rand.Reader)
	pss, err3 := rsa.GenerateKey(rand.Reader, 2048)
	pkcs1, err4 := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		panic(err)
	}
	signers := map[Algorithm]*Signer{}
	for alg, key := range map[Algorithm]crypto.Signer{ES256: p256, EdDSA: ed, PS256: pss, RS256: pkcs1} {
		signer, err := NewSigner(key, alg)
		if err != nil {
			panic(err)
		}
		signers[alg] = signer
	}
	return signers
})

// countingKeySet counts look-ups. A look-up comes directly before the signature
// operation, so what made none cost no signature operation.
type countingKeySet struct {
	KeySet
	lookups atomic.Int64
}

func (s *countingKeySet) Key(kid string) (*Key, error) {
	s.lookups.Add(1)
	return s.KeySet.Key(kid)
}

// keySetFunc is a KeySet made of a function.
type keySetFunc func(kid string) (*Key, error)

func (f keySetFunc) Key(kid string) (*Key, error) { return f(kid) }

func testKeys(tb testing.TB) *StaticKeySet {
	tb.Helper()
	keys := []*Key{}
	for _, s := range testSigners() {
		keys = append(keys, s.Key())
	}
	set, err := NewStaticKeySet(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// newTestVerifier returns a verifier with the fixed clock and every test key.
func newTestVerifier(tb testing.TB, opts ...VerifierOption) (*Verifier, *countingKeySet) {
	tb.Helper()
	keys := &countingKeySet{KeySet: testKeys(tb)}
	v, err := NewVerifier(testDomain, testIssuer, keys, append([]VerifierOption{WithClock(fixedClock)}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	return v, keys
}

// goodHeader is the header of a good token that signer signs.
func goodHeader(signer *Signer) map[string]any {
	return map[string]any{"typ": Type, "alg": string(signer.key.alg), "kid": signer.key.id}
}

// goodPayload is the claims set of a good token.
func goodPayload() map[string]any {
	return map[string]any{
		"iss":    testIssuer,
		"iat":    testNow.Unix() - 1,
		"exp":    testNow.Unix() + 14,
		"aud":    testDomain,
		"txn":    "97053963-771d-49cc-a4e3-20aad399c312",
		"sub":    "d084sdrt234fsaw34tr23t",
		"scope":  "trade.stocks",
		"req_wl": "spiffe://prod.example.org/gw",
		"tctx":   map[string]any{"action": "BUY", "ticker": "MSFT", "quantity": 100},
		"rctx":   map[string]any{"req_ip": "69.151.72.123", "authn": "face"},
	}
}

// edited returns a copy of members with changes; a nil change removes a member.
func edited(members, changes map[string]any) map[string]any {
	out := maps.Clone(members)
	for name, value := range changes {
		if value == nil {
			delete(out, name)
		} else {
			out[name] = value
		}
	}
	return out
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// null is a JSON null, which is not the absence that nil means to edited.
var null = json.RawMessage("null")

// signTexts signs any header and payload text.
func signTexts(signer *Signer, header, payload string) string {
	input := encoding.EncodeToString([]byte(header)) + "." + encoding.EncodeToString([]byte(payload))
	sig, err := sign(signer.signer, signer.key.alg, []byte(input))
	if err != nil {
		panic(err)
	}
	return input + "." + encoding.EncodeToString(sig)
}

// tokenWith returns an ES256 token with changes to a good payload.
func tokenWith(changes map[string]any) string {
	s := testSigners()[ES256]
	return signTexts(s, toJSON(goodHeader(s)), toJSON(edited(goodPayload(), changes)))
}

// tokenWithHeader returns an ES256 token with changes to a good header.
func tokenWithHeader(changes map[string]any) string {
	s := testSigners()[ES256]
	return signTexts(s, toJSON(edited(goodHeader(s), changes)), toJSON(goodPayload()))
}

// tokenWithText returns an ES256 token with the given payload text.
func tokenWithText(payload string) string {
	s := testSigners()[ES256]
	return signTexts(s, toJSON(goodHeader(s)), payload)
}

// replaceSegment returns raw with its i-th segment replaced.
func replaceSegment(raw string, i int, segment string) string {
	parts := strings.Split(raw, ".")
	parts[i] = segment
	return strings.Join(parts, ".")
}

// wantError fails unless err is an *Error with the given reason and field.
func wantError(tb testing.TB, err error, reason Reason, field string) {
	tb.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		tb.Fatalf("error = %v, want an *Error with %s", err, reason)
	}
	if e.Reason != reason || e.Field != field || !errors.Is(err, reason) {
		tb.Errorf("error = %v, want %s with field %q", err, reason, field)
	}
}

// wantReject fails unless v refuses raw for the given reason and field, twice: a
// failure is never remembered as a success.
func wantReject(tb testing.TB, v *Verifier, raw string, reason Reason, field string) {
	tb.Helper()
	for range 2 {
		token, err := v.Verify(raw)
		if token != nil {
			tb.Errorf("Verify returned a token with error %v", err)
		}
		wantError(tb, err, reason, field)
		if err != nil && len(raw) > 20 && strings.Contains(fmt.Sprintf("%v %+v", err, err), raw[:20]) {
			tb.Errorf("error holds token bytes")
		}
	}
}

// wantAccept fails unless v accepts raw, fresh and again.
func wantAccept(tb testing.TB, v *Verifier, raw string) *Token {
	tb.Helper()
	if _, err := v.Verify(raw); err != nil {
		tb.Fatalf("Verify: %v", err)
	}
	token, err := v.Verify(raw)
	if err != nil {
		tb.Fatalf("Verify again: %v", err)
	}
	return token
}
