package subject_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

const jobs = "https://api.shop.test/jobs"

// jwtConfig trusts the fake provider for JWTs of all kinds.
func jwtConfig(types ...string) subject.IssuerConfig {
	cfg := loginConfig()
	cfg.JWTAudience, cfg.JWTTypes = jobs, types
	return cfg
}

// jwtClaims are those of a good JWT at the given time: no more than it needs.
func jwtClaims(at time.Time) members {
	return members{"iss": login, "sub": "alice", "aud": jobs, "iat": at.Unix(), "exp": at.Add(5 * time.Minute).Unix()}
}

// allJWTs registers all kinds of JWT of issuers.
func allJWTs(t *testing.T, issuers *subject.Issuers) *subject.Registry {
	t.Helper()
	return registry(t, must(subject.NewAccessToken(issuers)), must(subject.NewIDToken(issuers)), must(subject.NewJWT(issuers)))
}

// Covers TTS-18, TTS-31.
func TestAJWTNamesItsSubjectAndScope(t *testing.T) {
	key := anyKey()
	for _, test := range []struct {
		name   string
		types  []string
		typ    string
		claims members
		scopes []string
		known  bool
	}{
		{"without typ", nil, "", nil, nil, false},
		{"typ JWT", nil, "JWT", nil, nil, false},
		{"typ in another case", nil, "jwt", nil, nil, false},
		{"a type of its own", []string{"job+jwt"}, "job+jwt", nil, nil, false},
		{"the full media type", []string{"job+jwt"}, "application/job+jwt", nil, nil, false},
		{"JWT among others", []string{"job+jwt", "JWT"}, "", nil, nil, false},
		{"with a scope", nil, "JWT", members{"scope": "jobs:run jobs:read"}, []string{"jobs:run", "jobs:read"}, true},
		{"with an empty scope", nil, "JWT", members{"scope": ""}, nil, true},
		{"an older access token", nil, "JWT", members{"typ": "Bearer", "client_id": clientID, "azp": clientID}, nil, false},
		{"several audiences", nil, "JWT", members{"aud": []string{"https://other.test", jobs}}, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := allJWTs(t, start(t, newFakeProvider(login, key), jwtConfig(test.types...)))
			p, err := r.Verify(t.Context(), input(trat.TokenTypeJWT, key.jwt(test.typ, edit(jwtClaims(now), test.claims), nil)))
			if err != nil {
				t.Fatal(err)
			}
			if p.Issuer != login || p.Subject != "shop:alice" || !p.Expiry.Equal(now.Add(5*time.Minute)) || p.ScopeKnown != test.known {
				t.Errorf("principal = %+v", p)
			}
			if diff := cmp.Diff(test.scopes, p.Scopes); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
		})
	}
}

// Covers TTS-09, TTS-18, TTS-19, TTS-37.
func TestBadJWTsAreRefused(t *testing.T) {
	key := anyKey()
	r := allJWTs(t, start(t, newFakeProvider(login, key), jwtConfig()))
	typed := allJWTs(t, start(t, newFakeProvider(login, key), jwtConfig("job+jwt")))
	for _, test := range []struct {
		name   string
		r      *subject.Registry
		typ    string
		claims members
		reason trat.Reason
		field  string
	}{
		{"an access token", r, "at+jwt", nil, trat.ReasonSubjectTokenInvalid, "typ"},
		{"a TraT", r, trat.Type, nil, trat.ReasonSubjectTokenInvalid, "typ"},
		{"a self-signed token", r, trat.SubjectType, nil, trat.ReasonSubjectTokenInvalid, "typ"},
		{"a logout token by its typ", r, "logout+jwt", nil, trat.ReasonSubjectTokenInvalid, "typ"},
		{"a type that is not configured", r, "job+jwt", nil, trat.ReasonSubjectTokenInvalid, "typ"},
		{"a plain one where there is a type", typed, "JWT", nil, trat.ReasonSubjectTokenInvalid, "typ"},
		{"one without typ where there is a type", typed, "", nil, trat.ReasonSubjectTokenInvalid, "typ"},
		{"a logout token by its events", r, "JWT", members{"events": members{}}, trat.ReasonSubjectTokenInvalid, "events"},
		{"a refresh token by its claim typ", r, "JWT", members{"typ": "Refresh"}, trat.ReasonSubjectTokenInvalid, "typ"},
		{"an ID token by its claim typ", r, "JWT", members{"typ": "ID"}, trat.ReasonSubjectTokenInvalid, "typ"},
		{"an ID token by its token_use", r, "JWT", members{"token_use": "id"}, trat.ReasonSubjectTokenInvalid, "token_use"},
		{"an ID token by its aud", r, "JWT", members{"aud": clientID}, trat.ReasonSubjectTokenInvalid, "aud"},
		{"for the access tokens' recipient", r, "JWT", members{"aud": audience}, trat.ReasonSubjectTokenInvalid, "aud"},
		{"without aud", r, "JWT", members{"aud": absent{}}, trat.ReasonSubjectTokenInvalid, "aud"},
		{"without sub", r, "JWT", members{"sub": absent{}}, trat.ReasonSubjectTokenInvalid, "sub"},
		{"without iss", r, "JWT", members{"iss": absent{}}, trat.ReasonSubjectTokenInvalid, "iss"},
		{"without iat", r, "JWT", members{"iat": absent{}}, trat.ReasonSubjectTokenInvalid, "iat"},
		{"without exp", r, "JWT", members{"exp": absent{}}, trat.ReasonSubjectTokenInvalid, "exp"},
		{"another issuer", r, "JWT", members{"iss": "https://other.test"}, trat.ReasonSubjectTokenInvalid, "iss"},
		{"a scope that is a list", r, "JWT", members{"scope": []string{"a"}}, trat.ReasonSubjectTokenInvalid, "scope"},
		{"expired", r, "JWT", members{"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(-30 * time.Second).Unix()}, trat.ReasonSubjectTokenExpired, "exp"},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := key.jwt(test.typ, edit(jwtClaims(now), test.claims), nil)
			p, err := test.r.Verify(t.Context(), input(trat.TokenTypeJWT, token))
			wantError(t, p, err, test.reason, test.field)
		})
	}
	t.Run("another key", func(t *testing.T) {
		forger := anyKey()
		p, err := r.Verify(t.Context(), input(trat.TokenTypeJWT, forger.jwt("JWT", jwtClaims(now), nil)))
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "subject_token")
	})
	t.Run("one as an access token or an ID token", func(t *testing.T) {
		token := key.jwt("JWT", edit(jwtClaims(now), members{"client_id": clientID, "jti": "1"}), nil)
		p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, token))
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "typ")
		p, err = r.Verify(t.Context(), input(trat.TokenTypeIDToken, token))
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "aud")
	})
	t.Run("of an issuer without any", func(t *testing.T) {
		const other = "https://other.test"
		second := subject.IssuerConfig{Issuer: other, Prefix: "other", Audience: audience}
		r := allJWTs(t, start(t, hosts{"login.shop.test": newFakeProvider(login, key), "other.test": newFakeProvider(other, key)}, jwtConfig(), second))
		p, err := r.Verify(t.Context(), input(trat.TokenTypeJWT, key.jwt("JWT", edit(jwtClaims(now), members{"iss": other}), nil)))
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "iss")
	})
}

func TestJWTsNeedAnIssuerOfTheirs(t *testing.T) {
	others := must(subject.NewIssuers(subject.IssuersConfig{Issuers: []subject.IssuerConfig{loginConfig()}}))
	for name, issuers := range map[string]*subject.Issuers{"nil": nil, "other tokens only": others} {
		if _, err := subject.NewJWT(issuers); err == nil || !strings.Contains(err.Error(), "JWTAudience") {
			t.Errorf("NewJWT(%s) = %v", name, err)
		}
	}
	only := subject.IssuerConfig{Issuer: login, Prefix: "shop", JWTAudience: jobs}
	if _, err := subject.NewJWT(must(subject.NewIssuers(subject.IssuersConfig{Issuers: []subject.IssuerConfig{only}}))); err != nil {
		t.Errorf("an issuer of nothing else: %v", err)
	}
}
