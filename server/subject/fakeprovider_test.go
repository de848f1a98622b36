package subject_test

import (
	"crypto"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// fakeProvider is an OpenID provider: discovery, OAuth metadata, a key set and
// introspection, as on the wire. Its answers can be replaced by lies.
type fakeProvider struct {
	issuer string

	mu        sync.Mutex
	published []any // JWKs
	metadata  http.HandlerFunc
	jwks      http.HandlerFunc

	fakeIntrospection
	metadataFetches atomic.Int64
	jwksFetches     atomic.Int64
}

func newFakeProvider(issuer string, keys ...signingKey) *fakeProvider {
	p := &fakeProvider{issuer: issuer}
	p.publish(keys...)
	return p
}

// jwk is the public key as a provider publishes it.
func (k signingKey) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.(crypto.Signer).Public(), KeyID: k.kid, Use: "sig", Algorithm: k.alg}
}

// publish replaces the key set.
func (p *fakeProvider) publish(keys ...signingKey) {
	jwks := make([]any, len(keys))
	for i, k := range keys {
		jwks[i] = k.jwk()
	}
	p.publishJWKs(jwks...)
}

func (p *fakeProvider) publishJWKs(jwks ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = jwks
}

// lie replaces the answers; nil is the honest one.
func (p *fakeProvider) lie(metadata, jwks http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.metadata, p.jwks = metadata, jwks
}

func (p *fakeProvider) answers() (metadata, jwks http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if metadata = p.metadata; metadata == nil {
		metadata = jsonDocument(members{"issuer": p.issuer, "jwks_uri": p.issuer + "/keys", "introspection_endpoint": p.issuer + "/introspect", "response_types_supported": []string{"code"}})
	}
	if jwks = p.jwks; jwks == nil {
		jwks = jsonDocument(members{"keys": p.published})
	}
	return metadata, jwks
}

func (p *fakeProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	metadata, jwks := p.answers()
	path := strings.TrimPrefix(r.URL.Path, "/tenant")
	switch path {
	case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/tenant":
		p.metadataFetches.Add(1)
		metadata(w, r)
	case "/keys":
		p.jwksFetches.Add(1)
		jwks(w, r)
	case "/introspect":
		p.introspect(p.issuer, w, r)
	default:
		http.NotFound(w, r)
	}
}

// RoundTrip serves requests in memory, which works with a synthetic clock too.
func (p *fakeProvider) RoundTrip(r *http.Request) (*http.Response, error) {
	if want := strings.TrimPrefix(p.issuer, "https://"); !strings.HasPrefix(want, r.URL.Host) {
		return nil, http.ErrServerClosed
	}
	recorder := httptest.NewRecorder()
	p.ServeHTTP(recorder, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return recorder.Result(), nil
}

// serveTLS serves p over HTTPS on the loopback interface. It becomes p's issuer.
func (p *fakeProvider) serveTLS(t *testing.T) http.RoundTripper {
	t.Helper()
	server := httptest.NewTLSServer(p)
	t.Cleanup(server.Close)
	p.issuer = server.URL
	return server.Client().Transport
}

// servePlain serves p over HTTP on the loopback interface. It becomes p's issuer.
func (p *fakeProvider) servePlain(t *testing.T) {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.issuer = server.URL
}

// jsonDocument answers with v as a JSON document.
func jsonDocument(v any) http.HandlerFunc {
	return body("application/json; charset=utf-8", encode(v))
}

func body(contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(text))
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

// hang answers when the client has given up.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// hosts sends each request to the provider of its host.
type hosts map[string]http.RoundTripper

func (h hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	if provider, ok := h[r.URL.Host]; ok {
		return provider.RoundTrip(r)
	}
	return nil, http.ErrServerClosed
}
