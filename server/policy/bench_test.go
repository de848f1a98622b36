package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/policy"
)

// manyRules is a policy of so many rules for as many requesters, each with an expression
// of its own and four members.
func manyRules(rules int) string {
	var text strings.Builder
	text.WriteString(`version: 1
claims: {department: string}
details: {action: string, sku: string, quantity: int, price_cents: int}
context: {ip: string}
rules:
`)
	for i := range rules {
		fmt.Fprintf(&text, `  - name: r%d
    requester: spiffe://shop.test/gateway-%[1]d
    subject_tokens: [%[2]q]
    scopes: {a: [b]}
    when: details.quantity > 0 && details.quantity < %[3]d
    tctx:
      action: details.action
      sku: details.sku
      total_cents: {compute: details.quantity * details.price_cents}
    rctx: {ip: optional context.ip}
`, i, accessToken, i+100)
	}
	return text.String()
}

func BenchmarkDecide(b *testing.B) {
	for _, rules := range []int{10, 1000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			p := parse(b, manyRules(rules))
			r := policy.Request{
				Requester:        spiffeid.RequireFromString("spiffe://shop.test/gateway-7"),
				SubjectTokenType: accessToken,
				Subject:          policy.Subject{Issuer: loginIssuer, Scopes: []string{"a"}, ScopeKnown: true, Claims: object(b, `{"sub":"u1","department":"sales"}`)},
				Scope:            scope(b, "b"),
				Details:          object(b, `{"action":"order.create","sku":"teapot","quantity":2,"price_cents":250}`),
				Context:          object(b, `{"ip":"192.0.2.7"}`),
				Now:              noon,
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Decide(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, rules := range []int{10, 1000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			text := []byte(manyRules(rules))
			for b.Loop() {
				if _, err := policy.Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
