package policy_test

import (
	_ "embed"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	accessToken  = "urn:ietf:params:oauth:token-type:access_token"
	idToken      = "urn:ietf:params:oauth:token-type:id_token"
	selfSigned   = "urn:ietf:params:oauth:token-type:self_signed"
	unsignedJSON = "urn:ietf:params:oauth:token-type:unsigned_json"

	loginIssuer = "https://login.shop.test"
)

//go:embed testdata/shop.yaml
var shop []byte

var (
	gateway  = spiffeid.RequireFromString("spiffe://shop.test/gateway")
	kiosk    = spiffeid.RequireFromString("spiffe://shop.test/berlin/kiosk")
	nightly  = spiffeid.RequireFromString("spiffe://shop.test/nightly")
	oldFront = spiffeid.RequireFromString("spiffe://shop.test/old-front")
	stranger = spiffeid.RequireFromString("spiffe://shop.test/stranger")
)

func parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func scope(t testing.TB, text string) trat.Scope {
	t.Helper()
	s, err := trat.ParseScope(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func object(t testing.TB, text string) trat.Object {
	t.Helper()
	o, err := trat.ParseObject(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// userOrder is a request that the example policy grants.
func userOrder(t testing.TB) policy.Request {
	return policy.Request{
		Requester:        gateway,
		SubjectTokenType: accessToken,
		Subject:          policy.Subject{Issuer: loginIssuer, Scopes: []string{"openid", "orders:write"}, ScopeKnown: true},
		Scope:            scope(t, "order.create"),
		Context:          object(t, `{"ip":"192.0.2.7","authn":"urn:rfc:8176:pwd","ssn":"078-05-1120"}`),
		Details:          object(t, `{"order_id":9007199254740993,"note":"gift","discount":100}`),
	}
}

func wantError(t *testing.T, err error, reason trat.Reason, field string) {
	t.Helper()
	var e *trat.Error
	if !errors.As(err, &e) {
		t.Fatalf("error = %v, want a *trat.Error with %s", err, reason)
	}
	if e.Reason != reason || e.Field != field {
		t.Errorf("error = %v, want reason %s and field %q", e, reason, field)
	}
}

// Covers TTS-06, TTS-11, TTS-27, TTS-28, PRIV-05.
func TestAGrantHoldsWhatTheRuleAllowsAndNothingElse(t *testing.T) {
	got, err := parse(t, string(shop)).Decide(userOrder(t))
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Grant{
		Scope:              scope(t, "order.create"),
		Lifetime:           15 * time.Second,
		TransactionContext: object(t, `{"note":"gift","order_id":9007199254740993}`),
		RequestContext:     object(t, `{"authn":"urn:rfc:8176:pwd","channel":"web","ip":"192.0.2.7"}`),
		Rule:               "gateway-orders",
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b trat.Object) bool { return a == b })); diff != "" {
		t.Errorf("grant (-want +got):\n%s", diff)
	}
}

// Covers TTS-20, TTS-21.
func TestARuleDecidesTheLifetime(t *testing.T) {
	p := parse(t, string(shop))
	for _, test := range []struct {
		name     string
		request  policy.Request
		lifetime time.Duration
		outlive  bool
		rule     string
	}{
		{"the default", userOrder(t), 15 * time.Second, false, "gateway-orders"},
		{"a shorter one for another scope of the same requester", policy.Request{
			Requester: gateway, SubjectTokenType: accessToken, Scope: scope(t, "stock.read"),
			Subject: policy.Subject{Issuer: loginIssuer, Scopes: []string{"stock:read"}, ScopeKnown: true},
		}, time.Second, false, "gateway-stock"},
		{"a longer one with a reason", policy.Request{
			Requester: nightly, SubjectTokenType: selfSigned, Scope: scope(t, "invoice.create"),
		}, 240 * time.Second, true, "nightly"},
	} {
		t.Run(test.name, func(t *testing.T) {
			grant, err := p.Decide(test.request)
			if err != nil {
				t.Fatal(err)
			}
			if grant.Lifetime != test.lifetime || grant.AllowOutlive != test.outlive || grant.Rule != test.rule {
				t.Errorf("grant = %s, outlive %v, rule %q, want %s, %v, %q",
					grant.Lifetime, grant.AllowOutlive, grant.Rule, test.lifetime, test.outlive, test.rule)
			}
		})
	}
}

// Covers TTS-06, TTS-17, TTS-27, TTS-29, TTS-30, TTS-31, TTS-38.
func TestWhatNoRuleGrantsIsRefused(t *testing.T) {
	p := parse(t, string(shop))
	for _, test := range []struct {
		name   string
		change func(*policy.Request)
		reason trat.Reason
		field  string
	}{
		{"a requester without a rule", func(r *policy.Request) { r.Requester = stranger }, trat.ReasonIssuanceDenied, "subject_token_type"},
		{"the requester's path in another trust domain", func(r *policy.Request) {
			r.Requester = spiffeid.RequireFromString("spiffe://other.test/gateway")
		}, trat.ReasonIssuanceDenied, "subject_token_type"},
		{"below the requester's path", func(r *policy.Request) {
			r.Requester = spiffeid.RequireFromString("spiffe://shop.test/gateway/x")
		}, trat.ReasonIssuanceDenied, "subject_token_type"},
		{"no requester", func(r *policy.Request) { r.Requester = spiffeid.ID{} }, trat.ReasonIssuanceDenied, "subject_token_type"},
		{"another type of subject token", func(r *policy.Request) { r.SubjectTokenType = idToken }, trat.ReasonIssuanceDenied, "subject_token_type"},
		{"another issuer", func(r *policy.Request) { r.Subject.Issuer = "https://login.partner.test" }, trat.ReasonScopeExceeded, "scope"},
		{"no scope", func(r *policy.Request) { r.Scope = trat.Scope{} }, trat.ReasonScopeExceeded, "scope"},
		{"a scope of no rule", func(r *policy.Request) { r.Scope = scope(t, "order.delete") }, trat.ReasonScopeExceeded, "scope"},
		{"a scope in another case", func(r *policy.Request) { r.Scope = scope(t, "Order.Create") }, trat.ReasonScopeExceeded, "scope"},
		{"a scope that the subject token does not carry", func(r *policy.Request) { r.Scope = scope(t, "order.read") }, trat.ReasonScopeExceeded, "scope"},
		{"one scope too many", func(r *policy.Request) { r.Scope = scope(t, "order.create order.read") }, trat.ReasonScopeExceeded, "scope"},
		{"scopes of two rules", func(r *policy.Request) {
			r.Scope = scope(t, "order.create stock.read")
			r.Subject.Scopes = []string{"orders:write", "stock:read"}
		}, trat.ReasonScopeExceeded, "scope"},
		{"an external scope that is not mapped", func(r *policy.Request) {
			r.Scope, r.Subject.Scopes = scope(t, "orders:write"), []string{"orders:write"}
		}, trat.ReasonScopeExceeded, "scope"},
		{"a subject token with an empty scope", func(r *policy.Request) { r.Subject.Scopes = nil }, trat.ReasonScopeExceeded, "scope"},
		{"a subject token without scope", func(r *policy.Request) { r.Subject.ScopeKnown = false }, trat.ReasonSubjectScopeUnknown, "subject_token"},
		{"no details", func(r *policy.Request) { r.Details = trat.Object{} }, trat.ReasonParameterMissing, "request_details.order_id"},
		{"a required detail that is null", func(r *policy.Request) {
			r.Details = object(t, `{"order_id":null}`)
		}, trat.ReasonParameterMissing, "request_details.order_id"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := userOrder(t)
			test.change(&r)
			wantRefusal(t, p, r, test.reason, test.field)
		})
	}
}

// Covers ERR-01.
func TestAllThatIsMissingIsNamedAtOnce(t *testing.T) {
	p := parse(t, `
version: 1
details: {sku: string, quantity: int, order_id: int, note: string}
context: {ip: string}
rules:
  - name: r
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:id_token]
    grants: [order.create]
    tctx: {sku: details.sku, quantity: details.quantity, order_id: details.order_id, note: optional details.note}
    rctx: {ip: context.ip}
`)
	_, err := p.Decide(policy.Request{
		Requester: gateway, SubjectTokenType: idToken, Scope: scope(t, "order.create"),
		Details: object(t, `{"quantity": 1, "order_id": null}`),
	})
	want := `PARAMETER_MISSING: request_details.sku: rule "r" requires it
PARAMETER_MISSING: request_details.order_id: rule "r" requires it
PARAMETER_MISSING: request_context.ip: rule "r" requires it`
	if err == nil || err.Error() != want {
		t.Errorf("Decide = %v, want %s", err, want)
	}
	wantError(t, err, trat.ReasonParameterMissing, "request_details.sku")
}

// Covers TTS-31.
func TestASubjectTokenWithoutScopeHasOnlyWhatIsGrantedByName(t *testing.T) {
	const both = `
version: 1
rules:
  - name: mapped
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {a: [mapped]}
  - name: granted
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    grants: [granted]
`
	p := parse(t, both)
	for _, test := range []struct {
		name   string
		known  bool
		scope  string
		reason trat.Reason // "" = granted
	}{
		{"unknown, granted by name", false, "granted", ""},
		{"unknown, only mapped", false, "mapped", trat.ReasonSubjectScopeUnknown},
		{"known, mapped", true, "mapped", ""},
		{"known, granted to tokens without scope", true, "granted", trat.ReasonScopeExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := p.Decide(policy.Request{
				Requester: gateway, SubjectTokenType: accessToken, Scope: scope(t, test.scope),
				// Scopes do not count while they are not known.
				Subject: policy.Subject{Issuer: loginIssuer, Scopes: []string{"a"}, ScopeKnown: test.known},
			})
			if reason, _ := trat.ReasonOf(err); reason != test.reason {
				t.Errorf("Decide = %v, want %q", err, test.reason)
			}
		})
	}
}

// Covers TTS-16, TTS-17, TTS-38.
func TestMayPresentIsDecidedByRequesterAndType(t *testing.T) {
	p := parse(t, string(shop))
	for _, test := range []struct {
		requester spiffeid.ID
		typ       string
		ok        bool
	}{
		{gateway, accessToken, true},
		{gateway, unsignedJSON, false},
		{gateway, "", false},
		{kiosk, idToken, true},
		{spiffeid.RequireFromString("spiffe://shop.test/kiosk"), idToken, false},
		{spiffeid.RequireFromString("spiffe://shop.test/berlin/mitte/kiosk"), idToken, false},
		{oldFront, unsignedJSON, true},
		{stranger, accessToken, false},
		{spiffeid.ID{}, accessToken, false},
	} {
		err := p.MayPresent(test.requester, test.typ)
		switch {
		case test.ok && err != nil:
			t.Errorf("MayPresent(%s, %s) = %v", test.requester, test.typ, err)
		case !test.ok:
			wantError(t, err, trat.ReasonIssuanceDenied, "subject_token_type")
		}
	}
}

// Covers TTS-38.
func TestAnEmptyPolicyDeniesEverything(t *testing.T) {
	for name, p := range map[string]*policy.Policy{
		"zero":     {},
		"no rules": parse(t, "version: 1\nrules: []\n"),
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, p.MayPresent(gateway, accessToken), trat.ReasonIssuanceDenied, "subject_token_type")
			_, err := p.Decide(userOrder(t))
			wantError(t, err, trat.ReasonIssuanceDenied, "subject_token_type")
		})
	}
}

func TestContextsAreAbsentWhenNothingIsCopied(t *testing.T) {
	grant, err := parse(t, string(shop)).Decide(policy.Request{
		Requester: kiosk, SubjectTokenType: idToken, Scope: scope(t, "order.read"),
		Context: object(t, `{"ip":"192.0.2.7"}`), Details: object(t, `{"order_id":1}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if !grant.TransactionContext.IsZero() || !grant.RequestContext.IsZero() {
		t.Errorf("contexts = %v and %v, want none", grant.TransactionContext, grant.RequestContext)
	}
}

func TestVersionIsTheHashOfTheFile(t *testing.T) {
	one, other := parse(t, "version: 1\nrules: []\n"), parse(t, "version: 1\nrules: [] # again\n")
	if len(one.Version()) != 64 || one.Version() == other.Version() {
		t.Errorf("versions %q and %q, want different SHA-256 sums", one.Version(), other.Version())
	}
	if again := parse(t, "version: 1\nrules: []\n"); again.Version() != one.Version() {
		t.Error("the same file has two versions")
	}
	if v := new(policy.Policy).Version(); v != "" {
		t.Errorf("zero policy has version %q", v)
	}
}

// wantRefusal has p decide about r and checks that it refuses for this reason, and that
// what comes beside the error grants nothing: it names the rule at most.
func wantRefusal(t *testing.T, p *policy.Policy, r policy.Request, reason trat.Reason, field string) {
	t.Helper()
	grant, err := p.Decide(r)
	wantError(t, err, reason, field)
	if diff := cmp.Diff(policy.Grant{Rule: p.Explain(r).Rule}, grant, equalObjects); diff != "" {
		t.Errorf("a refusal comes with more than its rule (-want +got):\n%s", diff)
	}
}
