package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

var tax = spiffeid.RequireFromString("spiffe://shop.test/tax")

// transaction has the claims of a TraT that was issued five seconds before noon to the
// last of the given requesters.
func transaction(t testing.TB, requesters ...string) *trat.Claims {
	c := &trat.Claims{
		Subject: "shop:u1", Scope: scope(t, "order.create order.read stock.read"),
		IssuedAt: noon.Add(-5 * time.Second), Expiry: noon.Add(10 * time.Second),
		TransactionContext: object(t, `{"order_id":7,"note":"gr\u00fcn","deep":{"a":[1]}}`),
		RequestContext:     object(t, `{"ip":"192.0.2.7"}`),
	}
	for i, name := range requesters {
		requesters[i] = "spiffe://shop.test/" + name
	}
	c.RequestingWorkload = requesters[len(requesters)-1]
	if len(requesters) > 1 {
		chain, err := trat.NewWorkloadChain(requesters...)
		if err != nil {
			t.Fatal(err)
		}
		c.RequestingWorkloadChain, c.ReplacementCount = chain, len(requesters)-1
		c.TransactionStart = noon.Add(-20 * time.Second)
	}
	return c
}

// taxed is a replacement that the example policy grants.
func taxed(t testing.TB) policy.Request {
	return policy.Request{
		Requester: tax, SubjectTokenType: trat.TokenType, Scope: scope(t, "order.create"),
		Details: object(t, `{"tax_cents":19}`), Transaction: transaction(t, "gateway"), Now: noon,
	}
}

// Covers REPL-03.
func TestAReplacementKeepsTheContextAndAddsToIt(t *testing.T) {
	got, err := parse(t, string(shop)).Decide(taxed(t))
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Grant{
		Scope:              scope(t, "order.create"),
		Lifetime:           15 * time.Second,
		TransactionContext: object(t, `{"deep":{"a":[1]},"note":"gr\u00fcn","order_id":7,"tax_cents":19}`),
		RequestContext:     object(t, `{"ip":"192.0.2.7"}`),
		Rule:               "tax",
		Replacement:        &policy.Replacement{MaxAge: time.Minute},
	}
	if diff := cmp.Diff(want, got, equalObjects); diff != "" {
		t.Errorf("grant (-want +got):\n%s", diff)
	}
}

// Covers REPL-07.
func TestAReceiptIsOfThePathUnlessTheRuleSaysOtherwise(t *testing.T) {
	for receipt, head := range map[string]bool{"": false, "receipt: path": false, "receipt: head": true} {
		p := parse(t, strings.Replace(string(shop), "      max_age: 60s\n", "      max_age: 60s\n      "+receipt+"\n", 1))
		got, err := p.Decide(taxed(t))
		if err != nil || got.Replacement.HeadReceipt != head {
			t.Errorf("%q: %+v, %v", receipt, got.Replacement, err)
		}
	}
}

// Covers REPL-01, REPL-03, REPL-05, REPL-10, ERR-04.
func TestWhatAReplacementMustNotDo(t *testing.T) {
	p := parse(t, string(shop))
	for _, test := range []struct {
		name   string
		change func(*policy.Request)
		reason trat.Reason
		field  string
	}{
		{"a workload that is not listed", func(r *policy.Request) { r.Requester = gateway }, trat.ReasonIssuanceDenied, "subject_token_type"},
		{"no transaction", func(r *policy.Request) { r.Transaction = nil }, trat.ReasonInternal, ""},
		{"a scope that the token does not have", func(r *policy.Request) {
			r.Transaction.Scope = scope(t, "order.read")
		}, trat.ReasonScopeExceeded, "scope"},
		{"a scope that is not listed", func(r *policy.Request) { r.Scope = scope(t, "stock.read") }, trat.ReasonScopeExceeded, "scope"},
		{"a scope too many", func(r *policy.Request) { r.Scope = scope(t, "order.create order.cancel") }, trat.ReasonScopeExceeded, "scope"},
		{"no scope", func(r *policy.Request) { r.Scope = trat.Scope{} }, trat.ReasonScopeExceeded, "scope"},
		{"another value of a member", func(r *policy.Request) {
			r.Details = object(t, `{"tax_cents":19,"order_id":8}`)
		}, trat.ReasonReplacementDenied, "request_details"},
		{"another value of what an earlier replacement added", func(r *policy.Request) {
			r.Transaction.TransactionContext = object(t, `{"tax_cents":18}`)
		}, trat.ReasonReplacementDenied, "request_details"},
		{"the fourth replacement", func(r *policy.Request) {
			r.Transaction = transaction(t, "gateway", "a", "b", "c")
		}, trat.ReasonReplacementLimit, "subject_token"},
		{"a third visit", func(r *policy.Request) {
			r.Transaction = transaction(t, "tax", "gateway", "tax")
		}, trat.ReasonReplacementLimit, "subject_token"},
		{"a transaction that began a minute ago", func(r *policy.Request) {
			r.Now = noon.Add(55 * time.Second)
		}, trat.ReasonReplacementLimit, "subject_token"},
		{"a replaced one that began a minute ago", func(r *policy.Request) {
			r.Transaction = transaction(t, "gateway", "a")
			r.Now = noon.Add(40 * time.Second)
		}, trat.ReasonReplacementLimit, "subject_token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := taxed(t)
			test.change(&r)
			wantRefusal(t, p, r, test.reason, test.field)
		})
	}
}

// Covers REPL-03, REPL-05, REPL-10.
func TestAReplacementWithinItsLimitsIsGranted(t *testing.T) {
	p := parse(t, string(shop))
	for name, change := range map[string]func(*policy.Request){
		"the third replacement":      func(r *policy.Request) { r.Transaction = transaction(t, "gateway", "a", "b") },
		"a second visit":             func(r *policy.Request) { r.Transaction = transaction(t, "tax", "gateway") },
		"the same value once more":   func(r *policy.Request) { r.Details = object(t, `{"tax_cents":19,"order_id":7}`) },
		"just before it is too old":  func(r *policy.Request) { r.Now = noon.Add(55*time.Second - 1) },
		"two of the token's scopes":  func(r *policy.Request) { r.Scope = scope(t, "order.read order.create") },
		"a context that was not set": func(r *policy.Request) { r.Transaction.TransactionContext = trat.Object{} },
	} {
		t.Run(name, func(t *testing.T) {
			r := taxed(t)
			change(&r)
			if _, err := p.Decide(r); err != nil {
				t.Error(err)
			}
		})
	}
}

// Covers REPL-06.
func TestAChainDoesNotOutgrowTheClaim(t *testing.T) {
	text := strings.Replace(string(shop), "      max_age: 60s\n", "      max_age: 60s\n      max_count: 15\n      max_visits: 16\n", 1)
	p := parse(t, text)
	requesters := func(n int) []string {
		return strings.Split("gateway"+strings.Repeat(" tax", n-1), " ")
	}
	r := taxed(t)
	r.Transaction = transaction(t, requesters(15)...)
	if _, err := p.Decide(r); err != nil {
		t.Errorf("the 16th requester: %v", err)
	}
	r.Transaction = transaction(t, requesters(16)...)
	_, err := p.Decide(r)
	wantError(t, err, trat.ReasonReplacementLimit, "subject_token")
}

// Covers REPL-05.
func TestOnlyPolicyExtendsALifetime(t *testing.T) {
	text := strings.Replace(string(shop), "      max_age: 60s\n", "      extend_lifetime: true\n", 1)
	grant, err := parse(t, text).Decide(taxed(t))
	if err != nil {
		t.Fatal(err)
	}
	if want := (policy.Replacement{ExtendLifetime: true, MaxAge: 300 * time.Second}); *grant.Replacement != want {
		t.Errorf("replacement = %+v, want %+v", *grant.Replacement, want)
	}
}

func TestAReplacementThatAddsNothingLeavesTheContextAsItIs(t *testing.T) {
	p := parse(t, `version: 1
rules:
  - name: narrow
    requester: spiffe://shop.test/tax
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    narrow: true
    when: transaction.tctx.order_id == 7 && transaction.requester == 'spiffe://shop.test/gateway'
    replacement: {scopes: [order.read]}
`)
	r := taxed(t)
	r.Scope = scope(t, "order.create order.read")
	grant, err := p.Decide(r)
	if err != nil {
		t.Fatal(err)
	}
	if grant.TransactionContext != r.Transaction.TransactionContext || grant.RequestContext != r.Transaction.RequestContext {
		t.Error("the contexts have changed")
	}
	if grant.Scope != scope(t, "order.read") {
		t.Errorf("scope = %q", grant.Scope)
	}
}

// Covers REPL-03, PRIV-07.
func TestTheMemberThatWouldChangeIsNamedWithoutItsValues(t *testing.T) {
	r := taxed(t)
	r.Transaction.TransactionContext = object(t, `{"tax_cents":1817}`)
	_, err := parse(t, string(shop)).Decide(r)
	if want := `REPLACEMENT_DENIED: request_details: rule "tax": tctx.tax_cents, which the transaction has, would change`; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

// Covers REPL-03.
func TestAMemberThatIsNotCopiedIsNamedToo(t *testing.T) {
	p := parse(t, replacing+"    replacement: {scopes: [order.create]}\n    rctx: {ip: {value: none}}\n")
	r := taxed(t)
	r.Requester = gateway
	_, err := p.Decide(r)
	if want := `REPLACEMENT_DENIED: rule "r": rctx.ip, which the transaction has, would change`; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}
