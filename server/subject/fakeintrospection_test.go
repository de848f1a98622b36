package subject_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Whom the provider takes for the token service.
const (
	resource       = "trat service" // what form encoding changes
	resourceSecret = "s%cr&t+ü:"
)

// fakeIntrospection is a provider's introspection endpoint (RFC 7662). It answers
// about the tokens that it was told of, and only to the token service.
type fakeIntrospection struct {
	mu     sync.Mutex
	tokens map[string]members
	lies   http.HandlerFunc
	key    crypto.PublicKey // of the client's assertions; nil: it has a secret
	seen   map[string]bool  // jti of assertions

	questions atomic.Int64
	strangers atomic.Int64 // questions that were not authenticated
}

// issue makes token active, with the given members of its answer.
func (f *fakeIntrospection) issue(token string, answer members) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tokens == nil {
		f.tokens = make(map[string]members)
	}
	f.tokens[token] = answer
}

// revoke makes token inactive.
func (f *fakeIntrospection) revoke(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tokens, token)
}

// lieAboutTokens replaces the answers; nil is the honest one.
func (f *fakeIntrospection) lieAboutTokens(handler http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lies = handler
}

// expectAssertions makes a key the client's.
func (f *fakeIntrospection) expectAssertions(key crypto.PublicKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key = key
}

func (f *fakeIntrospection) introspect(issuer string, w http.ResponseWriter, r *http.Request) {
	f.questions.Add(1)
	f.mu.Lock()
	lies := f.lies
	f.mu.Unlock()
	if lies != nil {
		lies(w, r)
		return
	}
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" {
		http.Error(w, "not a form", http.StatusBadRequest)
		return
	}
	if err := r.ParseForm(); err != nil || len(r.PostForm["token"]) != 1 {
		http.Error(w, "no token", http.StatusBadRequest)
		return
	}
	if !f.authenticated(issuer, r) {
		f.strangers.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	f.mu.Lock()
	answer, ok := f.tokens[r.PostForm.Get("token")]
	f.mu.Unlock()
	if !ok {
		jsonDocument(members{"active": false})(w, r)
		return
	}
	jsonDocument(edit(members{"active": true}, answer))(w, r)
}

func (f *fakeIntrospection) authenticated(issuer string, r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.key != nil {
		return f.verifyAssertion(issuer, r.PostForm)
	}
	id, secret, ok := r.BasicAuth()
	id, err := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	return ok && err == nil && err2 == nil && id == resource && secret == resourceSecret && !r.PostForm.Has("client_assertion")
}

// verifyAssertion verifies a client assertion (RFC 7523 section 3) with the standard
// library.
func (f *fakeIntrospection) verifyAssertion(issuer string, form url.Values) bool {
	parts := strings.Split(form.Get("client_assertion"), ".")
	if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || len(parts) != 3 {
		return false
	}
	var header struct{ Alg, Kid, Typ string }
	var claims struct {
		Iss, Sub, Jti string
		Aud           any
		Exp, Iat      int64
	}
	if !decodePart(parts[0], &header) || !decodePart(parts[1], &claims) || header.Kid != "tts-1" {
		return false
	}
	aud, _ := claims.Aud.(string)
	if list, ok := claims.Aud.([]any); ok && len(list) == 1 {
		aud, _ = list[0].(string)
	}
	lifetime := time.Duration(claims.Exp-claims.Iat) * time.Second
	if claims.Iss != resource || claims.Sub != resource || aud != issuer || len(claims.Jti) < 22 || lifetime <= 0 || lifetime > time.Minute || f.seen[claims.Jti] {
		return false
	}
	if f.seen == nil {
		f.seen = make(map[string]bool)
	}
	f.seen[claims.Jti] = true
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	return err == nil && verifySignature(f.key, header.Alg, []byte(parts[0]+"."+parts[1]), signature)
}

func decodePart(part string, into any) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(text, into) == nil
}

func verifySignature(key crypto.PublicKey, alg string, input, signature []byte) bool {
	digest := sha256.Sum256(input)
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if alg != "ES256" || len(signature) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(key, digest[:], r, s)
	case ed25519.PublicKey:
		return alg == "EdDSA" && ed25519.Verify(key, input, signature)
	case *rsa.PublicKey:
		return alg == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}

// opaqueClaims are the answer about a good opaque token at the given time.
func opaqueClaims(at time.Time) members {
	return members{
		"iss": login, "sub": "alice", "aud": []string{audience, login}, "client_id": clientID, "token_type": "Bearer",
		"iat": at.Unix(), "exp": at.Add(5 * time.Minute).Unix(), "scope": "openid orders:write", "username": "alice",
	}
}
