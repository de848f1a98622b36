package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

// rule is a good rule from line 3 on, to which a test adds lines from 7 on.
const rule = `version: 1
rules:
  - name: r
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {a: [b]}
`

func problemsOf(t *testing.T, text string) []policy.Problem {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err == nil {
		t.Fatal("Parse = nil error")
	}
	if p != nil {
		t.Error("a policy comes with the error")
	}
	var found []policy.Problem
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		var problem *policy.Problem
		if !errors.As(err, &problem) {
			t.Fatalf("Parse = %T, want problems", err)
		}
		return []policy.Problem{*problem}
	}
	for _, err := range joined.Unwrap() {
		var problem *policy.Problem
		if !errors.As(err, &problem) {
			t.Fatalf("Parse joins a %T, want a *policy.Problem", err)
		}
		found = append(found, *problem)
	}
	return found
}

// Covers TTS-16, TTS-21, TTS-38, TTS-09.
func TestABadFileIsRefusedWithLineRuleAndField(t *testing.T) {
	for _, test := range []struct {
		name, text  string
		line        int
		rule, field string
		says        string
	}{
		{"empty", "", 0, "", "", "empty"},
		{"a comment only", "# nothing\n", 0, "", "", "empty"},
		{"not YAML", "a: [", 0, "", "", "line 1"},
		{"not UTF-8", "version: \xff\xfe", 0, "", "", "UTF-8"},
		{"not a mapping", "- version: 1\n", 1, "", "", "want a mapping"},
		{"nothing", "null\n", 1, "", "", "want a mapping"},
		{"two documents", rule + "---\n" + rule, 0, "", "", "more than one document"},
		{"no version", "rules: []\n", 1, "", "version", "missing"},
		{"another version", "version: 2\nrules: []\n", 1, "", "version", "want 1"},
		{"the version as text", "version: \"1\"\nrules: []\n", 1, "", "version", "want 1"},
		{"no rules", "version: 1\n", 1, "", "rules", "missing"},
		{"rules that are no list", "version: 1\nrules: {}\n", 2, "", "rules", "want a list"},
		{"an unknown key", "version: 1\nrules: []\nrule: []\n", 3, "", "rule", "unknown key"},
		{"a duplicate key", "version: 1\nrules: []\nrules: []\n", 3, "", "", "duplicate key"},
		{"a key that is no text", "version: 1\nrules: []\n1: 2\n", 3, "", "", "want text as key"},
		{"an anchor", "version: 1\nrules: &r []\n", 2, "", "", "anchors"},
		{"a merge key", "version: 1\nrules: []\n<<: {a: b}\n", 3, "", "", "merge"},
		{"a rule that is no mapping", "version: 1\nrules: [r]\n", 2, "#1", "", "want a mapping"},
		{"an unknown key of a rule", rule + "    scope: {}\n", 7, "r", "scope", "unknown key"},
		{"a duplicate key of a rule", rule + "    scopes: {c: [d]}\n", 7, "r", "", "duplicate key"},
		{"a rule without name", strings.Replace(rule, "name: r\n    ", "", 1), 3, "#1", "name", "missing"},
		{"a name with a space", strings.Replace(rule, "name: r", "name: r r", 1), 3, "r r", "name", "letters"},
		{"a name that is a number", strings.Replace(rule, "name: r", "name: 7", 1), 3, "#1", "name", "want text"},
		{"no requester", strings.Replace(rule, "requester: spiffe://shop.test/gateway\n    ", "", 1), 3, "r", "requester", "missing"},
		{"a requester that is no SPIFFE ID", strings.Replace(rule, "spiffe://", "https://", 1), 4, "r", "requester", "want a SPIFFE ID such as spiffe://shop.test/gateway, not \"https://shop.test/gateway\": scheme"},
		{"a requester without path", strings.Replace(rule, "/gateway", "", 1), 4, "r", "requester", "path"},
		{"a wildcard for part of a segment", strings.Replace(rule, "/gateway", "/gate*", 1), 4, "r", "requester", "gate*"},
		{"a wildcard for the trust domain", strings.Replace(rule, "shop.test/gateway", "*/gateway", 1), 4, "r", "requester", "trust domain"},
		{"no subject tokens", strings.Replace(rule, "[urn:ietf:params:oauth:token-type:access_token]", "[]", 1), 5, "r", "subject_tokens", "empty"},
		{"a subject token type that is no URI", strings.Replace(rule, "urn:ietf:params:oauth:token-type:", "", 1), 5, "r", "subject_tokens", "absolute URI"},
		{"refresh tokens", strings.Replace(rule, ":access_token", ":refresh_token", 1), 5, "r", "subject_tokens", "refresh token"},
		{"a misspelt standard type", strings.Replace(rule, ":access_token", ":acces_token", 1), 5, "r", "subject_tokens", "no such token type; there are access_token, id_token, "},
		{"SAML assertions", strings.Replace(rule, ":access_token", ":saml2", 1), 5, "r", "subject_tokens", "SAML"},
		{"neither scopes nor grants", strings.Replace(rule, "    scopes: {a: [b]}\n", "", 1), 3, "r", "scopes", "grants nothing"},
		{"scopes for a type that has none", strings.Replace(rule, ":access_token", ":id_token", 1), 6, "r", "scopes", "use grants"},
		{"scopes that are no mapping", strings.Replace(rule, "{a: [b]}", "[a]", 1), 6, "r", "scopes", "want a mapping"},
		{"no scopes in scopes", strings.Replace(rule, "{a: [b]}", "{}", 1), 6, "r", "scopes", "empty"},
		{"a scope mapped to nothing", strings.Replace(rule, "{a: [b]}", "{a: }", 1), 6, "r", "scopes.a", "want a list, not nothing"},
		{"a scope mapped to no scopes", strings.Replace(rule, "{a: [b]}", "{a: []}", 1), 6, "r", "scopes.a", "empty"},
		{"a scope mapped to a number", strings.Replace(rule, "{a: [b]}", "{a: [1]}", 1), 6, "r", "scopes.a", "quote it"},
		{"a scope twice", strings.Replace(rule, "[b]", "[b, b]", 1), 6, "r", "scopes.a", "twice"},
		{"two scopes as one", strings.Replace(rule, "[b]", "[b c]", 1), 6, "r", "scopes.a", "several"},
		{"a scope with a bad character", strings.Replace(rule, "[b]", "['b\"']", 1), 6, "r", "scopes.a", "RFC 6749"},
		{"a bad external scope", strings.Replace(rule, "{a:", "{a b:", 1), 6, "r", "scopes", "several"},
		{"no grants in grants", rule + "    grants: []\n", 7, "r", "grants", "empty"},
		{"an issuer that is no URL", rule + "    issuers: [login]\n", 7, "r", "issuers", "URL"},
		{
			"an issuer for self-signed tokens",
			strings.NewReplacer(":access_token", ":self_signed", "scopes: {a: [b]}", "grants: [b]").Replace(rule) + "    issuers: ['https://a.test']\n",
			7, "r", "issuers", "other than the requester",
		},
		{"a lifetime that is a number", rule + "    lifetime: 15\n", 7, "r", "lifetime", "want a duration such as 15s, not a number"},
		{"a lifetime without unit", rule + "    lifetime: '15'\n", 7, "r", "lifetime", "such as 15s"},
		{"a lifetime that is empty", rule + "    lifetime:\n", 7, "r", "lifetime", "want a duration such as 15s, not nothing"},
		{"no lifetime", rule + "    lifetime: 0s\n", 7, "r", "lifetime", "at least 1s"},
		{"a negative lifetime", rule + "    lifetime: -1s\n", 7, "r", "lifetime", "at least 1s"},
		{"parts of a second", rule + "    lifetime: 1500ms\n", 7, "r", "lifetime", "whole seconds"},
		{"a lifetime of an hour", rule + "    lifetime: 1h\n    lifetime_reason: long\n", 7, "r", "lifetime", "above 5m0s"},
		{"a long lifetime without reason", rule + "    lifetime: 121s\n", 7, "r", "lifetime_reason", "missing"},
		{"an empty reason", rule + "    lifetime: 121s\n    lifetime_reason: ''\n", 8, "r", "lifetime_reason", "empty"},
		{"a boolean that is text", rule + "    allow_outlive: 'true'\n", 7, "r", "allow_outlive", "true or false"},
		{
			"unsigned subjects without impersonation",
			strings.NewReplacer(":access_token", ":unsigned_json", "scopes: {a: [b]}", "grants: [b]").Replace(rule),
			5, "r", "impersonation", "must be true",
		},
		{
			"unsigned subjects with impersonation: false",
			strings.NewReplacer(":access_token", ":unsigned_json", "scopes: {a: [b]}", "grants: [b]").Replace(rule) + "    impersonation: false\n",
			5, "r", "impersonation", "must be true",
		},
		{"impersonation without unsigned subjects", rule + "    impersonation: true\n", 7, "r", "impersonation", "only for"},
	} {
		t.Run(test.name, func(t *testing.T) {
			problems := problemsOf(t, test.text)
			p := problems[0]
			if p.Line != test.line || p.Rule != test.rule || p.Field != test.field || !strings.Contains(p.Text, test.says) {
				t.Errorf("problem = %v, want line %d, rule %s, field %s, %q", &p, test.line, test.rule, test.field, test.says)
			}
			if len(problems) > 1 {
				t.Errorf("further problems: %v", problems[1:])
			}
		})
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	got := problemsOf(t, `version: 3
rules:
  - name: one
    requester: nobody
    lifetime: 2h
  - subject_tokens: [refresh]
    wrong: true
`)
	want := []policy.Problem{
		{Line: 1, Field: "version"},
		{Line: 4, Rule: "one", Field: "requester"},
		{Line: 5, Rule: "one", Field: "lifetime"},
		{Line: 3, Rule: "one", Field: "subject_tokens"},
		{Line: 3, Rule: "one", Field: "scopes"},
		{Line: 6, Rule: "#2", Field: "subject_tokens"},
		{Line: 7, Rule: "#2", Field: "wrong"},
		{Line: 6, Rule: "#2", Field: "name"},
		{Line: 6, Rule: "#2", Field: "requester"},
		{Line: 6, Rule: "#2", Field: "scopes"},
	}
	for i := range got {
		if got[i].Text == "" {
			t.Errorf("problem %d says nothing", i)
		}
		got[i].Text = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestTheNumberOfProblemsIsBounded(t *testing.T) {
	got := problemsOf(t, "version: 1\nrules: ["+strings.Repeat("x,", 5000)+"]\n")
	if len(got) != 101 || !strings.Contains(got[100].Text, "more problems") {
		t.Errorf("%d problems, the last %v", len(got), &got[len(got)-1])
	}
}

func TestOverlapsAreFoundInAFileFullOfThem(t *testing.T) {
	var text strings.Builder
	text.WriteString("version: 1\nrules:\n")
	for i := range 5000 {
		fmt.Fprintf(&text, "  - {name: r%d, requester: 'spiffe://shop.test/*', subject_tokens: ['urn:t:1'], grants: [s]}\n", i)
	}
	got := problemsOf(t, text.String())
	if len(got) != 101 || got[0].Rule != "r1" || !strings.Contains(got[100].Text, "more problems") {
		t.Errorf("%d problems, the first %v, the last %v", len(got), &got[0], &got[len(got)-1])
	}
}

func TestTheSizeOfAFileIsBounded(t *testing.T) {
	text := "version: 1\nrules: []\n#" + strings.Repeat(" ", policy.MaxFileSize)
	if got := problemsOf(t, text); !strings.Contains(got[0].Text, "larger than") {
		t.Errorf("problem = %v", &got[0])
	}
	if _, err := policy.Parse([]byte(text[:policy.MaxFileSize])); err != nil {
		t.Errorf("a file of exactly the largest size: %v", err)
	}
}

// Covers TTS-38.
func TestRulesThatCouldBothApplyAreRefused(t *testing.T) {
	const one = `version: 1
rules:
  - {name: a, requester: "spiffe://shop.test/x/gateway", subject_tokens: ["urn:t:1", "urn:t:2"], scopes: {e: [s, t]}}
`
	for _, test := range []struct {
		name, other string
		overlap     bool
	}{
		{"the same again", `{name: b, requester: "spiffe://shop.test/x/gateway", subject_tokens: ["urn:t:2"], scopes: {f: [t]}}`, true},
		{"grants count", `{name: b, requester: "spiffe://shop.test/x/gateway", subject_tokens: ["urn:t:1"], grants: [s]}`, true},
		{"a pattern that matches too", `{name: b, requester: "spiffe://shop.test/*/gateway", subject_tokens: ["urn:t:1"], scopes: {f: [s]}}`, true},
		{"one issuer of any", `{name: b, requester: "spiffe://shop.test/x/gateway", subject_tokens: ["urn:t:1"], issuers: ["https://i.test"], scopes: {f: [s]}}`, true},
		{"another requester", `{name: b, requester: "spiffe://shop.test/y/gateway", subject_tokens: ["urn:t:1"], scopes: {f: [s]}}`, false},
		{"a pattern of another length", `{name: b, requester: "spiffe://shop.test/*", subject_tokens: ["urn:t:1"], scopes: {f: [s]}}`, false},
		{"another type", `{name: b, requester: "spiffe://shop.test/x/gateway", subject_tokens: ["urn:t:3"], scopes: {f: [s]}}`, false},
		{"another scope", `{name: b, requester: "spiffe://shop.test/x/gateway", subject_tokens: ["urn:t:1"], scopes: {e: [u]}}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := one + "  - " + test.other + "\n"
			if !test.overlap {
				if _, err := policy.Parse([]byte(text)); err != nil {
					t.Error(err)
				}
				return
			}
			got := problemsOf(t, text)
			if len(got) != 1 || got[0].Line != 4 || got[0].Rule != "b" || got[0].Field != "requester" || !strings.Contains(got[0].Text, `rule "a" in line 3`) {
				t.Errorf("problems = %v", got)
			}
		})
	}
}

func TestPatternsThatShareARequesterOverlap(t *testing.T) {
	const text = `version: 1
rules:
  - {name: a, requester: "spiffe://shop.test/*/%s", subject_tokens: ["urn:t:1"], scopes: {e: [s]}}
  - {name: b, requester: "spiffe://shop.test/%s/*", subject_tokens: ["urn:t:1"], scopes: {e: [s]}}
`
	if got := problemsOf(t, fmt.Sprintf(text, "y", "x")); len(got) != 1 {
		t.Errorf("problems = %v", got)
	}
}

func TestRulesForDifferentIssuersMayGrantTheSame(t *testing.T) {
	const text = `version: 1
rules:
  - {name: a, requester: "spiffe://shop.test/gateway", subject_tokens: ["urn:t:1"], issuers: ["https://a.test"], scopes: {e: [s]}}
  - {name: b, requester: "spiffe://shop.test/gateway", subject_tokens: ["urn:t:1"], issuers: ["https://b.test"], scopes: {f: [s]}, lifetime: 2s}
`
	p := parse(t, text)
	for issuer, rule := range map[string]string{"https://a.test": "a", "https://b.test": "b"} {
		grant, err := p.Decide(policy.Request{
			Requester: gateway, SubjectTokenType: "urn:t:1", Scope: scope(t, "s"),
			Subject: policy.Subject{Issuer: issuer, Scopes: []string{"e", "f"}, ScopeKnown: true},
		})
		if err != nil || grant.Rule != rule {
			t.Errorf("issuer %s: rule %q, %v, want %q", issuer, grant.Rule, err, rule)
		}
	}
	_, err := p.Decide(policy.Request{
		Requester: gateway, SubjectTokenType: "urn:t:1", Scope: scope(t, "s"),
		Subject: policy.Subject{Issuer: "https://c.test", Scopes: []string{"e", "f"}, ScopeKnown: true},
	})
	wantError(t, err, trat.ReasonIssuanceDenied, "subject_token_type")
}

func TestANameBelongsToOneRule(t *testing.T) {
	got := problemsOf(t, rule+"  - {name: r, requester: spiffe://shop.test/x, subject_tokens: ['urn:t:1'], grants: [s]}\n")
	if len(got) != 1 || got[0].Line != 7 || got[0].Field != "name" || !strings.Contains(got[0].Text, "line 3") {
		t.Errorf("problems = %v", got)
	}
}

func FuzzPolicyParse(f *testing.F) {
	f.Add(string(shop))
	f.Add(rule)
	f.Add("version: 1\nrules: [{name: a}]\n")
	f.Add(declaring + "    when: details.n > 1\n    tctx: {x: {compute: details.text + 'x', optional: true}}\n")
	f.Add(replacing + "    replacement: {scopes: [b], max_age: 10s}\n    when: transaction.tctx.a == 1\n")
	f.Add(satisfying + "    tctx: {n: details.n, c: {value: {a: [1, null]}}}\n")
	f.Add("a: &a [*a, *a]\n")
	f.Add("? [a, b]\n: {<<: {c: d}}\n")
	f.Add("!!binary aGVsbG8=")
	f.Add(strings.Repeat("[", 2000))
	descriptors := services(f, map[string]string{"Create": `scopes: "order.create" tctx: ["n", "c.a"] bindings {field: "int64_list" bind {tctx: "c.a"}}`})
	f.Fuzz(func(t *testing.T, text string) {
		p, err := policy.ParseWith([]byte(text), descriptors)
		if (p == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v: want a policy or an error", p, err)
		}
		if err != nil {
			return
		}
		// Whatever the file says, who is in no rule gets nothing.
		other := stranger.TrustDomain().ID()
		if p.MayPresent(other, accessToken) == nil {
			t.Error("a requester without path may present a token")
		}
		for _, requester := range []spiffeid.ID{gateway, backoffice, tax, other} {
			decideAnything(t, p, requester)
		}
		if again, err := policy.ParseWith([]byte(text), descriptors); err != nil || again.Version() != p.Version() {
			t.Errorf("the same file parsed again: %v", err)
		}
	})
}

// decideAnything makes requests of every kind, so that what a file says is also evaluated.
func decideAnything(t *testing.T, p *policy.Policy, requester spiffeid.ID) {
	t.Helper()
	for _, r := range []policy.Request{userOrder(t), purchase(t), taxed(t)} {
		r.Requester = requester
		e := p.Explain(r)
		switch {
		case e.Err != nil && !e.Grant.Scope.IsZero():
			t.Error("a refusal comes with a grant")
		case e.Err == nil && (e.Grant.Scope.IsZero() || !r.Scope.Covers(e.Grant.Scope) || e.Grant.Lifetime <= 0 || e.Grant.Lifetime > trat.MaxLifetime):
			t.Errorf("granted %q for %s, wanted was %q", e.Grant.Scope, e.Grant.Lifetime, r.Scope)
		case e.Err == nil && r.Transaction != nil && (e.Grant.Replacement == nil || !r.Transaction.Scope.Covers(e.Grant.Scope)):
			t.Error("a replacement beyond the replaced token")
		}
	}
}
