package subject_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// slowly gives an answer just in time.
func slowly(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		after(900 * time.Millisecond)
		answer(w, r)
	}
}

// asker verifies opaque tokens by synthetic time.
func asker(t *testing.T, provider *fakeProvider, cfg subject.IssuerConfig) func(token string) error {
	t.Helper()
	r := both(t, startWith(t, subject.IssuersConfig{Issuers: []subject.IssuerConfig{cfg}, Transport: provider, Logger: quiet}))
	return func(token string) error {
		in := input(trat.TokenTypeAccessToken, token)
		in.Now = time.Now()
		_, err := r.Verify(t.Context(), in)
		return err
	}
}

// Covers TTS-36.
func TestARevocationIsSeenWithinTheCacheTTL(t *testing.T) {
	for name, test := range map[string]struct {
		configured time.Duration
		unseen     time.Duration
	}{
		"by default":    {0, subject.DefaultCacheTTL},
		"as configured": {3 * time.Second, 3 * time.Second},
		"at once":       {subject.NoCache, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := newFakeProvider(login, anyKey())
				provider.issue("token", liveClaims())
				cfg := opaqueConfig()
				cfg.Introspection.CacheTTL = test.configured
				verify := asker(t, provider, cfg)
				if err := verify("token"); err != nil {
					t.Fatal(err)
				}
				provider.revoke("token")
				if test.unseen > 0 {
					after(test.unseen - time.Nanosecond)
					if err := verify("token"); err != nil {
						t.Errorf("while the answer is kept: %v", err)
					}
					if n := provider.questions.Load(); n != 1 {
						t.Errorf("%d questions while the answer is kept", n)
					}
					after(time.Nanosecond)
				}
				wantError(t, nil, verify("token"), trat.ReasonSubjectTokenInvalid, "subject_token")
			})
		})
	}
}

// Covers TTS-36.
func TestTheTimeOfAnAnswerCountsFromTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.issue("token", liveClaims())
		answer := jsonDocument(edit(liveClaims(), members{"active": true}))
		cfg := opaqueConfig()
		verify := asker(t, provider, cfg)
		provider.lieAboutTokens(slowly(answer))
		if err := verify("token"); err != nil {
			t.Fatal(err)
		}
		provider.lieAboutTokens(nil)
		provider.revoke("token") // at any time after it was looked up
		after(subject.DefaultCacheTTL - 900*time.Millisecond)
		wantError(t, nil, verify("token"), trat.ReasonSubjectTokenInvalid, "subject_token")
	})
}

// Covers TTS-19, TTS-36.
func TestNoAnswerIsKeptPastTheTokensExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.issue("token", edit(liveClaims(), members{"exp": time.Now().Add(2 * time.Second).Unix()}))
		verify := asker(t, provider, opaqueConfig())
		if err := verify("token"); err != nil {
			t.Fatal(err)
		}
		after(2 * time.Second)
		provider.revoke("token")
		wantError(t, nil, verify("token"), trat.ReasonSubjectTokenInvalid, "subject_token")
	})
}

// Covers TTS-36.
func TestOnlyActiveTokensAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		verify := asker(t, provider, opaqueConfig())
		for range 3 {
			wantError(t, nil, verify("token"), trat.ReasonSubjectTokenInvalid, "subject_token")
		}
		if n := provider.questions.Load(); n != 3 {
			t.Errorf("%d questions about a token that is not active, want three", n)
		}
		provider.issue("token", liveClaims())
		if err := verify("token"); err != nil {
			t.Errorf("a token that has become active: %v", err)
		}
		wantError(t, nil, verify("token2"), trat.ReasonSubjectTokenInvalid, "subject_token")
	})
}

// What is kept is held to the rules each time.
func TestARememberedAnswerIsCheckedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.issue("token", edit(liveClaims(), members{"aud": "https://other.test"}))
		verify := asker(t, provider, opaqueConfig())
		for range 3 {
			wantError(t, nil, verify("token"), trat.ReasonSubjectTokenInvalid, "aud")
		}
		if n := provider.questions.Load(); n != 1 {
			t.Errorf("%d questions", n)
		}
	})
}

func TestAnAnswerIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.issue("token", liveClaims())
		verify := asker(t, provider, opaqueConfig())
		for range 100 {
			if err := verify("token"); err != nil {
				t.Fatal(err)
			}
		}
		if n := provider.questions.Load(); n != 1 {
			t.Errorf("%d questions, want one", n)
		}
	})
}
