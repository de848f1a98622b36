package subject_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// nonsense are answers of an introspection endpoint that say nothing about a token.
func nonsense() map[string]http.HandlerFunc {
	active := encode(edit(opaqueClaims(now), members{"active": true}))
	plain := func(text string) http.HandlerFunc { return body("application/json", text) }
	return map[string]http.HandlerFunc{
		"an error": status(http.StatusInternalServerError),
		"an error with a good answer": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte(active))
		},
		"another success": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(active))
		},
		"a refusal of the client":  status(http.StatusUnauthorized),
		"a refusal of the request": status(http.StatusBadRequest),
		"too many requests":        status(http.StatusTooManyRequests),
		"no such page":             status(http.StatusNotFound),
		"nothing":                  plain(""),
		"no answer in time":        hang,
		"a redirect":               redirect("https://evil.test/introspect"),
		"a redirect to itself": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/introspect", http.StatusTemporaryRedirect)
		},
		"HTML":                       body("text/html", "<html>log in</html>"),
		"HTML, as JSON":              plain("<html>log in</html>"),
		"JSON, as HTML":              body("text/html", active),
		"JSON without a type":        body("", active),
		"a type like JSON":           body("application/problem+json", active),
		"two types":                  body("application/json, text/html", active),
		"a signed answer":            body("application/token-introspection+jwt", anyKey().jwt("token-introspection+jwt", opaqueClaims(now), nil)),
		"a huge answer":              plain(strings.Repeat(" ", trat.MaxObjectSize) + active),
		"an endless answer":          endless,
		"a compressed huge answer":   bomb,
		"a list":                     plain("[" + active + "]"),
		"text":                       plain(`"active"`),
		"an answer that is cut off":  plain(active[:len(active)-1]),
		"more than one answer":       plain(active + active),
		"an empty object":            plain("{}"),
		"no active":                  plain(encode(opaqueClaims(now))),
		"active as text":             plain(`{"active":"true",` + encode(opaqueClaims(now))[1:]),
		"active as a number":         plain(`{"active":1,` + encode(opaqueClaims(now))[1:]),
		"active null":                plain(`{"active":null,` + encode(opaqueClaims(now))[1:]),
		"active in another case":     plain(`{"Active":true,` + encode(opaqueClaims(now))[1:]),
		"active twice":               plain(`{"active":false,` + active[1:]),
		"sub twice":                  plain(`{"sub":"bob",` + active[1:]),
		"a member twice, deep down":  plain(`{"x":{"y":1,"y":2},` + active[1:]),
		"text that is no UTF-8":      plain(`{"x":"` + "\xff" + `",` + active[1:]),
		"deep nesting":               plain(`{"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `,` + active[1:]),
		"a number beyond all bounds": plain(`{"x":1e999999,` + active[1:]),
	}
}

func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	for range 1 << 10 {
		if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<10)); err != nil || r.Context().Err() != nil {
			return
		}
	}
}

func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	defer z.Close()
	_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
}

// Covers TTS-18, TTS-36, ERR-08.
func TestWhatAnIssuerDoesNotAnswerIsNotBelieved(t *testing.T) {
	lies := nonsense()
	for _, name := range slices.Sorted(maps.Keys(lies)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := newFakeProvider(login, anyKey())
				provider.issue(opaqueToken, opaqueClaims(now))
				provider.lieAboutTokens(lies[name])
				r := both(t, start(t, provider, opaqueConfig()))
				began := time.Now()
				p, err := verifyAccess(t, r, opaqueToken)
				wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
				if waited := time.Since(began); waited > subject.DefaultIntrospectionTimeout {
					t.Errorf("took %s", waited)
				}
				if n := provider.questions.Load(); n != 1 {
					t.Errorf("%d questions, want one and no second try", n)
				}
				// Nothing of it stays behind.
				provider.lieAboutTokens(nil)
				if _, err := verifyAccess(t, r, opaqueToken); err != nil {
					t.Errorf("after the issuer has recovered: %v", err)
				}
			})
		})
	}
}

// Covers TTS-36, ERR-08.
func TestAnIssuerThatIsDownIsNotAsked(t *testing.T) {
	for name, transport := range map[string]http.RoundTripper{
		"nothing listens": hosts{},
		"metadata that never come": func() http.RoundTripper {
			provider := newFakeProvider(login, anyKey())
			provider.lie(hang, nil)
			return provider
		}(),
		"metadata without an endpoint": func() http.RoundTripper {
			provider := newFakeProvider(login, anyKey())
			provider.lie(jsonDocument(members{"issuer": login, "jwks_uri": login + "/keys"}), nil)
			return provider
		}(),
		"metadata with an endpoint over http": func() http.RoundTripper {
			provider := newFakeProvider(login, anyKey())
			provider.lie(jsonDocument(members{"issuer": login, "jwks_uri": login + "/keys", "introspection_endpoint": "http://login.shop.test/introspect"}), nil)
			return provider
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuers := start(t, transport, opaqueConfig())
				began := time.Now()
				p, err := verifyAccess(t, both(t, issuers), opaqueToken)
				wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
				if waited := time.Since(began); waited > subject.DefaultIntrospectionTimeout {
					t.Errorf("took %s", waited)
				}
				wantError(t, nil, issuers.Ready(), trat.ReasonDependencyUnavailable, "")
			})
		})
	}
}

// Covers TTS-36.
func TestTheTimeForAnAnswerIsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.lieAboutTokens(hang)
		cfg := opaqueConfig()
		cfg.Introspection.Timeout = 300 * time.Millisecond
		r := both(t, start(t, provider, cfg))
		synctest.Wait()
		began := time.Now()
		p, err := verifyAccess(t, r, opaqueToken)
		wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
		if waited := time.Since(began); waited != 300*time.Millisecond {
			t.Errorf("waited %s", waited)
		}
	})
}

// Covers TTS-36, ERR-08.
func TestAnIssuerThatKeepsFailingIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.issue("good", liveClaims())
		provider.lieAboutTokens(hang)
		logger, text := logged()
		cfg := opaqueConfig()
		cfg.Introspection.CacheTTL = subject.NoCache
		r := both(t, startWith(t, subject.IssuersConfig{Issuers: []subject.IssuerConfig{cfg}, Transport: provider, Logger: logger}))
		verify := func() error {
			in := input(trat.TokenTypeAccessToken, "good")
			in.Now = time.Now()
			_, err := r.Verify(t.Context(), in)
			return err
		}
		for range 5 {
			wantError(t, nil, verify(), trat.ReasonDependencyUnavailable, "")
		}
		began := time.Now()
		for range 100 {
			wantError(t, nil, verify(), trat.ReasonDependencyUnavailable, "")
		}
		if n := provider.questions.Load(); n != 5 || time.Since(began) != 0 {
			t.Errorf("%d questions and %s of waiting while the issuer is left alone, want 5 and none", n, time.Since(began))
		}

		after(5*time.Second + time.Millisecond)
		wantError(t, nil, verify(), trat.ReasonDependencyUnavailable, "")
		wantError(t, nil, verify(), trat.ReasonDependencyUnavailable, "")
		if n := provider.questions.Load(); n != 6 {
			t.Errorf("%d questions, want one more after the pause", n)
		}

		provider.lieAboutTokens(nil)
		wantError(t, nil, verify(), trat.ReasonDependencyUnavailable, "")
		after(5*time.Second + time.Millisecond)
		for range 3 {
			if err := verify(); err != nil {
				t.Errorf("after the issuer has recovered: %v", err)
			}
		}
		for _, change := range []string{`"from":"closed","to":"open"`, `"from":"open","to":"half-open"`, `"from":"half-open","to":"closed"`} {
			if !strings.Contains(text.String(), change) {
				t.Errorf("the log does not say %s", change)
			}
		}
	})
}

// liveClaims are the answer about an opaque token that is good for a day of synthetic
// time.
func liveClaims() members {
	return edit(opaqueClaims(time.Now()), members{"exp": time.Now().Add(24 * time.Hour).Unix()})
}

// Covers TTS-36.
func TestTokensCannotHaveAnIssuerGivenUp(t *testing.T) {
	for name, lie := range map[string]http.HandlerFunc{
		"tokens that it takes for bad requests": status(http.StatusBadRequest),
		"tokens that are too long for it":       status(http.StatusRequestEntityTooLarge),
		"tokens that it cannot process":         status(http.StatusUnprocessableEntity),
		"tokens that are too long for a proxy":  status(http.StatusRequestHeaderFieldsTooLarge),
		"tokens of users with odd names":        body("application/json", `{"active":true,"username":"\ud83d"}`),
		"tokens with odd numbers":               body("application/json", `{"active":true,"n":18446744073709551616}`),
		"tokens with huge answers":              body("application/json", strings.Repeat(" ", trat.MaxObjectSize+1)),
		"tokens that are not active":            body("application/json", `{"active":false}`),
		"tokens for others":                     jsonDocument(members{"active": true, "aud": "https://other.test"}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := newFakeProvider(login, anyKey())
				provider.issue("good", opaqueClaims(now))
				provider.lieAboutTokens(lie)
				r := both(t, start(t, provider, opaqueConfig()))
				for i := range 20 {
					if _, err := verifyAccess(t, r, fmt.Sprint("odd", i)); err == nil {
						t.Fatal("no error")
					}
				}
				provider.lieAboutTokens(nil)
				if _, err := verifyAccess(t, r, "good"); err != nil {
					t.Errorf("a good token of somebody else: %v", err)
				}
			})
		})
	}
}

// Covers TTS-36.
func TestEqualTokensAtOnceAreOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.lieAboutTokens(func(w http.ResponseWriter, r *http.Request) {
			after(100 * time.Millisecond)
			jsonDocument(edit(opaqueClaims(now), members{"active": true}))(w, r)
		})
		r := both(t, start(t, provider, opaqueConfig()))
		impatient, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			// The first to ask goes away; the others must not notice.
			p, err := r.Verify(impatient, input(trat.TokenTypeAccessToken, opaqueToken))
			wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error = %v, want it to wrap context.Canceled", err)
			}
		})
		synctest.Wait()
		for range 1000 {
			wg.Go(func() {
				if _, err := verifyAccess(t, r, opaqueToken); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		if n := provider.questions.Load(); n != 1 {
			t.Errorf("%d questions, want one", n)
		}
	})
}

func TestCloseEndsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := newFakeProvider(login, anyKey())
		provider.lieAboutTokens(hang)
		cfg := opaqueConfig()
		cfg.Introspection.Timeout = subject.MaxIntrospectionTimeout
		issuers := start(t, provider, cfg)
		r := both(t, issuers)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				p, err := verifyAccess(t, r, fmt.Sprint("token", i))
				wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
			})
		}
		synctest.Wait()
		began := time.Now()
		if err := issuers.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if waited := time.Since(began); waited != 0 {
			t.Errorf("Close took %s", waited)
		}
		p, err := verifyAccess(t, r, "another")
		wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
	})
}

// panicking is a transport with a fault of its own.
type panicking struct{ http.RoundTripper }

func (p panicking) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		panic("alice")
	}
	return p.RoundTripper.RoundTrip(r)
}

func TestAPanicWhileAnIssuerIsAskedIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := both(t, start(t, panicking{newFakeProvider(login, anyKey())}, opaqueConfig()))
		p, err := verifyAccess(t, r, opaqueToken)
		wantError(t, p, err, trat.ReasonInternal, "")
		after(time.Minute) // until the timer is gone that net/http leaves behind
	})
}

// echo answers with everything it was asked, which must not get into an error.
func echo(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "https://evil.test/?"+r.PostForm.Encode())
		w.WriteHeader(code)
		_, _ = fmt.Fprint(w, r.PostForm, r.Header)
	}
}

// misplace writes the token where HTTP clients quote what they cannot read.
func misplace(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	w.Header().Set("Location", "https://evil.test/%zz?"+r.PostForm.Get("token"))
	w.WriteHeader(http.StatusFound)
}

// Covers TTS-36.
func TestNoCredentialGetsIntoErrorsOrLogs(t *testing.T) {
	key := newECKey()
	withKey := opaqueConfig()
	withKey.Introspection = &subject.IntrospectionConfig{ClientID: resource, PrivateKey: key, KeyID: "tts-1", AllRequesters: true}
	for name, cfg := range map[string]subject.IssuerConfig{"with a secret": opaqueConfig(), "with a key": withKey} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := newFakeProvider(login, anyKey())
				logger, text := logged()
				r := both(t, startWith(t, subject.IssuersConfig{Issuers: []subject.IssuerConfig{cfg}, Transport: provider, Logger: logger, Clock: func() time.Time { return now }}))
				check := func(err error) {
					t.Helper()
					said := fmt.Sprintf("%v %+v %s", err, err, text)
					for _, secret := range []string{opaqueToken, opaqueToken[:12], resourceSecret, "s%25cr", base64.StdEncoding.EncodeToString([]byte(resourceSecret)), `"D":`, "eyJ", "Basic ", "client_assertion", "alice"} {
						if strings.Contains(said, secret) {
							t.Errorf("%q is in %s", secret, said)
						}
					}
				}
				for _, lie := range nonsense() {
					provider.lieAboutTokens(lie)
					_, err := verifyAccess(t, r, opaqueToken)
					check(err)
					after(10 * time.Second) // past any pause
				}
				lies := []http.HandlerFunc{misplace}
				for _, code := range []int{200, 302, 307, 400, 401, 500} {
					lies = append(lies, echo(code))
				}
				for _, lie := range lies {
					provider.lieAboutTokens(lie)
					_, err := verifyAccess(t, r, opaqueToken)
					check(err)
					after(10 * time.Second)
				}
				for _, handler := range []slog.Handler{slog.NewTextHandler(text, nil), slog.NewJSONHandler(text, nil)} {
					slog.New(handler).Info("configuration", "issuer", cfg, "introspection", *cfg.Introspection, "inputs", []any{input("x", opaqueToken)})
				}
				check(fmt.Errorf("%v %+v %#v %v", cfg, cfg, *cfg.Introspection, cfg.Introspection))
			})
		})
	}
}
