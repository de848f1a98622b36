//go:build integration

package integration

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/trat"
)

// dex is a running Dex with one user.
type dex struct {
	*provider
	user, password string
}

// startDex runs Dex with the clients shop-web, which users log in at, and shop-api, which
// lets shop-web ask for tokens that are for it.
func startDex(t *testing.T) *dex {
	t.Helper()
	d := &dex{user: "alice@shop.test", password: "password"}
	const hash = "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W" // of that password, by bcrypt
	address := "127.0.0.1:" + freePort(t)
	config := write(t, t.TempDir(), "dex.yaml", fmt.Sprintf(`
issuer: http://%[1]s/dex
storage: {type: memory}
web: {http: %[1]q}
oauth2: {skipApprovalScreen: true, passwordConnector: local, grantTypes: [authorization_code, password]}
enablePasswordDB: true
staticClients:
  - {id: shop-web, secret: shop-web-secret, name: Shop, redirectURIs: [%[2]q]}
  - {id: shop-api, secret: shop-api-secret, name: API, trustedPeers: [shop-web], redirectURIs: [%[2]q]}
staticPasswords:
  - {email: %[3]s, username: alice, userID: 08a8684b, hash: %[4]q}
`, address, callback, d.user, hash))
	p := start(t, command{
		name: "dex", program: filepath.Join(component(t, "dex"), "dex"), args: []string{"serve", config},
		status: 2,
	})
	d.provider = newProvider(t, "http://"+address+"/dex")
	p.waitReady(t, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.issuer+"/.well-known/openid-configuration", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := d.client.Do(req)
		if err != nil {
			return err
		}
		_, err = read(resp)
		return err
	})
	return d
}

// login gets the user's tokens by the password grant (RFC 6749 section 4.3).
func (d *dex) login(ctx context.Context, scope string) (tokens, error) {
	return d.token(ctx, "shop-web", url.Values{
		"grant_type": {"password"}, "username": {d.user}, "password": {d.password}, "scope": {scope},
	})
}

// A second issuer with habits of its own: RS256 only, no typ, access tokens that are ID
// tokens in all but name. An ID token of it is exchanged as such, a token that it makes out
// to the API as a JWT by agreement; neither passes for an access token of RFC 9068, or for
// the other.
//
// Covers TTS-18, TTS-22, TTS-37.
func TestDexIsASecondIssuer(t *testing.T) {
	t.Parallel()
	d := startDex(t)
	p := startOIDCProvider(t, newKey(t).Public())
	gateway := startTokenService(t, serviceOptions{config: fmt.Sprintf(`
subject_tokens:
  issuers:
    - issuer: %s
      prefix: login
      audience: %s
      client_id: shop-web
      insecure_loopback_http: true
    - issuer: %s
      prefix: dex
      audience: %s
      client_id: shop-web
      jwt_audience: shop-api
      algorithms: [RS256]
      insecure_loopback_http: true
`, p.issuer, apiAudience, d.issuer, apiAudience), policy: quotePolicy + `
  - name: partner-reads
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:jwt]
    grants: [order.read]
`, workloads: []string{"gateway"}}).client(t, "gateway")

	web, err := d.login(t.Context(), "openid")
	if err != nil {
		t.Fatal(err)
	}
	api, err := d.login(t.Context(), "openid audience:server:client_id:shop-api")
	if err != nil {
		t.Fatal(err)
	}
	other, err := p.login(t.Context(), "shop-web", "alice", "orders:read")
	if err != nil {
		t.Fatal(err)
	}
	// What Dex calls alice: userID and connector, in base64 of a protobuf message.
	const alice = "dex:CggwOGE4Njg0YhIFbG9jYWw"
	for _, tt := range []struct {
		name    string
		token   string
		kind    client.SubjectTokenType
		scope   string
		subject string
		reason  trat.Reason // "": issued
	}{
		{name: "ID token", token: web.ID, kind: client.IDToken, scope: "order.quote", subject: alice},
		{name: "JWT for the API", token: api.Access, kind: client.JWT, scope: "order.read", subject: alice},
		{name: "the other issuer beside it", token: other.ID, kind: client.IDToken, scope: "order.quote", subject: "login:alice"},
		{name: "as an access token", token: web.Access, kind: client.AccessToken, scope: "order.create", reason: trat.ReasonSubjectTokenInvalid},
		{name: "JWT for the API, as an access token", token: api.Access, kind: client.AccessToken, scope: "order.create", reason: trat.ReasonSubjectTokenInvalid},
		{name: "ID token as a JWT for the API", token: web.ID, kind: client.JWT, scope: "order.read", reason: trat.ReasonSubjectTokenInvalid},
		{name: "JWT that the other issuer has no agreement for", token: other.ID, kind: client.JWT, scope: "order.read", reason: trat.ReasonSubjectTokenInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token, err := gateway.Exchange(t.Context(), client.Request{
				SubjectToken: tt.token, SubjectTokenType: tt.kind, Scope: tt.scope,
			})
			if tt.reason != "" {
				wantRefused(t, err, tt.reason)
				return
			}
			wantIssued(t, token, err, tt.subject, tt.scope)
		})
	}
}
