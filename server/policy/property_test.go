package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

// mapping is a random policy of one requester: for each rule, what each external
// scope carries, and what tokens without scope have.
type mapping struct {
	scopes map[string][]string
	grants []string
}

// randomPolicy makes up to 4 rules with internal scopes of their own.
func randomPolicy(r *rand.Rand) (string, []mapping) {
	var (
		text  strings.Builder
		rules []mapping
	)
	text.WriteString("version: 1\nrules:\n")
	for i := range 1 + r.IntN(4) {
		m := mapping{scopes: make(map[string][]string)}
		for e := range 1 + r.IntN(3) {
			external := fmt.Sprintf("e%d", e)
			for s := range 1 + r.IntN(3) {
				m.scopes[external] = append(m.scopes[external], fmt.Sprintf("r%d.s%d", i, s+r.IntN(2)*3))
			}
			slices.Sort(m.scopes[external])
			m.scopes[external] = slices.Compact(m.scopes[external])
		}
		fmt.Fprintf(&text, "  - {name: r%d, requester: %q, subject_tokens: [%q], scopes: {", i, gateway, accessToken)
		for external, internal := range m.scopes {
			fmt.Fprintf(&text, "%s: [%s], ", external, strings.Join(internal, ", "))
		}
		text.WriteString("}")
		if r.IntN(2) == 0 {
			m.grants = []string{fmt.Sprintf("r%d.s0", i)}
			fmt.Fprintf(&text, ", grants: %v", m.grants)
		}
		if r.IntN(2) == 0 {
			text.WriteString(", narrow: true")
		}
		text.WriteString("}\n")
		rules = append(rules, m)
	}
	return text.String(), rules
}

// authority is the specification: everything that the subject token carries by any
// rule, written as plainly as can be.
func authority(rules []mapping, s policy.Subject) []string {
	var all []string
	for _, m := range rules {
		if !s.ScopeKnown {
			all = append(all, m.grants...)
			continue
		}
		for _, external := range s.Scopes {
			all = append(all, m.scopes[external]...)
		}
	}
	return all
}

// Covers TTS-30, TTS-31.
func TestTheIssuedScopeIsAlwaysWithinTheMappedSet(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 30)) // the same cases on each run
	granted := 0
	for range 2000 {
		text, rules := randomPolicy(r)
		p, err := policy.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		for range 10 {
			s := policy.Subject{Issuer: loginIssuer, ScopeKnown: r.IntN(4) > 0}
			for range r.IntN(3) {
				s.Scopes = append(s.Scopes, fmt.Sprintf("e%d", r.IntN(4)))
			}
			wanted := []string{fmt.Sprintf("r%d.s%d", r.IntN(4), r.IntN(6))}
			for range r.IntN(2) {
				wanted = append(wanted, fmt.Sprintf("r%d.s%d", r.IntN(4), r.IntN(6)))
			}
			granted += checkWithin(t, p, rules, s, scope(t, strings.Join(wanted, " ")))
		}
	}
	if granted < 500 {
		t.Errorf("only %d grants: the test proves little", granted)
	}
}

// checkWithin returns 1 if there was a grant.
func checkWithin(t *testing.T, p *policy.Policy, rules []mapping, s policy.Subject, wanted trat.Scope) int {
	t.Helper()
	grant, err := p.Decide(policy.Request{Requester: gateway, SubjectTokenType: accessToken, Subject: s, Scope: wanted})
	if err != nil {
		if !grant.Scope.IsZero() {
			t.Fatal("a refusal comes with a scope")
		}
		return 0
	}
	allowed := authority(rules, s)
	for token := range grant.Scope.Tokens() {
		if !slices.Contains(allowed, token) {
			t.Fatalf("granted %q, but %+v carries %q", token, s, allowed)
		}
	}
	if !wanted.Covers(grant.Scope) {
		t.Fatalf("granted %q, wanted was %q", grant.Scope, wanted)
	}
	return 1
}

// Covers PRIV-05.
func TestNothingThatIsNotNamedIsCopied(t *testing.T) {
	p := parse(t, `version: 1
claims: {c0: any, c1: any}
details: {d0: any, d1: any, d2: any}
context: {x0: any, x1: any}
rules:
  - name: r
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {a: [b]}
    tctx: {t0: optional details.d0, d1: optional details.d1, t2: optional claims.c0, t3: {compute: "has(details.d0) && !has(context.x1)"}}
    rctx: {r0: optional context.x0, c0: {value: fixed}}
`)
	// Every value is its name, so that it can be told where it comes from.
	r := rand.New(rand.NewPCG(5, 39))
	names := []string{"c0", "c1", "c2", "d0", "d1", "d2", "d3", "x0", "x1", "x2", "t0", "t3", "r0"}
	random := func() trat.Object {
		members := make(map[string]any)
		for range r.IntN(len(names)) {
			name := names[r.IntN(len(names))]
			members[name] = name
		}
		o, err := trat.NewObject(members)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	copied := 0
	for range 3000 {
		request := policy.Request{
			Requester: gateway, SubjectTokenType: accessToken, Scope: scope(t, "b"),
			Subject: policy.Subject{Scopes: []string{"a"}, ScopeKnown: true, Claims: random()},
			Details: random(), Context: random(),
		}
		grant, err := p.Decide(request)
		if err != nil {
			t.Fatal(err)
		}
		copied += checkOnly(t, grant.TransactionContext, map[string]string{"t0": "d0", "d1": "d1", "t2": "c0", "t3": ""})
		copied += checkOnly(t, grant.RequestContext, map[string]string{"r0": "x0", "c0": "fixed"})
	}
	if copied < 5000 {
		t.Errorf("only %d members: the test proves little", copied)
	}
}

// checkOnly returns the number of members of o, which may have those of allowed with the
// values given there. An empty one stands for a boolean.
func checkOnly(t *testing.T, o trat.Object, allowed map[string]string) int {
	t.Helper()
	n := 0
	for name, raw := range o.Members() {
		n++
		want, ok := allowed[name]
		if !ok || want != "" && raw != `"`+want+`"` || want == "" && raw != "true" && raw != "false" {
			t.Fatalf("member %q is %s", name, raw)
		}
	}
	return n
}
