package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

const testIssuer = "https://tts.shop.test"

// testKeys is a keySet with a clock that the test moves.
type testKeys struct {
	*keySet
	now atomic.Pointer[time.Time]
}

func newTestKeys() *testKeys {
	k := &testKeys{}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	k.now.Store(&start)
	k.keySet = newKeySet(testIssuer, func() time.Time { return *k.now.Load() })
	return k
}

func (k *testKeys) advance(d time.Duration) {
	now := k.now.Load().Add(d)
	k.now.Store(&now)
}

// newJWKS is a set with one new key.
func newJWKS(tb testing.TB) (jwks, kid string) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	key, err := trat.NewKey(trat.ES256, private.Public())
	if err != nil {
		tb.Fatal(err)
	}
	set, err := trat.NewStaticKeySet(key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(set.JWKS()), key.ID()
}

func message(version uint64, jwks string) *tratv1.WatchKeysResponse {
	return &tratv1.WatchKeysResponse{
		Issuer: testIssuer, Version: version, Jwks: jwks, MaxAge: durationpb.New(10 * time.Minute),
	}
}

// mustApply applies m and checks whether it replaced the set.
func (k *testKeys) mustApply(tb testing.TB, m *tratv1.WatchKeysResponse, wantReplaced bool) {
	tb.Helper()
	replaced, err := k.apply(m)
	if err != nil {
		tb.Fatal(err)
	}
	if replaced != wantReplaced {
		tb.Errorf("replaced = %v, want %v", replaced, wantReplaced)
	}
}

// wantKey checks what the set answers for kid; "" is no error.
func (k *testKeys) wantKey(tb testing.TB, kid string, want trat.Reason) {
	tb.Helper()
	key, err := k.Key(kid)
	if reason, _ := trat.ReasonOf(err); reason != want || (err == nil) != (key != nil) {
		tb.Errorf("Key = %v, %v; want reason %q", key, err, want)
	}
}

// Covers KEY-03.
func TestBadMessagesLeaveLastGoodSet(t *testing.T) {
	good, kid := newJWKS(t)
	other, otherKid := newJWKS(t)
	for name, test := range map[string]struct {
		change func(m *tratv1.WatchKeysResponse)
		field  string
	}{
		"no issuer":            {func(m *tratv1.WatchKeysResponse) { m.Issuer = "" }, "issuer"},
		"another issuer":       {func(m *tratv1.WatchKeysResponse) { m.Issuer = "https://tts.attacker.test" }, "issuer"},
		"issuer with a slash":  {func(m *tratv1.WatchKeysResponse) { m.Issuer += "/" }, "issuer"},
		"older version":        {func(m *tratv1.WatchKeysResponse) { m.Version = 6 }, "version"},
		"version zero":         {func(m *tratv1.WatchKeysResponse) { m.Version = 0 }, "version"},
		"second set of a name": {func(m *tratv1.WatchKeysResponse) { m.Version = 7 }, "version"},
		"no maximum age":       {func(m *tratv1.WatchKeysResponse) { m.MaxAge = nil }, "max_age"},
		"no age at all":        {func(m *tratv1.WatchKeysResponse) { m.MaxAge = durationpb.New(0) }, "max_age"},
		"negative age":         {func(m *tratv1.WatchKeysResponse) { m.MaxAge = durationpb.New(-time.Second) }, "max_age"},
		"impossible age":       {func(m *tratv1.WatchKeysResponse) { m.MaxAge = &durationpb.Duration{Seconds: 1, Nanos: -1} }, "max_age"},
		"no set":               {func(m *tratv1.WatchKeysResponse) { m.Jwks = "" }, "jwks"},
		"garbage":              {func(m *tratv1.WatchKeysResponse) { m.Jwks = "garbage" }, "jwks"},
		"no keys":              {func(m *tratv1.WatchKeysResponse) { m.Jwks = "{}" }, "jwks"},
		"half a set":           {func(m *tratv1.WatchKeysResponse) { m.Jwks = m.Jwks[:len(m.Jwks)/2] }, "jwks"},
		"oversized":            {func(m *tratv1.WatchKeysResponse) { m.Jwks = strings.Repeat(" ", 64<<10) + m.Jwks }, "jwks"},
		"a symmetric key":      {func(m *tratv1.WatchKeysResponse) { m.Jwks = `{"keys":[{"kty":"oct","k":"AAAA","kid":"a"}]}` }, "jwks"},
		"the same kid twice": {func(m *tratv1.WatchKeysResponse) {
			key := strings.TrimSuffix(strings.TrimPrefix(other, `{"keys":[`), `]}`)
			m.Jwks = `{"keys":[` + key + `,` + key + `]}`
		}, "jwks"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTestKeys()
			k.mustApply(t, message(7, good), true)
			before := k.current.Load()
			next := k.next()

			m := message(8, other)
			test.change(m)
			_, err := k.apply(m)
			var e *trat.Error
			if !errors.As(err, &e) || e.Reason != trat.ReasonKeysUnavailable || e.Field != test.field {
				t.Errorf("error = %v, want KEYS_UNAVAILABLE: %s", err, test.field)
			}
			if k.current.Load() != before {
				t.Error("the set was replaced")
			}
			select {
			case <-next:
				t.Error("those who wait were woken")
			default:
			}
			k.wantKey(t, kid, "")
			k.wantKey(t, otherKid, trat.ReasonTxnTokenInvalid)
		})
	}
}

// Covers KEY-05.
func TestNoKeysBeforeFirstMessageAndNoneInAnEmptySet(t *testing.T) {
	jwks, kid := newJWKS(t)
	k := newTestKeys()
	k.wantKey(t, kid, trat.ReasonKeysUnavailable)
	if _, ok := k.age(); ok {
		t.Error("a set that was never heard has an age")
	}
	k.mustApply(t, message(1, jwks), true)
	k.wantKey(t, kid, "")
	k.mustApply(t, message(2, `{"keys":[]}`), true)
	k.wantKey(t, kid, trat.ReasonTxnTokenInvalid)
}

// Covers KEY-03.
func TestSetIsUsedUpToItsMaximumAge(t *testing.T) {
	jwks, kid := newJWKS(t)
	for name, test := range map[string]struct{ maxAge, usable time.Duration }{
		"shorter than ours": {time.Minute, time.Minute},
		"ours":              {MaxKeyAge, MaxKeyAge},
		"longer than ours":  {24 * time.Hour, MaxKeyAge},
		"longest":           {1<<63 - 1, MaxKeyAge},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTestKeys()
			m := message(1, jwks)
			m.MaxAge = durationpb.New(test.maxAge)
			k.mustApply(t, m, true)
			k.advance(test.usable)
			k.wantKey(t, kid, "")
			if age, _ := k.age(); age != test.usable {
				t.Errorf("age = %s, want %s", age, test.usable)
			}
			k.advance(1)
			k.wantKey(t, kid, trat.ReasonKeysUnavailable)
			// Heard again, the same set is good again.
			k.mustApply(t, m, true)
			k.wantKey(t, kid, "")
		})
	}
}

func TestHeartbeatRenewsTheAgeOfTheSameSet(t *testing.T) {
	jwks, kid := newJWKS(t)
	k := newTestKeys()
	k.mustApply(t, message(1, jwks), true)
	keys := k.current.Load().keys
	for range 5 {
		k.advance(MaxKeyAge - time.Second)
		k.mustApply(t, message(1, jwks), false)
		k.wantKey(t, kid, "")
	}
	if k.current.Load().keys != keys {
		t.Error("an unchanged set was parsed again")
	}
}

func TestOlderVersionCountsAgainOnceTheSetIsStale(t *testing.T) {
	jwks, kid := newJWKS(t)
	older, olderKid := newJWKS(t)
	k := newTestKeys()
	k.mustApply(t, message(9, jwks), true)
	k.advance(MaxKeyAge)
	if _, err := k.apply(message(8, older)); !errors.Is(err, errOlder) {
		t.Errorf("error = %v, want %v", err, errOlder)
	}
	k.advance(1)
	k.mustApply(t, message(8, older), true)
	k.wantKey(t, olderKid, "")
	k.wantKey(t, kid, trat.ReasonTxnTokenInvalid)
}

func TestKeyDoesNotAllocate(t *testing.T) {
	jwks, kid := newJWKS(t)
	k := newTestKeys()
	k.mustApply(t, message(1, jwks), true)
	for name, kid := range map[string]string{"known": kid, "unknown": "unknown"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = k.Key(kid) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Covers KEY-06.
func TestBackoffGrowsWithJitterAndStaysBelowASecond(t *testing.T) {
	var spread bool
	for failures := 1; failures < 2000; failures++ {
		d := backoff(failures)
		if d < 90*time.Millisecond || d >= time.Second {
			t.Fatalf("backoff(%d) = %s", failures, d)
		}
		if failures == 1 && d > 110*time.Millisecond || failures > 10 && d < 800*time.Millisecond {
			t.Errorf("backoff(%d) = %s", failures, d)
		}
		spread = spread || d != backoff(failures)
	}
	if !spread {
		t.Error("no jitter")
	}
}

// A message is accepted whole or changes nothing, whatever it holds.
func FuzzApply(f *testing.F) {
	jwks, kid := newJWKS(f)
	f.Add(testIssuer, uint64(2), jwks, int64(600), int32(0))
	f.Add(testIssuer, uint64(1), jwks, int64(600), int32(0))
	f.Add(testIssuer, uint64(2), `{"keys":[]}`, int64(1), int32(-1))
	f.Add("", uint64(0), "", int64(-1), int32(0))
	f.Fuzz(func(t *testing.T, issuer string, version uint64, set string, seconds int64, nanos int32) {
		k := newTestKeys()
		k.mustApply(t, message(1, jwks), true)
		before := k.current.Load()
		m := &tratv1.WatchKeysResponse{
			Issuer: issuer, Version: version, Jwks: set, MaxAge: &durationpb.Duration{Seconds: seconds, Nanos: nanos},
		}
		replaced, err := k.apply(m)
		after := k.current.Load()
		switch {
		case err != nil:
			if replaced || after != before || !errors.Is(err, trat.ReasonKeysUnavailable) {
				t.Errorf("refused with %v, replaced = %v", err, replaced)
			}
			k.wantKey(t, kid, "")
		case issuer != testIssuer || version < 1 || version == 1 && set != jwks || after == before:
			t.Errorf("accepted issuer %q, version %d", issuer, version)
		case replaced != (version > 1):
			t.Errorf("replaced = %v by version %d", replaced, version)
		case after.stale.After(after.heard.Add(MaxKeyAge)) || !after.stale.After(after.heard):
			t.Errorf("heard %s, stale %s", after.heard, after.stale)
		}
	})
}
