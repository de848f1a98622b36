package policy_test

import (
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

func ExamplePolicy_Decide() {
	p, err := policy.Parse([]byte(`
version: 1
details: {order_id: int}
rules:
  - name: gateway-orders
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes:
      orders:write: [order.create]
    tctx: {order_id: details.order_id}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	scope, _ := trat.ParseScope("order.create")
	details, _ := trat.ParseObject(`{"order_id": 7, "internal": true}`)
	request := policy.Request{
		Requester:        spiffeid.RequireFromString("spiffe://shop.test/gateway"),
		SubjectTokenType: "urn:ietf:params:oauth:token-type:access_token",
		Subject:          policy.Subject{Issuer: "https://login.shop.test", Scopes: []string{"orders:write"}, ScopeKnown: true},
		Scope:            scope,
		Details:          details,
	}
	grant, err := p.Decide(request)
	fmt.Println(grant.Rule, grant.Scope, grant.Lifetime, grant.TransactionContext.JSON(), err)

	request.Subject.Scopes = []string{"orders:read"}
	_, err = p.Decide(request)
	reason, _ := trat.ReasonOf(err)
	fmt.Println(reason)
	// Output:
	// gateway-orders order.create 15s {"order_id":7} <nil>
	// SCOPE_EXCEEDED
}

func ExampleParse_problems() {
	_, err := policy.Parse([]byte(`
version: 1
rules:
  - name: gateway-orders
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scope: {orders:write: [order.create]}
    lifetime: 1h
`))
	fmt.Println(err)
	// Output:
	// policy: line 7: rule "gateway-orders": scope: unknown key
	// policy: line 8: rule "gateway-orders": lifetime: is above 5m0s, the most that any TraT lives
	// policy: line 4: rule "gateway-orders": scopes: neither scopes nor grants: the rule grants nothing
}
