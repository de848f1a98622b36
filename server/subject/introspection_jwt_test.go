package subject_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// askingConfig has the fake provider asked about JWTs too.
func askingConfig() subject.IssuerConfig {
	cfg := opaqueConfig()
	cfg.Introspection.JWTs = true
	cfg.Introspection.CacheTTL = subject.NoCache
	return cfg
}

// Covers TTS-36.
func TestARevokedJWTIsRefusedWhereItsIssuerIsAsked(t *testing.T) {
	key := anyKey()
	token := key.jwt("at+jwt", accessClaims(now), nil)
	provider := newFakeProvider(login, key)
	asking, trusting := both(t, start(t, provider, askingConfig())), both(t, start(t, provider, opaqueConfig()))

	provider.issue(token, opaqueClaims(now))
	if p, err := verifyAccess(t, asking, token); err != nil || p.Subject != "shop:alice" {
		t.Errorf("an active one: %+v, %v", p, err)
	}
	provider.revoke(token)
	p, err := verifyAccess(t, asking, token)
	wantError(t, p, err, trat.ReasonSubjectTokenInvalid, "subject_token")
	if _, err := verifyAccess(t, trusting, token); err != nil {
		t.Errorf("where its issuer is not asked: %v", err)
	}
	if n := provider.questions.Load(); n != 2 {
		t.Errorf("%d questions, want two", n)
	}
}

// Covers TTS-36, ERR-08.
func TestAJWTWhoseIssuerDoesNotAnswerIsRefused(t *testing.T) {
	key := anyKey()
	token := key.jwt("at+jwt", accessClaims(now), nil)
	provider := newFakeProvider(login, key)
	provider.lieAboutTokens(status(http.StatusInternalServerError))
	p, err := verifyAccess(t, both(t, start(t, provider, askingConfig())), token)
	wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
}

// Covers TTS-18.
func TestABadJWTIsNotAskedAbout(t *testing.T) {
	key := anyKey()
	provider := newFakeProvider(login, key)
	r := both(t, start(t, provider, askingConfig()))
	for name, token := range map[string]string{
		"a forged one":  anyKey().jwt("at+jwt", accessClaims(now), nil),
		"for others":    key.jwt("at+jwt", edit(accessClaims(now), members{"aud": "https://other.test"}), nil),
		"an expired on": key.jwt("at+jwt", edit(accessClaims(now), members{"iat": 1, "exp": 2}), nil),
	} {
		provider.issue(token, opaqueClaims(now))
		if p, err := verifyAccess(t, r, token); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if n := provider.questions.Load(); n != 0 {
		t.Errorf("%d questions", n)
	}
}

// Covers TTS-18, TTS-36.
func TestAnAnswerAboutAnotherTokenIsNotBelieved(t *testing.T) {
	key := anyKey()
	token := key.jwt("at+jwt", accessClaims(now), nil)
	for _, test := range []struct {
		name   string
		answer members
		reason trat.Reason
		field  string
	}{
		{"another issuer", members{"iss": "https://other.test"}, trat.ReasonSubjectTokenInvalid, "iss"},
		{"another subject", members{"sub": "bob"}, trat.ReasonSubjectTokenInvalid, "sub"},
		{"another client", members{"client_id": "other"}, trat.ReasonSubjectTokenInvalid, "client_id"},
		{"another recipient", members{"aud": "https://other.test"}, trat.ReasonSubjectTokenInvalid, "aud"},
		{"not good yet", members{"exp": absent{}, "iat": absent{}, "nbf": now.Add(time.Minute).Unix()}, trat.ReasonSubjectTokenInvalid, "nbf"},
		{"a refresh token", members{"token_type": "refresh_token"}, trat.ReasonSubjectTokenInvalid, "token_type"},
		{"a sub that is no text", members{"sub": 1}, trat.ReasonSubjectTokenInvalid, "sub"},
		{"expired", members{"iat": absent{}, "exp": now.Add(-time.Minute).Unix()}, trat.ReasonSubjectTokenExpired, "exp"},
		{"a scope that is a list", members{"scope": []string{"openid"}}, trat.ReasonSubjectTokenInvalid, "scope"},
	} {
		t.Run(test.name, func(t *testing.T) {
			provider := newFakeProvider(login, key)
			provider.issue(token, edit(opaqueClaims(now), test.answer))
			p, err := verifyAccess(t, both(t, start(t, provider, askingConfig())), token)
			wantError(t, p, err, test.reason, test.field)
		})
	}
}

// Covers TTS-30, TTS-31.
func TestAnAnswerOnlyNarrowsAJWT(t *testing.T) {
	key := anyKey()
	for _, test := range []struct {
		name            string
		signed, answers any
		scopes          []string
		known           bool
	}{
		{"no scope in the answer", "a b", absent{}, []string{"a", "b"}, true},
		{"less in the answer", "a b", "b", []string{"b"}, true},
		{"more in the answer", "a b", "a b c", []string{"a", "b"}, true},
		{"none in the answer", "a b", "", nil, true},
		{"none in common", "a b", "c", nil, true},
		{"known by the answer alone", absent{}, "c", []string{"c"}, true},
		{"known by neither", absent{}, absent{}, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := key.jwt("at+jwt", edit(accessClaims(now), members{"scope": test.signed}), nil)
			provider := newFakeProvider(login, key)
			provider.issue(token, edit(opaqueClaims(now), members{"scope": test.answers, "exp": now.Add(time.Minute).Unix()}))
			p, err := verifyAccess(t, both(t, start(t, provider, askingConfig())), token)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.scopes, p.Scopes, cmpopts.EquateEmpty()); diff != "" || p.ScopeKnown != test.known {
				t.Errorf("known = %v, scopes (-want +got):\n%s", p.ScopeKnown, diff)
			}
			if !p.Expiry.Equal(now.Add(time.Minute)) {
				t.Errorf("expiry = %s, want the earlier one", p.Expiry)
			}
		})
	}
	t.Run("a bare answer", func(t *testing.T) {
		token := key.jwt("at+jwt", accessClaims(now), nil)
		provider := newFakeProvider(login, key)
		provider.issue(token, nil)
		p, err := verifyAccess(t, both(t, start(t, provider, askingConfig())), token)
		if err != nil || len(p.Scopes) != 2 || !p.Expiry.Equal(now.Add(5*time.Minute)) {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
