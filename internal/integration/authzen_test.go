//go:build integration

package integration

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/trat"
)

// The client asks a policy decision point that somebody else wrote, over TLS.
//
// Covers TTS-38.
func TestAuthZENClientAsksARealPDP(t *testing.T) {
	t.Parallel()
	const issuer = "https://login.shop.test"
	pdp := startCerbos(t, issuer)
	transport := &http.Transport{TLSClientConfig: pdp.clientTLS(t)}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := authzen.New(authzen.Config{
		URL: pdp.url, Transport: transport, Timeout: startTimeout, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	question := func(change func(*authzen.Request)) authzen.Request {
		q := authzen.Request{
			Subject: authzen.Subject{Type: "subject", ID: "login:alice", Properties: map[string]any{
				"issuer": issuer, "token_type": "urn:ietf:params:oauth:token-type:access_token",
			}},
			Action: authzen.Action{Name: "exchange", Properties: map[string]any{"scope": "order.create"}},
			Resource: authzen.Resource{Type: "txn_token", ID: "shop.test", Properties: map[string]any{
				"scope": "order.create", "requester": "spiffe://shop.test/gateway",
			}},
			Context: map[string]any{"requester": "spiffe://shop.test/gateway"},
		}
		change(&q)
		return q
	}
	for _, tt := range []struct {
		name   string
		change func(*authzen.Request)
		want   bool
	}{
		{"permitted", func(*authzen.Request) {}, true},
		{"without a context", func(q *authzen.Request) { q.Context = nil }, true},
		{"another user", func(q *authzen.Request) { q.Subject.ID = "login:mallory" }, false},
		{"another issuer", func(q *authzen.Request) { q.Subject.Properties["issuer"] = "https://login.rival.test" }, false},
		{"another trust domain", func(q *authzen.Request) { q.Resource.ID = "rival.test" }, false},
		{"another workload", func(q *authzen.Request) { q.Resource.Properties["requester"] = "spiffe://shop.test/orders" }, false},
		{"another scope", func(q *authzen.Request) { q.Resource.Properties["scope"] = "order.delete" }, false},
		{"another action", func(q *authzen.Request) { q.Action.Name = "revoke" }, false},
		{"a resource without a policy", func(q *authzen.Request) { q.Resource.Type = "door" }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := c.Evaluate(t.Context(), question(tt.change))
			if err != nil || got != tt.want {
				t.Errorf("got %t, %v; want %t", got, err, tt.want)
			}
		})
	}

	pdp.stop(t)
	if got, err := c.Evaluate(t.Context(), question(func(*authzen.Request) {})); got || err == nil {
		t.Errorf("without a PDP: got %t, %v; want an error", got, err)
	}
}

// What policy grants, the PDP may still refuse. Without it nothing is issued, but where the
// rule says that it may be.
//
// Covers TTS-38, ERR-04, ERR-08.
func TestExchangeAsksARealPDP(t *testing.T) {
	t.Parallel()
	p := startOIDCProvider(t, newKey(t).Public())
	pdp := startCerbos(t, p.issuer)
	tokens := startTokenService(t, serviceOptions{
		config: fmt.Sprintf(`
subject_tokens:
  issuers:
    - issuer: %s
      prefix: login
      audience: %s
      client_id: shop-web
      insecure_loopback_http: true
access_evaluation:
  - {name: cerbos, url: %q, timeout: 5s, ca_file: %q, svid: true}
`, p.issuer, apiAudience, pdp.url, pdp.ca),
		policy: `version: 1
rules:
  - name: orders
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes:
      orders:write: [order.create]
    access_evaluation: {pdp: cerbos}
  - name: reads
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes:
      orders:read: [order.read, order.list]
    access_evaluation: {pdp: cerbos, on_error: allow}
  - name: quotes
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:id_token]
    grants: [order.quote]
    access_evaluation: {pdp: cerbos}
`,
		workloads: []string{"gateway"},
	})
	gateway := tokens.client(t, "gateway")
	login := func(user string) func(string, client.SubjectTokenType) (*trat.Token, error) {
		answer, err := p.login(t.Context(), "shop-web", user, "orders:read orders:write")
		if err != nil {
			t.Fatal(err)
		}
		return func(scope string, kind client.SubjectTokenType) (*trat.Token, error) {
			raw := answer.Access
			if kind == client.IDToken {
				raw = answer.ID
			}
			return gateway.Exchange(t.Context(), client.Request{SubjectToken: raw, SubjectTokenType: kind, Scope: scope})
		}
	}
	alice, mallory := login("alice"), login("mallory")

	token, err := alice("order.create", client.AccessToken)
	wantIssued(t, token, err, "login:alice", "order.create")
	_, err = mallory("order.create", client.AccessToken)
	wantRefused(t, err, trat.ReasonIssuanceDenied)
	_, err = mallory("order.read", client.AccessToken) // refused is no error
	wantRefused(t, err, trat.ReasonIssuanceDenied)
	_, err = alice("order.list", client.AccessToken) // for its scope
	wantRefused(t, err, trat.ReasonIssuanceDenied)
	_, err = alice("order.quote", client.IDToken)
	wantRefused(t, err, trat.ReasonIssuanceDenied)

	pdp.stop(t)
	_, err = alice("order.create", client.AccessToken)
	wantRefused(t, err, trat.ReasonDependencyUnavailable)
	token, err = alice("order.read", client.AccessToken)
	wantIssued(t, token, err, "login:alice", "order.read")
	// The audit record of an issuance without an answer says so.
	tokens.process.waitLine(t, func(line string) bool {
		return strings.Contains(line, `"txn_token.evaluation.failed_open":true`)
	})
}
