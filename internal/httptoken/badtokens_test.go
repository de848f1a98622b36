package httptoken_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	apiAudience = "https://api.shop.test"
	clientID    = "shop-web"
)

// provider is an OpenID provider over TLS. Each of its documents can be replaced by a lie.
type provider struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu   sync.Mutex
	lies map[string]http.HandlerFunc // by path
}

// The documents of a provider.
const (
	discoveryPath     = "/.well-known/openid-configuration"
	keysPath          = "/keys"
	introspectionPath = "/introspect"
)

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{key: newKey(t), lies: make(map[string]http.HandlerFunc)}
	p.Server = httptest.NewTLSServer(p)
	t.Cleanup(p.Close)
	return p
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// lie has the document at path answered by h.
func (p *provider) lie(path string, h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lies[path] = h
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	lie := p.lies[r.URL.Path]
	p.mu.Unlock()
	switch {
	case lie != nil:
		lie(w, r)
	case r.URL.Path == discoveryPath:
		document(map[string]any{
			"issuer": p.URL, "jwks_uri": p.URL + keysPath, "introspection_endpoint": p.URL + introspectionPath,
		})(w, r)
	case r.URL.Path == keysPath:
		document(keySet(p.key))(w, r)
	case r.URL.Path == introspectionPath:
		document(map[string]any{"active": false})(w, r)
	default:
		http.NotFound(w, r)
	}
}

func keySet(key *ecdsa.PrivateKey) jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Use: "sig", Algorithm: "ES256"}}}
}

func document(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // who asked has gone
	}
}

func html(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("<html>log in as alice</html>"))
}

func broken(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }

// redirect sends whoever asks to where the good answer is.
func redirect(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery == "" {
		http.Redirect(w, r, r.URL.Path+"?again", http.StatusTemporaryRedirect)
		return
	}
	document(map[string]any{"keys": []any{}, "active": true, "sub": "alice"})(w, r)
}

// slow answers when nobody waits any longer. That shows only after the body was read.
func slow(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// huge is longer than any document may be.
func huge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"keys":[` + strings.Repeat(" ", 1<<20) + `]}`))
}

// jwt signs claims, which are those of alice's good access token, changed; nil removes one.
func (p *provider) jwt(t *testing.T, now time.Time, key any, alg jose.SignatureAlgorithm, typ, kid string, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": p.URL, "sub": "alice", "aud": apiAudience, "client_id": clientID, "scope": "orders:write",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": "1",
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// good is an access token that is granted, changed in its claims.
func (p *provider) good(t *testing.T, now time.Time, changes map[string]any) string {
	t.Helper()
	return p.jwt(t, now, p.key, jose.ES256, "at+jwt", "k1", changes)
}

// badToken is a subject token that is refused, for what it is or for what its issuer does.
type badToken struct {
	// token is the subject token; default: a good access token.
	token func(t *testing.T, p *provider, now time.Time) string
	// kind is its type; default: access token.
	kind string
	// prepare has the provider lie before its keys are fetched.
	prepare func(*provider)
	reason  trat.Reason
}

func badTokens() map[string]badToken {
	claims := func(reason trat.Reason, changes func(now time.Time) map[string]any) badToken {
		return badToken{reason: reason, token: func(t *testing.T, p *provider, now time.Time) string { return p.good(t, now, changes(now)) }}
	}
	claim := func(name string, value any) badToken {
		return claims(trat.ReasonSubjectTokenInvalid, func(time.Time) map[string]any { return map[string]any{name: value} })
	}
	at := func(reason trat.Reason, name string, shift time.Duration) badToken {
		return claims(reason, func(now time.Time) map[string]any { return map[string]any{name: now.Add(shift).Unix()} })
	}
	made := func(token func(t *testing.T, p *provider, now time.Time) string) badToken {
		return badToken{reason: trat.ReasonSubjectTokenInvalid, token: token}
	}
	edited := func(edit func(parts []string)) badToken {
		return made(func(t *testing.T, p *provider, now time.Time) string {
			parts := strings.Split(p.good(t, now, nil), ".")
			edit(parts)
			return strings.Join(parts, ".")
		})
	}
	text := func(raw string) badToken {
		return made(func(*testing.T, *provider, time.Time) string { return raw })
	}
	lying := func(path string, h http.HandlerFunc) badToken {
		return badToken{reason: trat.ReasonDependencyUnavailable, prepare: func(p *provider) { p.lie(path, h) }}
	}
	asked := func(reason trat.Reason, h http.HandlerFunc) badToken {
		return badToken{
			reason:  reason,
			token:   func(*testing.T, *provider, time.Time) string { return "opaque-secret-of-alice" },
			prepare: func(p *provider) { p.lie(introspectionPath, h) },
		}
	}
	encode := base64.RawURLEncoding.EncodeToString
	return map[string]badToken{
		"expired": claims(trat.ReasonSubjectTokenExpired, func(now time.Time) map[string]any {
			return map[string]any{"iat": now.Add(-2 * time.Hour).Unix(), "exp": now.Add(-time.Hour).Unix()}
		}),
		"expired before it was issued": at(trat.ReasonSubjectTokenInvalid, "exp", -time.Hour),
		"not yet valid":                at(trat.ReasonSubjectTokenInvalid, "nbf", time.Hour),
		"issued in the future":         at(trat.ReasonSubjectTokenInvalid, "iat", time.Hour),
		"without an end":               claim("exp", nil),
		"for another audience":         claim("aud", "https://other.test"),
		"for the client":               claim("aud", clientID),
		"for nobody":                   claim("aud", nil),
		"of an unknown issuer":         claim("iss", "https://rival.test"),
		"of no issuer":                 claim("iss", nil),
		"of nobody":                    claim("sub", nil),
		"with a subject in control":    claim("sub", "alice\n"),

		"tampered: another payload": edited(func(parts []string) {
			payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
			parts[1] = encode([]byte(strings.Replace(string(payload), "alice", "admin", 1)))
		}),
		"tampered: another signature": edited(func(parts []string) { parts[2] = encode(make([]byte, 64)) }),
		"tampered: no signature":      edited(func(parts []string) { parts[2] = "" }),
		"tampered: alg none": edited(func(parts []string) {
			parts[0], parts[2] = encode([]byte(`{"alg":"none","typ":"at+jwt","kid":"k1"}`)), ""
		}),
		"an HMAC of the public key": made(func(t *testing.T, p *provider, now time.Time) string {
			public, err := p.key.PublicKey.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			return p.jwt(t, now, public, jose.HS256, "at+jwt", "k1", nil)
		}),
		"a claim twice": made(func(t *testing.T, p *provider, now time.Time) string {
			parts := strings.Split(p.good(t, now, nil), ".")
			payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.key},
				(&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k1"))
			if err != nil {
				t.Fatal(err)
			}
			signed, err := signer.Sign([]byte(`{"sub":"admin",` + string(payload[1:])))
			if err != nil {
				t.Fatal(err)
			}
			raw, err := signed.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}),

		"of another type: JWT": made(func(t *testing.T, p *provider, now time.Time) string {
			return p.jwt(t, now, p.key, jose.ES256, "JWT", "k1", nil)
		}),
		"of another type: a TraT": made(func(t *testing.T, p *provider, now time.Time) string {
			return p.jwt(t, now, p.key, jose.ES256, "txntoken+jwt", "k1", nil)
		}),
		"an access token as an ID token": {
			reason: trat.ReasonSubjectTokenInvalid, kind: trat.TokenTypeIDToken,
			token: func(t *testing.T, p *provider, now time.Time) string {
				return p.good(t, now, map[string]any{"aud": clientID})
			},
		},
		"an access token as one that is not served": {reason: trat.ReasonSubjectTokenTypeUnsupported, kind: trat.TokenTypeJWT},
		"three words":    text("not.a.jwt"),
		"five parts":     text("eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d"),
		"a line of text": text("alice is fine"),

		"signed with a key that is not published": made(func(t *testing.T, p *provider, now time.Time) string {
			return p.jwt(t, now, newKey(t), jose.ES256, "at+jwt", "k2", nil)
		}),
		"the provider publishes another key by that name": {
			reason: trat.ReasonSubjectTokenInvalid,
			prepare: func(p *provider) {
				other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				if err != nil {
					panic(err)
				}
				p.lie(keysPath, document(keySet(other)))
			},
		},
		"the provider publishes no key":            lying(keysPath, document(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}})),
		"the provider is down":                     {reason: trat.ReasonDependencyUnavailable, prepare: func(p *provider) { p.Close() }},
		"its metadata are an error":                lying(discoveryPath, broken),
		"its metadata are HTML":                    lying(discoveryPath, html),
		"its metadata are somewhere else":          lying(discoveryPath, redirect),
		"its metadata are huge":                    lying(discoveryPath, huge),
		"its metadata do not come":                 lying(discoveryPath, slow),
		"its metadata are those of another issuer": lying(discoveryPath, document(map[string]any{"issuer": "https://rival.test", "jwks_uri": "https://rival.test/keys"})),
		"its keys are an error":                    lying(keysPath, broken),
		"its keys are HTML":                        lying(keysPath, html),
		"its keys are somewhere else":              lying(keysPath, redirect),
		"its keys are huge":                        lying(keysPath, huge),
		"its keys do not come":                     lying(keysPath, slow),

		"an opaque token that is revoked":    asked(trat.ReasonSubjectTokenInvalid, document(map[string]any{"active": false})),
		"the answer about it is an error":    asked(trat.ReasonDependencyUnavailable, broken),
		"the answer about it is HTML":        asked(trat.ReasonDependencyUnavailable, html),
		"the answer about it is elsewhere":   asked(trat.ReasonDependencyUnavailable, redirect),
		"the answer about it is huge":        asked(trat.ReasonDependencyUnavailable, huge),
		"the answer about it does not come":  asked(trat.ReasonDependencyUnavailable, slow),
		"the answer about it says yes alone": asked(trat.ReasonSubjectTokenInvalid, document(map[string]any{"active": true})),
	}
}

// trusting has the service trust p, for access tokens and ID tokens.
func trusting(t *testing.T, p *provider) func(*server.Config) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	return func(c *server.Config) {
		issuers, err := subject.NewIssuers(subject.IssuersConfig{
			Issuers: []subject.IssuerConfig{{
				Issuer: p.URL, Prefix: "login", Audience: apiAudience, ClientID: clientID,
				Introspection: &subject.IntrospectionConfig{ClientID: "tts", ClientSecret: []byte("secret-of-tts"), AllRequesters: true},
			}},
			Transport: p.Client().Transport, Clock: c.Clock, Logger: c.Logger,
		})
		must(err)
		issuers.Start()
		t.Cleanup(func() { _ = issuers.Close() })
		access, err := subject.NewAccessToken(issuers)
		must(err)
		id, err := subject.NewIDToken(issuers)
		must(err)
		c.Subjects, err = subject.NewRegistry(access, id)
		must(err)
	}
}

// Covers TTS-18, TTS-19, TTS-36, TTS-37, TTS-42, ERR-01, ERR-02, ERR-08, PRIV-01.
func TestBadSubjectTokensAndBadIssuersAreRefused(t *testing.T) {
	for name, tc := range badTokens() {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // some wait for an answer that does not come
			p := newProvider(t)
			if tc.prepare != nil {
				tc.prepare(p)
			}
			f := newFixture(t, trusting(t, p))
			request := goodRequest()
			if tc.token != nil {
				request.SubjectToken = tc.token(t, p, f.Clock.Now())
			} else {
				request.SubjectToken = p.good(t, f.Clock.Now(), nil)
			}
			if tc.kind != "" {
				request.SubjectTokenType = tc.kind
			}
			if tc.kind == trat.TokenTypeIDToken {
				request.Scope, request.RequestDetails = "login.only", ""
			}
			secret := func(where, text string) {
				t.Helper()
				for _, word := range []string{"eyJ", "alice", "admin", "secret", "rival", "127.0.0.1", "<html>"} {
					if strings.Contains(text, word) {
						t.Errorf("%q is in the answer over %s: %s", word, where, text)
					}
				}
			}
			want := servertest.Answers[tc.reason]

			response, err := f.DialGRPC(t, f.ServeGRPC(t), gateway).Exchange(t.Context(), request)
			if got := grpcOutcome(t, f, "", response, err); response != nil || status.Code(err) != want.Code || got.Reason != tc.reason || got.Retry != want.Retry {
				t.Errorf("gRPC: %v, %v, want %s and %s", response, err, want.Code, tc.reason)
			}
			secret("gRPC", prototext.Format(status.Convert(err).Proto()))
			checkRecords(t, f, gateway, tc.reason, 1)

			answer := post(t, f.client(t, f.serveHTTP(t), gateway), encode(request))
			checkAnswer(t, answer, tc.reason)
			if answer.body.Reason != tc.reason || (answer.header.Get("Retry-After") != "") != want.Retry {
				t.Errorf("HTTP: %v, %s, want %s", answer.header, answer.text, tc.reason)
			}
			secret("HTTP", answer.text)
			checkRecords(t, f, gateway, tc.reason, 1)
			if text := f.Logs.String(); strings.Contains(text, "eyJ") || strings.Contains(text, "alice") {
				t.Errorf("a token or subject is in the log:\n%s", text)
			}
		})
	}
}

// The table above refuses for what its rows change: without a change a token is granted.
//
// Covers TTS-18, TTS-36.
func TestGoodSubjectTokensOfAGoodIssuerAreGranted(t *testing.T) {
	p := newProvider(t)
	f := newFixture(t, trusting(t, p))
	p.lie(introspectionPath, document(map[string]any{
		"active": true, "iss": p.URL, "sub": "alice", "aud": apiAudience, "client_id": clientID, "scope": "orders:write",
		"iat": f.Clock.Now().Unix(), "exp": f.Clock.Now().Add(time.Minute).Unix(), "token_type": "Bearer",
	}))
	client := f.client(t, f.serveHTTP(t), gateway)
	for name, token := range map[string]string{"a JWT": p.good(t, f.Clock.Now(), nil), "an opaque token": "opaque-secret-of-alice"} {
		request := goodRequest()
		request.SubjectToken = token
		answer := post(t, client, encode(request))
		if answer.status != http.StatusOK {
			t.Errorf("%s: status %d, %s", name, answer.status, answer.text)
			continue
		}
		if got := f.Verify(t, answer.body.AccessToken).Subject(); got != "login:alice" {
			t.Errorf("%s: subject %q", name, got)
		}
	}
}
