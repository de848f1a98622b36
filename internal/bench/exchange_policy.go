package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

// policyOf returns a policy of so many rules, four of them for the gateway.
func policyOf(rules int) string {
	var b strings.Builder
	b.WriteString(`version: 1
details: {action: string, sku: string, quantity: int, amount_cents: int}
context: {ip: string, authn: string}
rules:
`)
	for i := range rules {
		requester, scope := "gateway", fmt.Sprintf("order.action%d", i)
		if i == 0 {
			scope = "order.create"
		}
		if i >= 4 {
			requester = fmt.Sprintf("workload-%d", i)
		}
		fmt.Fprintf(&b, `  - name: rule-%d
    requester: spiffe://shop.test/%s
    subject_tokens: [%s]
    scopes: {%q: [%s]}
    tctx: {action: details.action, sku: details.sku, quantity: details.quantity, amount_cents: details.amount_cents}
    rctx: {ip: context.ip, authn: context.authn}
`, i, requester, trat.TokenTypeAccessToken, providerScope, scope)
	}
	return b.String()
}

// decisionUnder returns a subject's call: one decision under a policy of so many rules.
func decisionUnder(rules int) (func(int) error, error) {
	decided, err := policy.Parse([]byte(policyOf(rules)))
	if err != nil {
		return nil, err
	}
	request := exchangeRequest("")
	scope, err := trat.ParseScope(request.GetScope())
	if err != nil {
		return nil, err
	}
	context, err := trat.ParseObject(request.GetRequestContext())
	if err != nil {
		return nil, err
	}
	details, err := trat.ParseObject(request.GetRequestDetails())
	if err != nil {
		return nil, err
	}
	ask := policy.Request{
		Requester:        exchangeGateway,
		SubjectTokenType: trat.TokenTypeAccessToken,
		Subject:          policy.Subject{Issuer: "https://login.test", ID: "login:alice", Scopes: []string{providerScope}, ScopeKnown: true},
		Scope:            scope,
		Context:          context,
		Details:          details,
		Now:              time.Now(),
	}
	return func(int) error {
		_, err := decided.Decide(ask)
		return err
	}, nil
}
