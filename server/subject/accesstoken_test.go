package subject_test

import (
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-18, TTS-37.
func TestAnAccessTokenNamesItsSubjectAndScope(t *testing.T) {
	for _, key := range []signingKey{
		{kid: "1", alg: "ES256", private: newECKey()},
		{kid: "2", alg: "EdDSA", private: newEd25519Key()},
		{kid: "3", alg: "RS256", private: rsaKey()},
		{kid: "4", alg: "PS256", private: rsaKey()},
		{kid: "", alg: "ES256", private: newECKey()}, // one key only: no kid needed
	} {
		t.Run(key.alg+key.kid, func(t *testing.T) {
			r := both(t, start(t, newFakeProvider(login, key), loginConfig()))
			claims := accessClaims(now)
			got, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, key.jwt("at+jwt", claims, nil)))
			if err != nil {
				t.Fatal(err)
			}
			want := &subject.Principal{
				Issuer:     login,
				Subject:    "shop:alice",
				Scopes:     []string{"openid", "orders:write"},
				ScopeKnown: true,
				Expiry:     now.Add(5 * time.Minute),
				Claims:     must(trat.ParseObject(encode(claims))),
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b trat.Object) bool { return a == b }), cmp.Comparer(time.Time.Equal)); diff != "" {
				t.Errorf("principal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatAnAccessTokenMayLookLike(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	r := both(t, start(t, newFakeProvider(login, key), loginConfig()))
	for name, test := range map[string]struct {
		typ    string
		claims members
	}{
		"the full media type":            {"application/at+jwt", nil},
		"a media type in another case":   {"AT+JWT", nil},
		"several audiences":              {"at+jwt", members{"aud": []string{"https://other.test", audience}}},
		"claims that nobody knows":       {"at+jwt", members{"x": members{"y": 1}}},
		"expired within the skew":        {"at+jwt", members{"exp": now.Add(-29 * time.Second).Unix(), "iat": now.Add(-time.Hour).Unix()}},
		"issued within the skew to come": {"at+jwt", members{"iat": now.Add(30 * time.Second).Unix()}},
		"valid within the skew to come":  {"at+jwt", members{"nbf": now.Add(30 * time.Second).Unix()}},
		"the longest sub":                {"at+jwt", members{"sub": strings.Repeat("s", 255)}},
	} {
		t.Run(name, func(t *testing.T) {
			token := key.jwt(test.typ, edit(accessClaims(now), test.claims), nil)
			if _, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Covers TTS-31.
func TestTheScopeOfAnAccessTokenIsKnownOnlyIfItIsThere(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	r := both(t, start(t, newFakeProvider(login, key), loginConfig()))
	for _, test := range []struct {
		name   string
		scope  any
		scopes []string
		known  bool
	}{
		{"absent", absent{}, nil, false},
		{"empty", "", nil, true},
		{"one", "a", []string{"a"}, true},
		{"more than a TraT may have", strings.Repeat("a ", 1000) + "b", append(strings.Split(strings.Repeat("a ", 999)+"a", " "), "b"), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := key.jwt("at+jwt", edit(accessClaims(now), members{"scope": test.scope}), nil)
			p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.scopes, p.Scopes); diff != "" || p.ScopeKnown != test.known {
				t.Errorf("known = %v, scopes (-want +got):\n%s", p.ScopeKnown, diff)
			}
		})
	}
}

// Covers TTS-09, TTS-18, TTS-19, TTS-37.
func TestBadAccessTokensAreRefused(t *testing.T) {
	var (
		ec     = signingKey{kid: "ec", alg: "ES256", private: newECKey()}
		rs     = signingKey{kid: "rs", alg: "RS256", private: rsaKey()}
		forger = signingKey{kid: "ec", alg: "ES256", private: newECKey()}
		// The classic confusion: the public key as the secret of an HMAC.
		mac = signingKey{kid: "ec", alg: "HS256", private: must(x509.MarshalPKIXPublicKey(ec.jwk().Key))}
	)
	r := both(t, start(t, newFakeProvider(login, ec, rs), loginConfig()))
	good := ec.jwt("at+jwt", accessClaims(now), nil)
	parts := strings.Split(good, ".")

	tests := map[string]struct {
		token  string
		reason trat.Reason
		field  string
	}{}
	add := func(name, token, field string) {
		tests[name] = struct {
			token  string
			reason trat.Reason
			field  string
		}{token, trat.ReasonSubjectTokenInvalid, field}
	}
	claim := func(name, field string, claims members) {
		add(name, ec.jwt("at+jwt", edit(accessClaims(now), claims), nil), field)
	}
	header := func(name, field string, header members) {
		add(name, ec.jwt("at+jwt", accessClaims(now), header), field)
	}

	add("empty", "", "subject_token")
	add("text", "alice", "subject_token")
	add("dots", "..", "subject_token")
	add("two parts", parts[0]+"."+parts[1], "subject_token")
	add("four parts", good+".", "subject_token")
	add("five parts, a JWE", good+".a.b", "subject_token")
	add("no signature", parts[0]+"."+parts[1]+".", "subject_token")
	add("no header", "."+parts[1]+"."+parts[2], "subject_token")
	add("a scheme before it", "Bearer "+good, "subject_token")
	add("a line break in it", good[:10]+"\n"+good[10:], "subject_token")
	add("padding", parts[0]+"=."+parts[1]+"."+parts[2], "subject_token")
	add("too long", good+strings.Repeat("A", subject.MaxTokenSize), "subject_token")
	add("claims that are too long", ec.jwt("at+jwt", edit(accessClaims(now), members{"groups": strings.Repeat("g", trat.MaxObjectSize)}), nil), "subject_token")
	add("a header that is no object", ec.compact(`["alg"]`, encode(accessClaims(now))), "subject_token")
	add("a payload that is no object", ec.compact(`{"alg":"ES256","typ":"at+jwt","kid":"ec"}`, `"alice"`), "subject_token")
	add("a payload with a duplicate member", ec.compact(`{"alg":"ES256","typ":"at+jwt","kid":"ec"}`, `{"sub":"bob",`+encode(accessClaims(now))[1:]), "subject_token")
	add("a header with a duplicate member", ec.compact(`{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"ec"}`, encode(accessClaims(now))), "subject_token")
	add("another payload", parts[0]+"."+b64(encode(edit(accessClaims(now), members{"scope": "admin"})))+"."+parts[2], "subject_token")
	add("another key", forger.jwt("at+jwt", accessClaims(now), nil), "subject_token")
	add("a signature that is too short", parts[0]+"."+parts[1]+"."+parts[2][:80], "subject_token")

	add("no typ", ec.jwt("", accessClaims(now), nil), "typ")
	add("a refresh token by its token_use", ec.jwt("at+jwt", edit(accessClaims(now), members{"token_use": "refresh"}), nil), "token_use")
	for _, typ := range []string{"JWT", "rt+jwt", "logout+jwt", "at", "at+jwt ", "x-at+jwt", trat.Type, trat.SubjectType} {
		add("typ "+typ, ec.jwt(typ, accessClaims(now), nil), "typ")
	}
	header("typ that is a number", "typ", members{"typ": 1})
	header("no alg", "alg", members{"alg": absent{}})
	header("alg none", "alg", members{"alg": "none"})
	header("alg in another case", "alg", members{"alg": "es256"})
	header("an alg that is not known", "alg", members{"alg": "ES512"})
	header("the alg of another key type", "alg", members{"alg": "RS256"})
	add("alg none without signature", b64(`{"alg":"none","typ":"at+jwt"}`)+"."+parts[1]+".", "subject_token")
	add("HMAC with the public key", mac.jwt("at+jwt", accessClaims(now), nil), "alg")
	header("an unknown kid", "kid", members{"kid": "other"})
	header("a kid that is a path", "kid", members{"kid": "../../etc/passwd"})
	header("a kid that is a number", "kid", members{"kid": 1})
	header("an empty kid", "kid", members{"kid": ""})
	header("a kid that is too long", "kid", members{"kid": strings.Repeat("k", 256)})
	header("crit", "crit", members{"crit": []string{"exp"}})
	header("b64", "b64", members{"b64": false})
	header("a key in the header", "jwk", members{"jwk": forger.jwk()})
	header("a URL of keys in the header", "jku", members{"jku": "https://evil.test/keys"})
	header("a URL of certificates in the header", "x5u", members{"x5u": "https://evil.test/cert"})
	header("a certificate in the header", "x5c", members{"x5c": []string{"MA=="}})

	for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "client_id", "jti"} {
		claim("without "+name, name, members{name: absent{}})
		claim(name+" null", name, members{name: nil})
		claim(name+" of a wrong type", name, members{name: members{}})
	}
	for _, name := range []string{"iss", "sub", "aud", "client_id", "jti"} {
		claim(name+" empty", name, members{name: ""})
	}
	claim("another issuer", "iss", members{"iss": "https://login.other.test"})
	claim("the issuer with a slash", "iss", members{"iss": login + "/"})
	claim("the issuer in another case", "iss", members{"iss": strings.ToUpper(login)})
	claim("another recipient", "aud", members{"aud": "https://api.other.test"})
	claim("recipients without ours", "aud", members{"aud": []string{"https://api.other.test", audience + "/"}})
	claim("no recipients", "aud", members{"aud": []string{}})
	claim("a recipient that is empty", "aud", members{"aud": []string{audience, ""}})
	claim("a recipient that is a number", "aud", members{"aud": []any{audience, 1}})
	claim("an exp that is text", "exp", members{"exp": "1800000000"})
	claim("an exp with a fraction", "exp", members{"exp": 1900000000.5})
	claim("an exp below zero", "exp", members{"exp": -1})
	claim("an exp beyond all dates", "exp", members{"exp": int64(1) << 62})
	claim("an exp before iat", "exp", members{"exp": now.Add(-time.Second).Unix()})
	claim("an iat to come", "iat", members{"iat": now.Add(31 * time.Second).Unix()})
	claim("an nbf to come", "nbf", members{"nbf": now.Add(31 * time.Second).Unix()})
	claim("an nbf that is text", "nbf", members{"nbf": "now"})
	claim("a sub that is too long", "sub", members{"sub": strings.Repeat("s", 256)})
	claim("a sub with a line break", "sub", members{"sub": "alice\nbob"})
	claim("a scope that is a list", "scope", members{"scope": []string{"orders:write"}})
	claim("a scope with a double space", "scope", members{"scope": "a  b"})
	claim("a scope with a quote", "scope", members{"scope": `a"b`})
	claim("a scope that is null", "scope", members{"scope": nil})

	expired := func(name string, exp time.Time) {
		token := ec.jwt("at+jwt", edit(accessClaims(now), members{"iat": now.Add(-time.Hour).Unix(), "exp": exp.Unix()}), nil)
		add(name, token, "exp")
		test := tests[name]
		test.reason = trat.ReasonSubjectTokenExpired
		tests[name] = test
	}
	expired("expired at the end of the skew", now.Add(-30*time.Second))
	expired("expired long ago", now.Add(-50*time.Minute))

	for _, name := range slices.Sorted(maps.Keys(tests)) {
		test := tests[name]
		t.Run(name, func(t *testing.T) {
			p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, test.token))
			wantError(t, p, err, test.reason, test.field)
		})
	}
	if _, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, good)); err != nil {
		t.Errorf("the good token they were made from: %v", err)
	}
}

// Covers TTS-19.
func TestTheSkewIsConfiguredPerIssuer(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	cfg := loginConfig()
	cfg.Skew = 60 * time.Second
	r := both(t, start(t, newFakeProvider(login, key), cfg))
	for ago, ok := range map[time.Duration]bool{59 * time.Second: true, 60 * time.Second: false, 61 * time.Second: false} {
		token := key.jwt("at+jwt", edit(accessClaims(now), members{"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(-ago).Unix()}), nil)
		p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
		switch {
		case ok && err != nil:
			t.Errorf("expired %s ago: %v", ago, err)
		case !ok:
			wantError(t, p, err, trat.ReasonSubjectTokenExpired, "exp")
		}
	}
}

func TestAnAlgorithmMustBeAllowedForTheIssuer(t *testing.T) {
	rs := signingKey{kid: "rs", alg: "RS256", private: rsaKey()}
	cfg := loginConfig()
	cfg.Algorithms = []trat.Algorithm{trat.ES256}
	r := both(t, start(t, newFakeProvider(login, rs), cfg))
	p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, rs.jwt("at+jwt", accessClaims(now), nil)))
	wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "alg")
}

// Covers TTS-37.
func TestAnIssuerWithoutAudienceHasNoAccessTokens(t *testing.T) {
	key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	other := newFakeProvider("https://other.test", key)
	idOnly := loginConfig()
	idOnly.Audience = ""
	r := both(t, start(t, other, idOnly, subject.IssuerConfig{Issuer: "https://other.test", Prefix: "other", Audience: audience}))
	p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, key.jwt("at+jwt", accessClaims(now), nil)))
	wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "iss")

	idClaims := edit(idClaims(now), members{"iss": "https://other.test"})
	p, err = r.Verify(t.Context(), input(trat.TokenTypeIDToken, key.jwt("JWT", idClaims, nil)))
	wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "iss")
}

// Covers TTS-22.
func TestTwoIssuersNeverShareASubject(t *testing.T) {
	one := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	two := signingKey{kid: "1", alg: "ES256", private: newECKey()}
	const partner = "https://login.partner.test"
	providers := hosts{
		"login.shop.test":    newFakeProvider(login, one),
		"login.partner.test": newFakeProvider(partner, two),
	}
	r := both(t, start(t, providers, loginConfig(),
		subject.IssuerConfig{Issuer: partner, Prefix: "partner", Audience: audience}))

	subjects := make(map[string]bool)
	for issuer, key := range map[string]signingKey{login: one, partner: two} {
		token := key.jwt("at+jwt", edit(accessClaims(now), members{"iss": issuer, "sub": "42"}), nil)
		p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
		if err != nil {
			t.Fatal(err)
		}
		subjects[p.Subject] = true
	}
	if !subjects["shop:42"] || !subjects["partner:42"] {
		t.Errorf("subjects = %v, want shop:42 and partner:42", subjects)
	}

	// One issuer cannot speak for the other.
	token := two.jwt("at+jwt", accessClaims(now), nil)
	p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
	wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "subject_token")
}
