package subject_test

import (
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// after passes synthetic time.
func after(d time.Duration) { <-time.After(d) }

// lies are answers that no keys may be taken from.
func lies(good signingKey) map[string]struct{ metadata, jwks http.HandlerFunc } {
	type answers = struct{ metadata, jwks http.HandlerFunc }
	keys := func(jwks ...any) http.HandlerFunc { return jsonDocument(members{"keys": jwks}) }
	keysAt := func(url string) http.HandlerFunc {
		return jsonDocument(members{"issuer": login, "jwks_uri": url})
	}
	private := jose.JSONWebKey{Key: good.private, KeyID: "p", Use: "sig", Algorithm: good.alg}
	encryption := good.jwk()
	encryption.Use = "enc"
	p384 := signingKey{kid: "384", private: must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))}
	weak := signingKey{kid: "weak", private: smallRSAKey()}
	many := make([]any, 101)
	for i := range many {
		k := good.jwk()
		k.KeyID = fmt.Sprint(i)
		many[i] = k
	}
	return map[string]answers{
		"metadata of another issuer":     {jsonDocument(members{"issuer": "https://evil.test", "jwks_uri": login + "/keys"}), nil},
		"metadata with a slash more":     {jsonDocument(members{"issuer": login + "/", "jwks_uri": login + "/keys"}), nil},
		"metadata without issuer":        {jsonDocument(members{"jwks_uri": login + "/keys"}), nil},
		"metadata with two issuers":      {body("application/json", `{"issuer":"https://evil.test","issuer":"`+login+`","jwks_uri":"`+login+`/keys"}`), nil},
		"metadata that is HTML":          {body("text/html", "<html>log in</html>"), nil},
		"metadata that is HTML, as JSON": {body("application/json", "<html>log in</html>"), nil},
		"metadata that is huge":          {body("application/json", strings.Repeat(" ", 300<<10)+"{}"), nil},
		"metadata that is a redirect":    {redirect("https://evil.test/metadata"), nil},
		"metadata that is an error":      {status(http.StatusInternalServerError), nil},
		"no metadata":                    {status(http.StatusNotFound), nil},
		"metadata that never comes":      {hang, nil},
		"metadata without jwks_uri":      {jsonDocument(members{"issuer": login}), nil},
		"keys over http":                 {keysAt("http://login.shop.test/keys"), nil},
		"keys in a file":                 {keysAt("file:///etc/keys"), nil},
		"keys behind a password":         {keysAt("https://u:p@login.shop.test/keys"), nil},
		"keys at a relative URL":         {keysAt("/keys"), nil},

		"keys that are HTML":              {nil, body("text/html", "<html>")},
		"keys without a type":             {nil, body("", `{"keys":[]}`)},
		"keys that are a redirect":        {nil, redirect(login + "/.well-known/openid-configuration")},
		"keys that are an error":          {nil, status(http.StatusServiceUnavailable)},
		"keys that never come":            {nil, hang},
		"keys that are huge":              {nil, body("application/json", `{"keys":[],"x":"`+strings.Repeat("x", 257<<10)+`"}`)},
		"nothing":                         {nil, body("application/json", "")},
		"no object":                       {nil, body("application/json", `"keys"`)},
		"no keys member":                  {nil, jsonDocument(members{"Keys": []any{good.jwk()}})},
		"an empty set":                    {nil, keys()},
		"a set of something else":         {nil, keys("key", 1, nil)},
		"too many keys":                   {nil, keys(many...)},
		"two keys of one kid":             {nil, keys(good.jwk(), signingKey{kid: good.kid, private: newEd25519Key()}.jwk())},
		"an HMAC key":                     {nil, keys(members{"kty": "oct", "kid": good.kid, "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"})},
		"a private key":                   {nil, keys(private)},
		"a key for encryption":            {nil, keys(encryption)},
		"a key for another operation":     {nil, keys(members{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "key_ops": []string{"sign"}})},
		"a key of an unknown type":        {nil, keys(members{"kty": "XX", "kid": "x"})},
		"a key on another curve":          {nil, keys(p384.jwk())},
		"a key whose alg is not its type": {nil, keys(members{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "alg": "RS256"})},
		"a weak key":                      {nil, keys(weak.jwk())},
	}
}

// Covers TTS-18.
func TestALyingProviderHasNoKeys(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	for name, lie := range lies(key) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := newFakeProvider(login, key)
				provider.lie(lie.metadata, lie.jwks)
				issuers := start(t, provider, loginConfig())
				token := key.jwt("at+jwt", accessClaims(now), nil)
				p, err := both(t, issuers).Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
				wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
				wantError(t, nil, issuers.Ready(), trat.ReasonDependencyUnavailable, "")
			})
		})
	}
}

func TestGoodKeysOutliveABadAnswerUntilTheyAreStale(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	for name, lie := range lies(key) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := newFakeProvider(login, key)
				issuers := startWith(t, subject.IssuersConfig{
					Issuers: []subject.IssuerConfig{loginConfig()}, Transport: provider, Logger: quiet,
				})
				r := both(t, issuers)
				verify := func() error {
					token := key.jwt("at+jwt", accessClaims(time.Now()), nil)
					in := input(trat.TokenTypeAccessToken, token)
					in.Now = time.Now()
					_, err := r.Verify(t.Context(), in)
					return err
				}
				if err := verify(); err != nil {
					t.Fatal(err)
				}
				provider.lie(lie.metadata, lie.jwks)
				after(subject.DefaultMaxStale - time.Minute)
				if err := verify(); err != nil {
					t.Errorf("before the keys are stale: %v", err)
				}
				after(2 * time.Minute)
				wantError(t, nil, verify(), trat.ReasonDependencyUnavailable, "")
				wantError(t, nil, issuers.Ready(), trat.ReasonDependencyUnavailable, "")

				provider.lie(nil, nil)
				after(time.Minute)
				if err := verify(); err != nil {
					t.Errorf("after the provider has recovered: %v", err)
				}
			})
		})
	}
}

func TestKeysThatAreNotForTokensAreLeftOut(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	encryption := jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "1", Use: "enc", Algorithm: "RSA-OAEP"}
	provider := newFakeProvider(login)
	provider.publishJWKs(encryption, members{"kty": "oct", "k": "c2VjcmV0"}, members{"kty": "AKP", "alg": "ML-DSA-99"}, key.jwk())
	r := both(t, start(t, provider, loginConfig()))
	if _, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, key.jwt("at+jwt", accessClaims(now), nil))); err != nil {
		t.Error(err)
	}
}

func TestACompressedAnswerIsNotUnpacked(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	provider := newFakeProvider("", key)
	provider.lie(nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		spaces := []byte(strings.Repeat(" ", 1<<20))
		for range 8 { // the client hangs up long before
			if _, err := z.Write(spaces); err != nil {
				return
			}
		}
	})
	transport := provider.serveTLS(t)
	cfg := loginConfig()
	cfg.Issuer = provider.issuer
	issuers := start(t, transport, cfg)
	token := key.jwt("at+jwt", edit(accessClaims(now), members{"iss": cfg.Issuer}), nil)
	p, err := both(t, issuers).Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
	wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
	if !strings.Contains(err.Error(), "compressed") {
		t.Errorf("error = %v, want that it is compressed", err)
	}
}

func TestUnknownKeysAreFetchedForRarelyAndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
		stranger := signingKey{kid: "stranger", alg: "ES256", private: newECKey()}
		provider := newFakeProvider(login, key)
		r := both(t, start(t, provider, loginConfig()))
		if _, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, key.jwt("at+jwt", accessClaims(now), nil))); err != nil {
			t.Fatal(err)
		}
		token := stranger.jwt("at+jwt", accessClaims(now), nil)
		for round := range int64(3) {
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
					wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "kid")
				})
			}
			wg.Wait()
			// The first round finds the clock of the issuers standing still: no second
			// fetch is due in any later round.
			if n := provider.jwksFetches.Load(); n != 2 {
				t.Fatalf("round %d: %d fetches, want the first and one for all unknown keys", round, n)
			}
		}
	})
}

func TestUnknownKeysAreFetchedForEveryTenSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stranger := signingKey{kid: "stranger", alg: "ES256", private: newECKey()}
		provider := newFakeProvider(login, signingKey{kid: "1", alg: "ES256", private: newECKey()})
		r := both(t, startWith(t, subject.IssuersConfig{
			Issuers: []subject.IssuerConfig{loginConfig()}, Transport: provider, Logger: quiet,
		}))
		synctest.Wait()
		for range 1000 { // over 100 s
			in := input(trat.TokenTypeAccessToken, stranger.jwt("at+jwt", accessClaims(time.Now()), nil))
			in.Now = time.Now()
			p, err := r.Verify(t.Context(), in)
			wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "kid")
			after(100 * time.Millisecond)
		}
		if n := provider.jwksFetches.Load(); n != 11 {
			t.Errorf("%d fetches in 100 s, want the first and one each 10 s", n)
		}
	})
}

// Covers TTS-18.
func TestNewKeysAreFoundWhenATokenNeedsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := signingKey{kid: "old", alg: "ES256", private: newECKey()}
		next := signingKey{kid: "next", alg: "ES256", private: newECKey()}
		provider := newFakeProvider(login, old)
		r := both(t, start(t, provider, loginConfig()))
		load := func(key signingKey) {
			t.Helper()
			token := key.jwt("at+jwt", accessClaims(now), nil)
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if _, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token)); err != nil {
						t.Errorf("key %s: %v", key.kid, err)
					}
				})
			}
			wg.Wait()
		}
		load(old)
		provider.publish(next, old)
		load(next)
		load(old)

		provider.publish(next)
		after(subject.DefaultRefreshInterval * 12 / 10)
		load(next)
		p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, old.jwt("at+jwt", accessClaims(now), nil)))
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "kid")
	})
}

func TestRefreshGoesOnWithJitterWhateverFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
		provider := newFakeProvider(login, key)
		var (
			mu    sync.Mutex
			times []time.Time
			fail  bool
		)
		provider.lie(nil, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			times = append(times, time.Now())
			failing := fail
			mu.Unlock()
			if failing {
				status(http.StatusBadGateway)(w, r)
				return
			}
			jsonDocument(members{"keys": []any{key.jwk()}})(w, r)
		})
		take := func() []time.Duration {
			mu.Lock()
			defer mu.Unlock()
			var delays []time.Duration
			for i := 1; i < len(times); i++ {
				delays = append(delays, times[i].Sub(times[i-1]))
			}
			times = times[max(len(times)-1, 0):]
			return delays
		}
		issuers := startWith(t, subject.IssuersConfig{
			Issuers: []subject.IssuerConfig{loginConfig()}, Transport: provider, Logger: quiet,
		})

		after(100 * subject.DefaultRefreshInterval)
		delays := take()
		distinct := make(map[time.Duration]bool)
		for _, d := range delays {
			distinct[d] = true
			if d < subject.DefaultRefreshInterval*9/10 || d > subject.DefaultRefreshInterval*11/10 {
				t.Errorf("refreshed after %s, want %s give or take ten percent", d, subject.DefaultRefreshInterval)
			}
		}
		if len(delays) < 90 || len(distinct) < len(delays)/2 {
			t.Errorf("%d refreshes with %d different delays", len(delays), len(distinct))
		}

		mu.Lock()
		fail = true
		mu.Unlock()
		after(2 * subject.DefaultMaxStale)
		delays = take()
		wantError(t, nil, issuers.Ready(), trat.ReasonDependencyUnavailable, "")
		for i, d := range delays[1:] { // the first is from before the failure
			if want := min(time.Second<<min(i, 10), 30*time.Second); d < want*9/10 || d > want*11/10 {
				t.Errorf("retry %d after %s, want %s give or take ten percent", i+1, d, want)
			}
		}

		mu.Lock()
		fail = false
		mu.Unlock()
		after(34 * time.Second)
		if err := issuers.Ready(); err != nil {
			t.Errorf("after the provider has recovered: %v", err)
		}
	})
}

func TestAWaitForKeysEnds(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	token := key.jwt("at+jwt", accessClaims(now), nil)

	t.Run("after five seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			provider := newFakeProvider(login, key)
			provider.lie(hang, nil)
			r := both(t, start(t, provider, loginConfig()))
			began := time.Now()
			p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
			wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
			if waited := time.Since(began); waited != 5*time.Second {
				t.Errorf("waited %s", waited)
			}
		})
	})
	t.Run("with its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			provider := newFakeProvider(login, key)
			provider.lie(hang, nil)
			r := both(t, start(t, provider, loginConfig()))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			p, err := r.Verify(ctx, input(trat.TokenTypeAccessToken, token))
			wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error = %v, want it to wrap context.DeadlineExceeded", err)
			}
		})
	})
	t.Run("with Close", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			provider := newFakeProvider(login, key)
			provider.lie(hang, nil)
			issuers := start(t, provider, loginConfig())
			r := both(t, issuers)
			var wg sync.WaitGroup
			wg.Go(func() {
				p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
				wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
			})
			synctest.Wait()
			began := time.Now()
			if err := issuers.Close(); err != nil {
				t.Error(err)
			}
			wg.Wait()
			if waited := time.Since(began); waited != 0 {
				t.Errorf("Close took %s", waited)
			}
		})
	})
}
