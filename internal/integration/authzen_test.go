//go:build integration

package integration

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/grpc-trat/grpc-trat/authzen"
)

// The client asks a policy decision point that somebody else wrote, over TLS.
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
			Action:   authzen.Action{Name: "exchange", Properties: map[string]any{"scope": "order.create"}},
			Resource: authzen.Resource{Type: "txn_token", ID: "shop.test"},
			Context:  map[string]any{"requester": "spiffe://shop.test/gateway"},
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
