package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func get(t *testing.T, h http.Handler, target string, into any) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody))
	if rec.Code != http.StatusOK {
		t.Fatalf("GET %s: status %d", target, rec.Code)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), into); err != nil {
		t.Fatal(err)
	}
}

func post(t *testing.T, h http.Handler, form url.Values) (int, map[string]any) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/token", nil)
	req.PostForm = form
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	var answer map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	return rec.Code, answer
}

func TestIssuerTokensVerifyByDiscovery(t *testing.T) {
	const url0 = "http://127.0.0.1:1"
	now := time.Unix(1_800_000_000, 0)
	i, err := newIssuer(url0, []string{"alice"}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	h := i.handler()
	code, answer := post(t, h, url.Values{
		"grant_type": {demoGrant}, "username": {"alice"}, "client_id": {"demo"},
		"resource": {"https://api.shop.test"}, "scope": {"orders:read"},
	})
	if code != http.StatusOK || answer["token_type"] != "Bearer" {
		t.Fatalf("status %d, %v", code, answer)
	}

	var discovery struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	get(t, h, "/.well-known/openid-configuration", &discovery)
	if discovery.Issuer != url0 || discovery.JWKSURI != url0+"/jwks" {
		t.Errorf("discovery %+v", discovery)
	}
	var keys jose.JSONWebKeySet
	get(t, h, "/jwks", &keys)
	if len(keys.Keys) != 1 || !keys.Keys[0].IsPublic() {
		t.Fatalf("published keys: %d, want one public", len(keys.Keys))
	}

	raw, _ := answer["access_token"].(string)
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if typ := token.Headers[0].ExtraHeaders[jose.HeaderType]; typ != "at+jwt" {
		t.Errorf("typ %v", typ)
	}
	var claims accessToken
	if err := token.Claims(keys.Keys[0], &claims); err != nil {
		t.Fatal(err)
	}
	if err := claims.Validate(jwt.Expected{
		Issuer: url0, Subject: "alice", AnyAudience: jwt.Audience{"https://api.shop.test"}, Time: now,
	}); err != nil {
		t.Error(err)
	}
	if claims.Scope != "orders:read" || claims.ClientID != "demo" || claims.ID == "" || claims.Expiry == nil {
		t.Errorf("claims %+v", claims)
	}
}

func TestIssuerRefusesWhatItDoesNotOffer(t *testing.T) {
	i, err := newIssuer("http://127.0.0.1:1", []string{"alice"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	good := func(change, to string) url.Values {
		form := url.Values{
			"grant_type": {demoGrant}, "username": {"alice"}, "client_id": {"demo"}, "resource": {"https://api.shop.test"},
		}
		form.Set(change, to)
		return form
	}
	for _, tt := range []struct {
		form url.Values
		want string
	}{
		{good("grant_type", "password"), "unsupported_grant_type"},
		{good("username", "bob"), "invalid_grant"},
		{good("username", ""), "invalid_grant"},
		{good("resource", ""), "invalid_request"},
		{good("client_id", ""), "invalid_request"},
	} {
		if code, answer := post(t, i.handler(), tt.form); code != http.StatusBadRequest || answer["error"] != tt.want {
			t.Errorf("%v: status %d, %v; want %s", tt.form, code, answer, tt.want)
		}
	}
}

func TestIssuerServesLoopbackOnly(t *testing.T) {
	if err := serve(t.Context(), "0.0.0.0:0", []string{"alice"}); err == nil {
		t.Error("an issuer without passwords serves the world")
	}
}
