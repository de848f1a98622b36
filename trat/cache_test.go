package trat

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// swapKeySet is a KeySet whose content changes.
type swapKeySet struct {
	atomic.Pointer[StaticKeySet]
}

func (s *swapKeySet) Key(kid string) (*Key, error) {
	if set := s.Load(); set != nil {
		return set.Key(kid)
	}
	return nil, Errorf(ReasonKeysUnavailable, "", "")
}

// cached reports whether the cache of v has an entry for raw.
func cached(v *Verifier, raw string) bool {
	segments, err := splitCompact(raw)
	return err == nil && v.cache.get(segments) != nil
}

// Covers VER-25.
func TestCacheRemembersSuccessesOnly(t *testing.T) {
	v, keys := newTestVerifier(t)
	good := tokenWith(nil)
	wantAccept(t, v, good)
	if !cached(v, good) || keys.lookups.Load() != 2 {
		t.Errorf("cached %v after %d look-ups; want true after 2: a hit looks its key up", cached(v, good), keys.lookups.Load())
	}
	for _, bad := range []string{replaceSegment(good, 2, strings.Repeat("A", 86)), tokenWith(map[string]any{"aud": "x"})} {
		if _, err := v.Verify(bad); err == nil || cached(v, bad) {
			t.Errorf("error %v, cached %v", err, cached(v, bad))
		}
	}
	off, _ := newTestVerifier(t, WithCacheSize(0))
	wantAccept(t, off, good)
}

// Covers VER-25.
func TestCacheHoldsNoToken(t *testing.T) {
	v, _ := newTestVerifier(t)
	raw := tokenWith(nil)
	token := wantAccept(t, v, raw)
	segments, err := splitCompact(raw)
	if err != nil {
		t.Fatal(err)
	}
	e := v.cache.get(segments)
	if e != token.get() {
		t.Fatal("the token of a hit does not share the cached claims")
	}
	type plain verified // without methods that hide content
	if out := fmt.Sprintf("%#v", plain(*e)); strings.Contains(out, segments.signature) {
		t.Error("the cache holds the signature")
	}
}

// Nothing but the very token is a hit, whatever it shares with it.
//
// Covers VER-02, VER-25.
func TestCacheHitsTheExactToken(t *testing.T) {
	c := newCache(1)
	good := compact{signingInput: "header.payload", signature: "signature-of-it"}
	c.put(good, newVerified("header.payload.signature-of-it", good, &payload{}, &Key{}))
	if c.get(good) == nil {
		t.Error("the token is not there")
	}
	for _, other := range []compact{
		{signingInput: "header.payloaD", signature: good.signature},
		{signingInput: "header.payload2", signature: good.signature},
		{signingInput: good.signingInput, signature: "signature-of-iT"},
		{signingInput: good.signingInput, signature: "signatur"},
		{signingInput: good.signingInput},
		{signature: good.signature},
		{},
	} {
		if c.get(other) != nil {
			t.Errorf("%v is a hit", other)
		}
	}
}

// Covers VER-04, VER-10, VER-25.
func TestCacheChecksTimesAgain(t *testing.T) {
	now := testNow
	v, keys := newTestVerifier(t, WithClock(func() time.Time { return now }))
	raw := tokenWith(map[string]any{"iat": testNow.Unix(), "exp": testNow.Unix() + 15, "nbf": testNow.Unix()})
	wantAccept(t, v, raw)
	for _, tc := range []struct {
		at     time.Duration
		reason Reason
	}{
		{19 * time.Second, ""},
		{20 * time.Second, ReasonTxnTokenExpired},
		{time.Hour, ReasonTxnTokenExpired},
		{-5 * time.Second, ""},
		{-6 * time.Second, ReasonTxnTokenInvalid}, // the clock was set back
		{0, ""},
	} {
		now = testNow.Add(tc.at)
		keys.lookups.Store(0)
		_, err := v.Verify(raw)
		if reason, _ := ReasonOf(err); reason != tc.reason {
			t.Errorf("at %v: error %v, want %q", tc.at, err, tc.reason)
		}
		if tc.reason != "" && keys.lookups.Load() != 0 {
			t.Errorf("at %v: a key look-up for a dead token", tc.at)
		}
	}
}

// Covers VER-02, VER-25, KEY-05.
func TestWithdrawnOrReplacedKeyTakesItsTokensWithIt(t *testing.T) {
	keys := &swapKeySet{}
	v, err := NewVerifier(testDomain, testIssuer, keys, WithClock(fixedClock), WithAlgorithms(ES256, EdDSA))
	if err != nil {
		t.Fatal(err)
	}
	signer := testSigners()[ES256]
	raw := tokenWith(nil)
	set := func(k ...*Key) {
		s, err := NewStaticKeySet(k...)
		if err != nil {
			t.Fatal(err)
		}
		keys.Store(s)
	}
	set(signer.Key())
	wantAccept(t, v, raw)

	again, err := ParseJWKS(keys.Load().JWKS())
	if err != nil {
		t.Fatal(err)
	}
	keys.Store(again)
	before := cached(v, raw)
	if wantAccept(t, v, raw); !before || !cached(v, raw) {
		t.Error("the same key, read again, withdrew its token from the cache")
	}

	keys.Store(&StaticKeySet{})
	wantReject(t, v, raw, ReasonTxnTokenInvalid, "kid")
	keys.Store(nil)
	wantReject(t, v, raw, ReasonKeysUnavailable, "")

	other, err := NewSigner(newP256(t), ES256)
	if err != nil {
		t.Fatal(err)
	}
	set(other.Key().withID(signer.Key().ID()))
	wantReject(t, v, raw, ReasonTxnTokenInvalid, "signature")
	set(testSigners()[EdDSA].Key().withID(signer.Key().ID()))
	wantReject(t, v, raw, ReasonTxnTokenInvalid, "alg")

	set(signer.Key())
	wantAccept(t, v, raw)
}

// Covers VER-25.
func TestCacheIsBounded(t *testing.T) {
	const size = 64
	v, _ := newTestVerifier(t, WithCacheSize(size), WithAlgorithms(EdDSA))
	signer := testSigners()[EdDSA]
	header := toJSON(goodHeader(signer))
	for i := range 6 * size {
		wantAccept(t, v, signTexts(signer, header, toJSON(edited(goodPayload(), map[string]any{"txn": fmt.Sprint(i)}))))
	}
	entries := 0
	for s := range v.cache.sets {
		for w := range v.cache.sets[s] {
			if v.cache.sets[s][w].Load() != nil {
				entries++
			}
		}
	}
	if entries > size || entries < size/2 {
		t.Errorf("%d entries, want at most %d", entries, size)
	}
}

// Covers VER-25.
func TestCacheReplacesWhatExpiresFirst(t *testing.T) {
	c := newCache(1) // one set
	token := func(id string) compact { return compact{signingInput: id, signature: id} }
	put := func(id string, exp int64) {
		c.put(token(id), newVerified(id, token(id), &payload{exp: exp}, &Key{}))
	}
	for i := range cacheWays {
		put(fmt.Sprint(i), int64(100-i))
	}
	put("new", 500) // in place of the last, which expires at 97
	put("new", 500) // once more: no other entry goes
	for id, want := range map[string]bool{"0": true, "1": true, "2": true, "3": false, "new": true} {
		if got := c.get(token(id)) != nil; got != want {
			t.Errorf("entry %s present: %v, want %v", id, got, want)
		}
	}
}

// Covers VER-25, PROP-06.
func TestConcurrentVerifyDuringKeyWithdrawal(t *testing.T) {
	keys := &swapKeySet{}
	v, err := NewVerifier(testDomain, testIssuer, keys, WithClock(fixedClock), WithCacheSize(8), WithAlgorithms(EdDSA))
	if err != nil {
		t.Fatal(err)
	}
	signer := testSigners()[EdDSA]
	present, err := NewStaticKeySet(signer.Key())
	if err != nil {
		t.Fatal(err)
	}
	header := toJSON(goodHeader(signer))
	tokens := make([]string, 32)
	for i := range tokens {
		tokens[i] = signTexts(signer, header, toJSON(edited(goodPayload(), map[string]any{"txn": fmt.Sprint(i)})))
	}
	var workers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		workers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				n := i % len(tokens)
				token, err := v.Verify(tokens[n])
				if err == nil && token.TransactionID() != fmt.Sprint(n) {
					t.Errorf("token %d answered with %s", n, token.TransactionID())
					return
				}
			}
		})
	}
	for range 60 {
		keys.Store(present)
		if _, err := v.Verify(tokens[0]); err != nil {
			t.Errorf("with the key: %v", err)
		}
		keys.Store(&StaticKeySet{})
		for _, raw := range tokens {
			if _, err := v.Verify(raw); err == nil {
				t.Error("accepted after the key was withdrawn")
			}
		}
	}
	close(stop)
	workers.Wait()
}
