package subject_test

import (
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-18, TTS-31.
func TestAnIDTokenNamesItsSubjectAndNoScope(t *testing.T) {
	key := signingKey{kid: "1", alg: "RS256", private: rsaKey()}
	r := both(t, start(t, newFakeProvider(login, key), loginConfig()))
	for name, test := range map[string]struct {
		typ    string
		claims members
	}{
		"typ JWT":                     {"JWT", nil},
		"no typ":                      {"", nil},
		"aud as a list":               {"JWT", members{"aud": []string{clientID}}},
		"azp is the client":           {"JWT", members{"azp": clientID}},
		"called an ID token":          {"JWT", members{"token_use": "id", "typ": "ID"}},
		"several audiences, with azp": {"JWT", members{"aud": []string{"other", clientID}, "azp": clientID}},
	} {
		t.Run(name, func(t *testing.T) {
			token := key.jwt(test.typ, edit(idClaims(now), test.claims), nil)
			p, err := r.Verify(t.Context(), input(trat.TokenTypeIDToken, token))
			if err != nil {
				t.Fatal(err)
			}
			if p.Issuer != login || p.Subject != "shop:alice" || p.ScopeKnown || p.Scopes != nil || !p.Expiry.Equal(now.Add(5*time.Minute)) {
				t.Errorf("principal = %+v", p)
			}
		})
	}
}

// Covers TTS-09, TTS-18, TTS-19.
func TestBadIDTokensAreRefused(t *testing.T) {
	key := signingKey{kid: "1", alg: "RS256", private: rsaKey()}
	r := both(t, start(t, newFakeProvider(login, key), loginConfig()))
	for _, test := range []struct {
		name   string
		typ    string
		claims members
		reason trat.Reason
		field  string
	}{
		{"an access token by its typ", "at+jwt", nil, trat.ReasonSubjectTokenInvalid, "typ"},
		{"an older access token by its scope", "JWT", members{"scope": "openid"}, trat.ReasonSubjectTokenInvalid, "scope"},
		{"an older access token by its scp", "JWT", members{"scp": "openid"}, trat.ReasonSubjectTokenInvalid, "scp"},
		{"an older access token by its client", "JWT", members{"client_id": clientID}, trat.ReasonSubjectTokenInvalid, "client_id"},
		{"a logout token by its typ", "logout+jwt", nil, trat.ReasonSubjectTokenInvalid, "typ"},
		{"a logout token by its events", "JWT", members{"events": members{}}, trat.ReasonSubjectTokenInvalid, "events"},
		{"a refresh token by its token_use", "JWT", members{"token_use": "refresh"}, trat.ReasonSubjectTokenInvalid, "token_use"},
		{"a refresh token by its token_type", "JWT", members{"token_type": "refresh"}, trat.ReasonSubjectTokenInvalid, "token_type"},
		{"a refresh token by its typ", "", members{"typ": "Refresh"}, trat.ReasonSubjectTokenInvalid, "typ"},
		{"an older access token by its token_use", "JWT", members{"token_use": "access"}, trat.ReasonSubjectTokenInvalid, "token_use"},
		{"an older access token by its typ", "JWT", members{"typ": "Bearer"}, trat.ReasonSubjectTokenInvalid, "typ"},
		{"a self-signed token by its typ", trat.SubjectType, nil, trat.ReasonSubjectTokenInvalid, "typ"},
		{"a TraT by its typ", trat.Type, nil, trat.ReasonSubjectTokenInvalid, "typ"},
		{"without iss", "JWT", members{"iss": absent{}}, trat.ReasonSubjectTokenInvalid, "iss"},
		{"without sub", "JWT", members{"sub": absent{}}, trat.ReasonSubjectTokenInvalid, "sub"},
		{"without aud", "JWT", members{"aud": absent{}}, trat.ReasonSubjectTokenInvalid, "aud"},
		{"without exp", "JWT", members{"exp": absent{}}, trat.ReasonSubjectTokenInvalid, "exp"},
		{"without iat", "JWT", members{"iat": absent{}}, trat.ReasonSubjectTokenInvalid, "iat"},
		{"another issuer", "JWT", members{"iss": "https://other.test"}, trat.ReasonSubjectTokenInvalid, "iss"},
		{"another client", "JWT", members{"aud": "other"}, trat.ReasonSubjectTokenInvalid, "aud"},
		{"the recipient of access tokens", "JWT", members{"aud": audience}, trat.ReasonSubjectTokenInvalid, "aud"},
		{"several audiences without azp", "JWT", members{"aud": []string{clientID, "other"}}, trat.ReasonSubjectTokenInvalid, "azp"},
		{"issued to another client", "JWT", members{"azp": "other"}, trat.ReasonSubjectTokenInvalid, "azp"},
		{"issued to another client among several", "JWT", members{"aud": []string{clientID, "other"}, "azp": "other"}, trat.ReasonSubjectTokenInvalid, "azp"},
		{"an azp that is null", "JWT", members{"azp": nil}, trat.ReasonSubjectTokenInvalid, "azp"},
		{"issued in the future", "JWT", members{"iat": now.Add(time.Minute).Unix()}, trat.ReasonSubjectTokenInvalid, "iat"},
		{"expired", "JWT", members{"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(-time.Minute).Unix()}, trat.ReasonSubjectTokenExpired, "exp"},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := key.jwt(test.typ, edit(idClaims(now), test.claims), nil)
			p, err := r.Verify(t.Context(), input(trat.TokenTypeIDToken, token))
			wantError(t, p, err, test.reason, test.field)
		})
	}
	t.Run("another key", func(t *testing.T) {
		forger := signingKey{kid: "1", alg: "ES256", private: newECKey()}
		p, err := r.Verify(t.Context(), input(trat.TokenTypeIDToken, forger.jwt("JWT", idClaims(now), nil)))
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "alg")
	})
	t.Run("an ID token as an access token", func(t *testing.T) {
		p, err := r.Verify(t.Context(), input(trat.TokenTypeAccessToken, key.jwt("JWT", idClaims(now), nil)))
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "typ")
	})
	t.Run("no kid where there are several keys", func(t *testing.T) {
		two := newFakeProvider(login, key, signingKey{kid: "2", alg: "RS256", private: rsaKey()})
		r := both(t, start(t, two, loginConfig()))
		token := key.jwt("JWT", idClaims(now), members{"kid": absent{}})
		p, err := r.Verify(t.Context(), input(trat.TokenTypeIDToken, token))
		wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "kid")
	})
}

func TestVerifiersNeedAnIssuerOfTheirTokens(t *testing.T) {
	newIssuers := func(cfg subject.IssuerConfig) *subject.Issuers {
		return must(subject.NewIssuers(subject.IssuersConfig{Issuers: []subject.IssuerConfig{cfg}}))
	}
	idOnly, accessOnly := loginConfig(), loginConfig()
	idOnly.Audience, accessOnly.ClientID = "", ""
	for name, issuers := range map[string]*subject.Issuers{"nil": nil, "other tokens only": newIssuers(idOnly)} {
		if _, err := subject.NewAccessToken(issuers); err == nil || !strings.Contains(err.Error(), "Audience") {
			t.Errorf("NewAccessToken(%s) = %v", name, err)
		}
	}
	for name, issuers := range map[string]*subject.Issuers{"nil": nil, "other tokens only": newIssuers(accessOnly)} {
		if _, err := subject.NewIDToken(issuers); err == nil || !strings.Contains(err.Error(), "ClientID") {
			t.Errorf("NewIDToken(%s) = %v", name, err)
		}
	}
}
