package subject_test

import (
	"bytes"
	"crypto"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

const opaqueToken = "9d1f-alice.s0me~opaque+token/of_no.meaning.here="

// opaqueConfig trusts the fake provider, and asks it with a secret.
func opaqueConfig() subject.IssuerConfig {
	cfg := loginConfig()
	cfg.Introspection = &subject.IntrospectionConfig{ClientID: resource, ClientSecret: []byte(resourceSecret), AllRequesters: true}
	return cfg
}

func verifyAccess(t testing.TB, r *subject.Registry, token string) (*subject.Principal, error) {
	t.Helper()
	return r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
}

// anyKey is a key for a provider whose tokens are opaque.
func anyKey() signingKey { return signingKey{kid: "1", alg: "ES256", private: newECKey()} }

// Covers TTS-18, TTS-36, TTS-37.
func TestAnOpaqueTokenIsWhatItsIssuerSaysOfIt(t *testing.T) {
	provider := newFakeProvider(login, anyKey())
	provider.issue(opaqueToken, opaqueClaims(now))
	r := both(t, start(t, provider, opaqueConfig()))
	got, err := verifyAccess(t, r, opaqueToken)
	if err != nil {
		t.Fatal(err)
	}
	want := &subject.Principal{
		Issuer:     login,
		Subject:    "shop:alice",
		Scopes:     []string{"openid", "orders:write"},
		ScopeKnown: true,
		Expiry:     now.Add(5 * time.Minute),
		Claims:     must(trat.ParseObject(encode(edit(opaqueClaims(now), members{"active": true})))),
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b trat.Object) bool { return a == b }), cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("principal (-want +got):\n%s", diff)
	}
}

func TestTheTokenServiceAuthenticatesToTheIssuer(t *testing.T) {
	for name, key := range map[string]crypto.Signer{
		"client_secret_basic":             nil,
		"private_key_jwt with ES256":      newECKey(),
		"private_key_jwt with an Ed25519": newEd25519Key(),
		"private_key_jwt with RS256":      rsaKey(),
	} {
		t.Run(name, func(t *testing.T) {
			provider := newFakeProvider(login, anyKey())
			cfg := opaqueConfig()
			if key != nil {
				provider.expectAssertions(key.Public())
				cfg.Introspection = &subject.IntrospectionConfig{ClientID: resource, PrivateKey: key, KeyID: "tts-1", AllRequesters: true}
			}
			r := both(t, start(t, provider, cfg))
			for _, token := range []string{"one", "two", "three"} {
				provider.issue(token, opaqueClaims(now))
				if _, err := verifyAccess(t, r, token); err != nil {
					t.Error(err)
				}
			}
			if n := provider.strangers.Load(); n != 0 {
				t.Errorf("%d questions were not authenticated", n)
			}
		})
	}
	t.Run("with a wrong secret", func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.issue(opaqueToken, opaqueClaims(now))
		cfg := opaqueConfig()
		cfg.Introspection.ClientSecret = []byte("wrong")
		p, err := verifyAccess(t, both(t, start(t, provider, cfg)), opaqueToken)
		wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
	})
}

// Covers TTS-18.
func TestAnIssuerIsAskedOverTheNetwork(t *testing.T) {
	provider := newFakeProvider("", anyKey())
	transport := provider.serveTLS(t)
	cfg := opaqueConfig()
	cfg.Issuer = provider.issuer
	provider.issue(opaqueToken, edit(opaqueClaims(now), members{"iss": provider.issuer}))
	for name, endpoint := range map[string]string{"at the endpoint of its metadata": "", "at the configured endpoint": provider.issuer + "/introspect"} {
		t.Run(name, func(t *testing.T) {
			cfg.Introspection.Endpoint = endpoint
			if _, err := verifyAccess(t, both(t, start(t, transport, cfg)), opaqueToken); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatAnAnswerMayLookLike(t *testing.T) {
	for name, change := range map[string]members{
		"without iss":                    {"iss": absent{}},
		"without iat":                    {"iat": absent{}},
		"without token_type":             {"token_type": absent{}},
		"one audience":                   {"aud": audience},
		"members that nobody knows":      {"x": members{"y": 1}},
		"a token_type in another case":   {"token_type": "bearer"},
		"token_use of an access token":   {"token_use": "access_token"},
		"typ of an access token":         {"typ": "at+jwt"},
		"expired within the skew":        {"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(-29 * time.Second).Unix()},
		"issued within the skew to come": {"iat": now.Add(30 * time.Second).Unix()},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newFakeProvider(login, anyKey())
			provider.issue(opaqueToken, edit(opaqueClaims(now), change))
			if _, err := verifyAccess(t, both(t, start(t, provider, opaqueConfig())), opaqueToken); err != nil {
				t.Error(err)
			}
		})
	}
}

// Covers TTS-31.
func TestTheScopeOfAnOpaqueTokenIsKnownOnlyIfItIsThere(t *testing.T) {
	for _, test := range []struct {
		scope  any
		scopes []string
		known  bool
	}{{absent{}, nil, false}, {"", nil, true}, {"a b", []string{"a", "b"}, true}} {
		provider := newFakeProvider(login, anyKey())
		provider.issue(opaqueToken, edit(opaqueClaims(now), members{"scope": test.scope}))
		p, err := verifyAccess(t, both(t, start(t, provider, opaqueConfig())), opaqueToken)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.scopes, p.Scopes); diff != "" || p.ScopeKnown != test.known {
			t.Errorf("scope %q: known = %v, scopes (-want +got):\n%s", test.scope, p.ScopeKnown, diff)
		}
	}
}

// Covers TTS-09, TTS-18, TTS-19, TTS-36, TTS-37.
func TestBadOpaqueTokensAreRefused(t *testing.T) {
	type test struct {
		answer members
		reason trat.Reason
		field  string
	}
	tests := map[string]test{
		"expired at the end of the skew": {members{"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(-30 * time.Second).Unix()}, trat.ReasonSubjectTokenExpired, "exp"},
		"expired long ago":               {members{"iat": absent{}, "exp": now.Add(-time.Hour).Unix()}, trat.ReasonSubjectTokenExpired, "exp"},
	}
	bad := func(name, field string, change members) {
		tests[name] = test{change, trat.ReasonSubjectTokenInvalid, field}
	}
	for _, name := range []string{"sub", "aud", "exp", "client_id"} {
		bad("without "+name, name, members{name: absent{}})
		bad(name+" null", name, members{name: nil})
		bad(name+" of a wrong type", name, members{name: members{}})
	}
	for _, name := range []string{"iss", "iat", "nbf", "scope", "token_type", "token_use", "typ"} {
		bad(name+" null", name, members{name: nil})
		bad(name+" of a wrong type", name, members{name: members{}})
	}
	bad("another issuer", "iss", members{"iss": "https://login.other.test"})
	bad("the issuer with a slash", "iss", members{"iss": login + "/"})
	bad("another recipient", "aud", members{"aud": "https://api.other.test"})
	bad("recipients without ours", "aud", members{"aud": []string{login, audience + "/"}})
	bad("an exp that is text", "exp", members{"exp": "1900000000"})
	bad("an exp with a fraction", "exp", members{"exp": 1900000000.5})
	bad("an exp before iat", "exp", members{"exp": now.Add(-time.Second).Unix()})
	bad("an iat to come", "iat", members{"iat": now.Add(31 * time.Second).Unix()})
	bad("an nbf to come", "nbf", members{"nbf": now.Add(31 * time.Second).Unix()})
	bad("a sub that is too long", "sub", members{"sub": strings.Repeat("s", 256)})
	bad("a sub with a line break", "sub", members{"sub": "alice\nbob"})
	bad("a scope with a double space", "scope", members{"scope": "a  b"})
	bad("a refresh token by its token_type", "token_type", members{"token_type": "refresh_token"})
	bad("a refresh token by its typ", "typ", members{"typ": "Refresh"})
	bad("an offline token by its typ", "typ", members{"typ": "Offline"})
	bad("an ID token by its token_use", "token_use", members{"token_use": "id"})

	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			provider := newFakeProvider(login, anyKey())
			provider.issue(opaqueToken, edit(opaqueClaims(now), tests[name].answer))
			p, err := verifyAccess(t, both(t, start(t, provider, opaqueConfig())), opaqueToken)
			wantError(t, p, err, tests[name].reason, tests[name].field)
		})
	}
	t.Run("not active", func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		p, err := verifyAccess(t, both(t, start(t, provider, opaqueConfig())), opaqueToken)
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "subject_token")
	})
	t.Run("not active, with everything else", func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.issue(opaqueToken, edit(opaqueClaims(now), members{"active": false}))
		p, err := verifyAccess(t, both(t, start(t, provider, opaqueConfig())), opaqueToken)
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "subject_token")
	})
}

// Covers TTS-18.
func TestOnlyWhatIsOpaqueIsShownToTheIssuer(t *testing.T) {
	key := anyKey()
	provider := newFakeProvider(login, key)
	r := both(t, start(t, provider, opaqueConfig()))
	good := key.jwt("at+jwt", accessClaims(now), nil)
	parts := strings.Split(good, ".")
	spaced := b64(" \n"+`{"alg":"ES256","typ":"at+jwt","kid":"1"}`) + "." + parts[1] + "." + parts[2]
	for name, token := range map[string]string{
		"a JWT of another type":             key.jwt("JWT", accessClaims(now), nil),
		"a JWT without signature":           parts[0] + "." + parts[1] + ".",
		"a JWT of no known algorithm":       b64(`{"alg":"HS256"}`) + "." + parts[1] + "." + parts[2],
		"a JWT with space before its start": spaced,
		"a JWT that was altered":            parts[0] + "." + b64(encode(edit(accessClaims(now), members{"sub": "bob"}))) + "." + parts[2],
		"a space":                           "alice token",
		"a line break":                      "alice\ntoken",
		"padding within":                    "alice=token",
		"padding alone":                     "==",
		"a scheme":                          "Bearer " + opaqueToken,
		"what no token has":                 "alice{}",
		"what is not ASCII":                 "alicé",
	} {
		// As if it were active: it must not come to that.
		provider.issue(token, opaqueClaims(now))
		t.Run(name, func(t *testing.T) {
			p, err := verifyAccess(t, r, token)
			if reason, _ := trat.ReasonOf(err); p != nil || reason != trat.ReasonSubjectTokenInvalid {
				t.Errorf("Verify = %v, %v", p, err)
			}
		})
	}
	if _, err := verifyAccess(t, r, good); err != nil {
		t.Errorf("a good JWT: %v", err)
	}
	if n := provider.questions.Load(); n != 0 {
		t.Errorf("%d questions were asked", n)
	}
}

// Covers TTS-22.
func TestAnOpaqueTokenIsShownToTheIssuerOfItsRequester(t *testing.T) {
	const partner = "https://login.partner.test"
	shop, other := newFakeProvider(login, anyKey()), newFakeProvider(partner, anyKey())
	shop.issue("42", edit(opaqueClaims(now), members{"sub": "42"}))
	other.issue("42", edit(opaqueClaims(now), members{"sub": "42", "iss": partner}))

	one, two, jwtsOnly := opaqueConfig(), opaqueConfig(), opaqueConfig()
	one.Introspection.AllRequesters, two.Introspection.AllRequesters, jwtsOnly.Introspection.AllRequesters = false, false, false
	one.Introspection.Requesters = []string{gateway.String(), "spiffe://shop.test/ns/*/web"}
	two.Issuer, two.Prefix = partner, "partner"
	two.Introspection.Requesters = []string{"spiffe://shop.test/ns/*/jobs"}
	jwtsOnly.Issuer, jwtsOnly.Prefix = "https://third.test", "third"
	jwtsOnly.Introspection.JWTs, jwtsOnly.Introspection.NoOpaque = true, true
	third := newFakeProvider(jwtsOnly.Issuer, anyKey())
	r := both(t, start(t, hosts{"login.shop.test": shop, "login.partner.test": other, "third.test": third}, one, two, jwtsOnly))

	for requester, want := range map[string]string{
		"spiffe://shop.test/gateway":   "shop:42",
		"spiffe://shop.test/ns/a/web":  "shop:42",
		"spiffe://shop.test/ns/a/jobs": "partner:42",
	} {
		in := input(trat.TokenTypeAccessToken, "42")
		in.Requester = spiffeid.RequireFromString(requester)
		p, err := r.Verify(t.Context(), in)
		if err != nil || p.Subject != want {
			t.Errorf("%s: %+v, %v, want subject %s", requester, p, err, want)
		}
	}
	asked := shop.questions.Load() + other.questions.Load()
	for _, requester := range []string{"spiffe://shop.test/ns/a/b/web", "spiffe://shop.test/ns/web", "spiffe://other.test/gateway"} {
		in := input(trat.TokenTypeAccessToken, "42")
		in.Requester = spiffeid.RequireFromString(requester)
		p, err := r.Verify(t.Context(), in)
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "subject_token")
	}
	if n := shop.questions.Load() + other.questions.Load(); n != asked || third.questions.Load() != 0 {
		t.Error("a token was shown to an issuer that it is not of")
	}
}

func TestOpaqueTokensAreRefusedWithoutIntrospection(t *testing.T) {
	provider := newFakeProvider(login, anyKey())
	provider.issue(opaqueToken, opaqueClaims(now))
	p, err := verifyAccess(t, both(t, start(t, provider, loginConfig())), opaqueToken)
	wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "subject_token")
	if n := provider.questions.Load(); n != 0 {
		t.Errorf("%d questions were asked", n)
	}
}

// logged returns a logger of everything, and what it was told.
func logged() (*slog.Logger, *bytes.Buffer) {
	var text bytes.Buffer
	return slog.New(slog.NewJSONHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})), &text
}
