package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

func TestEveryRuleSaysWhatItHadToDoWithADecision(t *testing.T) {
	p := parse(t, string(shop))
	r := purchase(t)
	r.Requester, r.Scope = gateway, scope(t, "order.create")
	r.Subject.Scopes = []string{"orders:write"}
	e := p.Explain(r)
	var got [][4]string
	for _, rule := range e.Rules {
		verdict := ""
		if rule.Decided {
			verdict = "decided"
		}
		got = append(got, [4]string{rule.Name, verdict, rule.Field, rule.Text})
	}
	want := [][4]string{
		{"gateway-orders", "decided", "", ""},
		{"gateway-stock", "", "scopes", "it can grant nothing of the wanted scope"},
		{"purchase", "", "requester", "another workload asks"},
		{"kiosk", "", "requester", "another workload asks"},
		{"nightly", "", "requester", "another workload asks"},
		{"old-front", "", "requester", "another workload asks"},
		{"tax", "", "requester", "another workload asks"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if e.Err != nil || e.Rule != "gateway-orders" || e.Grant.Rule != e.Rule || e.Reason() != "" || e.Rules[0].Line == 0 {
		t.Errorf("explanation = rule %q, %v", e.Rule, e.Err)
	}
}

func TestAnExplanationSaysWhichKeyKeptARuleFromDeciding(t *testing.T) {
	p := parse(t, string(shop))
	for name, test := range map[string]struct {
		change func(*policy.Request)
		rule   string
		field  string
		reason trat.Reason
	}{
		"type":      {func(r *policy.Request) { r.SubjectTokenType = idToken }, "purchase", "subject_tokens", trat.ReasonIssuanceDenied},
		"claim":     {func(r *policy.Request) { r.Subject.Claims = object(t, `{"department":"x"}`) }, "purchase", "claims.department", trat.ReasonIssuanceDenied},
		"scope":     {func(r *policy.Request) { r.Scope = scope(t, "x") }, "purchase", "scopes", trat.ReasonScopeExceeded},
		"issuer":    {func(r *policy.Request) { r.Requester, r.Subject.Issuer = gateway, "https://x.test" }, "gateway-orders", "issuers", trat.ReasonScopeExceeded},
		"grants":    {func(r *policy.Request) { r.Requester, r.SubjectTokenType = kiosk, idToken }, "kiosk", "grants", trat.ReasonScopeExceeded},
		"replacing": {func(r *policy.Request) { *r = taxed(t); r.Scope = scope(t, "x order.read") }, "tax", "replacement.scopes", trat.ReasonScopeExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			r := purchase(t)
			test.change(&r)
			e := p.Explain(r)
			if e.Rule != "" || e.Reason() != test.reason {
				t.Errorf("decided by %q with %q, want none and %q", e.Rule, e.Reason(), test.reason)
			}
			for _, rule := range e.Rules {
				if rule.Name == test.rule && (rule.Field != test.field || rule.Text == "" || rule.Decided) {
					t.Errorf("rule %q: %q, %q, want %q", rule.Name, rule.Field, rule.Text, test.field)
				}
			}
		})
	}
}

func TestARefusalByARuleNamesTheRule(t *testing.T) {
	r := purchase(t)
	r.Now = noon.AddDate(0, 0, 1)
	if e := parse(t, string(shop)).Explain(r); e.Rule != "purchase" || e.Reason() != trat.ReasonIssuanceDenied {
		t.Errorf("rule %q, reason %q", e.Rule, e.Reason())
	}
}

// Covers TTS-38.
func TestTheZeroPolicyExplainsThatThereIsNothing(t *testing.T) {
	e := new(policy.Policy).Explain(purchase(t))
	if e.Reason() != trat.ReasonIssuanceDenied || len(e.Rules) != 0 {
		t.Errorf("explanation = %+v", e)
	}
}
