package policy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

var (
	backoffice = spiffeid.RequireFromString("spiffe://shop.test/backoffice")
	noon       = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
)

// purchase is a request that the rule of that name grants.
func purchase(t testing.TB) policy.Request {
	return policy.Request{
		Requester:        backoffice,
		SubjectTokenType: accessToken,
		Subject: policy.Subject{
			Issuer: loginIssuer, ID: "shop:u1", Scopes: []string{"purchase"}, ScopeKnown: true,
			Claims: object(t, `{"department":"sales","limit_cents":1000,"auth_time":1767268200,"email":"ada@shop.test"}`),
		},
		Scope:     scope(t, "purchase.create"),
		Details:   object(t, `{"quantity":3,"price_cents":250,"tax_cents":57,"order_id":1}`),
		Now:       noon,
		Pseudonym: func(text string) string { return "p(" + text + ")" },
	}
}

var equalObjects = cmp.Comparer(func(a, b trat.Object) bool { return a == b })

// Covers TTS-28, PRIV-03, PRIV-05.
func TestAGrantIsMadeOfWhatTheRuleNames(t *testing.T) {
	got, err := parse(t, string(shop)).Decide(purchase(t))
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Grant{
		Scope:              scope(t, "purchase.create"),
		Lifetime:           15 * time.Second,
		TransactionContext: object(t, `{"tax_per_item":19,"total_cents":750}`),
		RequestContext:     object(t, `{"department":"sales","user":"p(ada@shop.test)"}`),
		Rule:               "purchase",
		Evaluation:         &policy.Evaluation{PDP: "central"},
	}
	if diff := cmp.Diff(want, got, equalObjects); diff != "" {
		t.Errorf("grant (-want +got):\n%s", diff)
	}
}

// Covers TTS-17, TTS-38, TTS-39, ERR-01, ERR-04.
func TestWhatARuleNeedsIsRequired(t *testing.T) {
	p := parse(t, string(shop))
	for _, test := range []struct {
		name   string
		change func(*policy.Request)
		reason trat.Reason
		field  string
	}{
		{"another department", func(r *policy.Request) {
			r.Subject.Claims = object(t, `{"department":"Sales","limit_cents":1000,"auth_time":1767268200,"email":"a"}`)
		}, trat.ReasonIssuanceDenied, "subject_token_type"},
		{"no department", func(r *policy.Request) {
			r.Subject.Claims = object(t, `{"limit_cents":1000,"auth_time":1767268200,"email":"a"}`)
		}, trat.ReasonIssuanceDenied, "subject_token_type"},
		{"a department of another type", func(r *policy.Request) {
			r.Subject.Claims = object(t, `{"department":["sales"],"limit_cents":1000,"auth_time":1767268200,"email":"a"}`)
		}, trat.ReasonIssuanceDenied, "subject_token_type"},
		{"no claims", func(r *policy.Request) { r.Subject.Claims = trat.Object{} }, trat.ReasonIssuanceDenied, "subject_token_type"},
		{"above the limit", func(r *policy.Request) {
			r.Details = object(t, `{"quantity":5,"price_cents":250}`)
		}, trat.ReasonIssuanceDenied, ""},
		{"below zero, and so below the limit", func(r *policy.Request) {
			r.Details = object(t, `{"quantity":-1000,"price_cents":250}`)
		}, trat.ReasonIssuanceDenied, ""},
		{"logged in long ago", func(r *policy.Request) { r.Now = noon.Add(time.Hour) }, trat.ReasonIssuanceDenied, ""},
		{"a condition without the claim it needs", func(r *policy.Request) {
			r.Subject.Claims = object(t, `{"department":"sales","auth_time":1767268200,"email":"a"}`)
		}, trat.ReasonIssuanceDenied, ""},
		{"a claim of another type", func(r *policy.Request) {
			r.Subject.Claims = object(t, `{"department":"sales","limit_cents":"1000","auth_time":1767268200,"email":"a"}`)
		}, trat.ReasonIssuanceDenied, ""},
		{"a condition without the detail it needs", func(r *policy.Request) {
			r.Details = object(t, `{"quantity":3}`)
		}, trat.ReasonParameterMissing, "request_details.price_cents"},
		{"a condition that cannot be evaluated", func(r *policy.Request) {
			r.Details = object(t, `{"quantity":9223372036854775807,"price_cents":2}`)
		}, trat.ReasonIssuanceDenied, ""},
		{"a required copy without its claim", func(r *policy.Request) {
			r.Subject.Claims = object(t, `{"department":"sales","limit_cents":1000,"auth_time":1767268200}`)
		}, trat.ReasonIssuanceDenied, ""},
		{"no way to make pseudonyms", func(r *policy.Request) { r.Pseudonym = nil }, trat.ReasonInternal, ""},
		{"a detail of another type", func(r *policy.Request) {
			r.Details = object(t, `{"quantity":"3","price_cents":250}`)
		}, trat.ReasonParameterInvalid, "request_details.quantity"},
		{"an integer beyond 64 bits", func(r *policy.Request) {
			r.Details = object(t, `{"quantity":3,"price_cents":9223372036854775808}`)
		}, trat.ReasonParameterInvalid, "request_details.price_cents"},
		{"a declared detail of another type that the rule does not use", func(r *policy.Request) {
			r.Details = object(t, `{"quantity":3,"price_cents":250,"note":1}`)
		}, trat.ReasonParameterInvalid, "request_details.note"},
		{"a context of another type", func(r *policy.Request) {
			r.Context = object(t, `{"ip":1}`)
		}, trat.ReasonParameterInvalid, "request_context.ip"},
		{"a transaction that there is no place for", func(r *policy.Request) { r.Transaction = &trat.Claims{} }, trat.ReasonInternal, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := purchase(t)
			test.change(&r)
			wantRefusal(t, p, r, test.reason, test.field)
		})
	}
}

// Covers TTS-39.
func TestAnOptionalMemberThatCannotBeBuiltIsDroppedAndNamed(t *testing.T) {
	r := purchase(t)
	r.Details = object(t, `{"quantity":0,"price_cents":250,"tax_cents":57}`) // tax_per_item divides by it
	grant, err := parse(t, string(shop)).Decide(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"tctx.tax_per_item"}, grant.Dropped); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
	if got := grant.TransactionContext.JSON(); got != `{"total_cents":0}` {
		t.Errorf("tctx = %s", got)
	}

	p := parse(t, `version: 1
claims: {level: int}
rules:
  - name: r
    requester: spiffe://shop.test/backoffice
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {purchase: [purchase.create]}
    rctx: {level: optional claims.level, user: {from: claims.sub, optional: true, pseudonym: true}}
`)
	for _, test := range []struct {
		claims  string
		dropped []string
	}{
		{`{"level":"high","sub":"u1"}`, []string{"rctx.level"}},
		{`{"sub":"u1"}`, nil}, // nothing to copy is no failure
		{`{"level":"high","sub":1}`, []string{"rctx.level", "rctx.user"}},
	} {
		r.Subject.Claims = object(t, test.claims)
		grant, err := p.Decide(r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.dropped, grant.Dropped); diff != "" {
			t.Errorf("%s: dropped (-want +got):\n%s", test.claims, diff)
		}
	}
}

// Covers TTS-06, TTS-35.
func TestANarrowingRuleGrantsWhatTheSubjectTokenCarries(t *testing.T) {
	p := parse(t, `version: 1
rules:
  - name: narrow
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {read: [a.read, b.read], write: [a.write]}
    narrow: true
    when: scope.all(s, s != 'b.read') || size(scope) > 1
  - name: exact
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {other: [c.read]}
  - name: second
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {more: [d.read]}
    narrow: true
`)
	for _, test := range []struct {
		wanted  string
		carried []string
		granted string // "" = refused
		rule    string
	}{
		{"a.read a.write", []string{"read"}, "a.read", "narrow"},
		{"a.write a.read", []string{"read", "write"}, "a.write a.read", "narrow"},
		{"a.read unknown", []string{"read"}, "a.read", "narrow"},
		{"a.write", []string{"read"}, "", "narrow"},
		{"unknown", []string{"read"}, "", ""},
		{"b.read a.write", []string{"read"}, "", "narrow"}, // the condition sees what is granted
		{"c.read unknown", []string{"other"}, "", ""},      // which does not narrow
		{"a.read c.read", []string{"read", "other"}, "a.read", "narrow"},
		{"a.read d.read", []string{"read", "more"}, "", ""}, // two rules that narrow
	} {
		r := policy.Request{
			Requester: gateway, SubjectTokenType: accessToken, Scope: scope(t, test.wanted),
			Subject: policy.Subject{Scopes: test.carried, ScopeKnown: true},
		}
		e := p.Explain(r)
		if e.Grant.Scope.String() != test.granted || (e.Err == nil) != (test.granted != "") || e.Rule != test.rule {
			t.Errorf("%q of %q: granted %q by %q (%v), want %q by %q", test.wanted, test.carried, e.Grant.Scope, e.Rule, e.Err, test.granted, test.rule)
		}
	}
}

func TestMembersComeAboutInEveryWay(t *testing.T) {
	p := parse(t, `version: 1
claims:
  https://shop.test/level: int
  address: map
  tags: list(string)
details: {order: map, blob: any, large: double}
rules:
  - name: r
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {a: [b]}
    tctx:
      id: details.order.id
      renamed: {from: details.order.id}
      nothing: optional details.order.none
      level: claims.https://shop.test/level
      country: {from: claims.address.country, pseudonym: true}
      tags: claims.tags
      blob: details.blob
      large: details.large
      text: {value: "<web>"}
      number: {value: 9007199254740993}
      list: {value: [1, true, {a: 1.5}]}
      computed: {compute: "{'<': details.order.id}"}
`)
	r := policy.Request{
		Requester: gateway, SubjectTokenType: accessToken, Scope: scope(t, "b"),
		Subject: policy.Subject{
			Scopes: []string{"a"}, ScopeKnown: true,
			Claims: object(t, `{"https://shop.test/level":3,"address":{"country":"\u0044E"},"tags":["a"],"secret":1}`),
		},
		Details:   object(t, `{"order":{"id":9007199254740993,"none":null},"blob":{"deep":[1.50,null]},"large":18446744073709551615,"secret":1}`),
		Pseudonym: func(text string) string { return "p(" + text + ")" },
	}
	grant, err := p.Decide(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"blob":{"deep":[1.50,null]},"computed":{"<":9007199254740993},"country":"p(DE)","id":9007199254740993,"large":18446744073709551615,` +
		`"level":3,"list":[1,true,{"a":1.5}],"number":9007199254740993,"renamed":9007199254740993,"tags":["a"],"text":"<web>"}`
	if diff := cmp.Diff(want, grant.TransactionContext.JSON()); diff != "" {
		t.Errorf("tctx (-want +got):\n%s", diff)
	}
	r.Details = object(t, `{"order":{},"blob":1,"large":1}`)
	_, err = p.Decide(r)
	wantError(t, err, trat.ReasonParameterMissing, "request_details.order.id")
}

// Covers TTS-40.
func TestAContextThatCannotBeBuiltIsTooLarge(t *testing.T) {
	p := parse(t, `version: 1
details: {a: string}
rules:
  - name: r
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:id_token]
    grants: [b]
    tctx: {a: details.a, b: details.a}
`)
	long := make([]byte, 5000)
	for i := range long {
		long[i] = 'x'
	}
	_, err := p.Decide(policy.Request{
		Requester: gateway, SubjectTokenType: idToken, Scope: scope(t, "b"), Details: object(t, `{"a":"`+string(long)+`"}`),
	})
	wantError(t, err, trat.ReasonTokenTooLarge, "")
}

// Covers TTS-42.
func TestARefusalNamesTheRuleThatWasSelected(t *testing.T) {
	p := parse(t, string(shop))
	for name, test := range map[string]struct {
		request policy.Request
		change  func(*policy.Request)
		rule    string
	}{
		"when is false":       {purchase(t), func(r *policy.Request) { r.Details = object(t, `{"quantity":5,"price_cents":250}`) }, "purchase"},
		"a detail is missing": {purchase(t), func(r *policy.Request) { r.Details = object(t, `{"quantity":3}`) }, "purchase"},
		"a detail of another type": {purchase(t), func(r *policy.Request) {
			r.Details = object(t, `{"quantity":"3","price_cents":250}`)
		}, "purchase"},
		"a member would change": {taxed(t), func(r *policy.Request) {
			r.Transaction.TransactionContext = object(t, `{"tax_cents":18}`)
		}, "tax"},
		"a limit of replacement":  {taxed(t), func(r *policy.Request) { r.Transaction = transaction(t, "gateway", "a", "b", "c") }, "tax"},
		"a scope not carried":     {userOrder(t), func(r *policy.Request) { r.Subject.Scopes = nil }, "gateway-orders"},
		"a scope of no rule":      {userOrder(t), func(r *policy.Request) { r.Scope = scope(t, "order.delete") }, ""},
		"no rule for a requester": {userOrder(t), func(r *policy.Request) { r.Requester = stranger }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			test.change(&test.request)
			grant, err := p.Decide(test.request)
			if err == nil {
				t.Fatal("it is granted")
			}
			if diff := cmp.Diff(policy.Grant{Rule: test.rule}, grant, equalObjects); diff != "" {
				t.Errorf("grant (-want +got):\n%s", diff)
			}
		})
	}
}
