//go:build integration

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/trat"
)

// orderPolicy lets the gateway do what a user's or a machine's access token carries.
const orderPolicy = `version: 1
rules:
  - name: orders
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes:
      orders:write: [order.create]
      orders:read: [order.read]
`

// quotePolicy adds what a user may do who has only logged in.
const quotePolicy = orderPolicy + `
  - name: quotes
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:id_token]
    grants: [order.quote]
`

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Tokens of a certified provider, as a user's login and a machine's client credentials
// make them, become TraTs, each as what it is and not as anything else.
//
// Covers TTS-08, TTS-18, TTS-30, TTS-37.
func TestTokensOfARealProviderAreExchanged(t *testing.T) {
	t.Parallel()
	p := startOIDCProvider(t, newKey(t).Public())
	tokens := startTokenService(t, serviceOptions{config: fmt.Sprintf(`
subject_tokens:
  issuers:
    - issuer: %s
      prefix: login
      audience: %s
      client_id: shop-web
      insecure_loopback_http: true
`, p.issuer, apiAudience), policy: quotePolicy, workloads: []string{"gateway", "mallory"}})
	gateway, mallory := tokens.client(t, "gateway"), tokens.client(t, "mallory")

	user, err := p.login(t.Context(), "shop-web", "alice", "orders:write")
	if err != nil {
		t.Fatal(err)
	}
	// Another client of the same provider; its tokens are opaque.
	phone, err := p.login(t.Context(), "shop-phone", "alice", "orders:write")
	if err != nil {
		t.Fatal(err)
	}
	machine, err := p.machineToken(t.Context(), "billing", "orders:read") // RS256
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		requester *client.Client
		token     string
		kind      client.SubjectTokenType
		scope     string
		subject   string
		reason    trat.Reason // "": issued
	}{
		{name: "user", requester: gateway, token: user.Access, kind: client.AccessToken, scope: "order.create", subject: "login:alice"},
		{name: "machine", requester: gateway, token: machine, kind: client.AccessToken, scope: "order.read", subject: "login:billing"},
		{name: "ID token", requester: gateway, token: user.ID, kind: client.IDToken, scope: "order.quote", subject: "login:alice"},
		{name: "scope the user's token does not have", requester: gateway, token: user.Access, kind: client.AccessToken, scope: "order.read", reason: trat.ReasonScopeExceeded},
		{name: "scope the machine's token does not have", requester: gateway, token: machine, kind: client.AccessToken, scope: "order.create", reason: trat.ReasonScopeExceeded},
		{name: "another workload", requester: mallory, token: user.Access, kind: client.AccessToken, scope: "order.create", reason: trat.ReasonIssuanceDenied},
		{name: "access token as ID token", requester: gateway, token: user.Access, kind: client.IDToken, scope: "order.quote", reason: trat.ReasonSubjectTokenInvalid},
		{name: "ID token as access token", requester: gateway, token: user.ID, kind: client.AccessToken, scope: "order.create", reason: trat.ReasonSubjectTokenInvalid},
		{name: "another client's ID token", requester: gateway, token: phone.ID, kind: client.IDToken, scope: "order.quote", reason: trat.ReasonSubjectTokenInvalid},
		{name: "opaque, without introspection", requester: gateway, token: phone.Access, kind: client.AccessToken, scope: "order.create", reason: trat.ReasonSubjectTokenInvalid},
		{name: "type that is not turned on", requester: gateway, token: user.Access, kind: client.JWT, scope: "order.create", reason: trat.ReasonSubjectTokenTypeUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token, err := tt.requester.Exchange(t.Context(), client.Request{
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
