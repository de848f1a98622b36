package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// demoGrant names what this token endpoint really does.
	demoGrant = "urn:example:grant-type:demo-user-without-password"
	// tokenLifetime is that of an access token.
	tokenLifetime = 5 * time.Minute
	// maxForm bounds the body of a token request.
	maxForm = 4 << 10
)

// issuer signs access tokens with a key that it makes when it starts.
type issuer struct {
	url    string
	users  []string
	now    func() time.Time
	jwks   jose.JSONWebKeySet
	signer jose.Signer
}

func newIssuer(url string, users []string, now func() time.Time) (*issuer, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key := jose.JSONWebKey{Key: private, KeyID: rand.Text()[:8], Algorithm: string(jose.ES256), Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return nil, err
	}
	return &issuer{
		url: url, users: users, now: now, signer: signer,
		jwks: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}},
	}, nil
}

func (i *issuer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, i.jwks) })
	mux.HandleFunc("POST /token", i.token)
	return mux
}

// discovery answers as in OpenID Connect Discovery 1.0, section 4.2.
func (i *issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer":                                i.url,
		"jwks_uri":                              i.url + "/jwks",
		"token_endpoint":                        i.url + "/token",
		"grant_types_supported":                 []string{demoGrant},
		"token_endpoint_auth_methods_supported": []string{"none"},
		"response_types_supported":              []string{"none"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

// accessToken has the claims of RFC 9068, section 2.2.
type accessToken struct {
	jwt.Claims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

// token gives an access token to whoever asks, as one of the configured users.
func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	switch {
	case r.PostFormValue("grant_type") != demoGrant:
		refuse(w, "unsupported_grant_type")
		return
	case !slices.Contains(i.users, r.PostFormValue("username")):
		refuse(w, "invalid_grant")
		return
	case r.PostFormValue("resource") == "" || r.PostFormValue("client_id") == "":
		refuse(w, "invalid_request")
		return
	}
	now := i.now()
	claims := accessToken{
		Claims: jwt.Claims{
			Issuer:   i.url,
			Subject:  r.PostFormValue("username"),
			Audience: jwt.Audience{r.PostFormValue("resource")},
			IssuedAt: jwt.NewNumericDate(now),
			Expiry:   jwt.NewNumericDate(now.Add(tokenLifetime)),
			ID:       rand.Text(),
		},
		ClientID: r.PostFormValue("client_id"),
		Scope:    r.PostFormValue("scope"),
	}
	raw, err := jwt.Signed(i.signer).Claims(claims).Serialize()
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"error": "server_error"})
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"access_token": raw,
		"token_type":   "Bearer",
		"expires_in":   int(tokenLifetime.Seconds()),
		"scope":        claims.Scope,
	})
}

func refuse(w http.ResponseWriter, code string) {
	answer(w, http.StatusBadRequest, map[string]string{"error": code})
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}
