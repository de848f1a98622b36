package policy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

// draw takes values at random.
type draw struct{ *rand.Rand }

func (d draw) one(values ...string) string { return values[d.IntN(len(values))] }

// list takes at least one of values, with what joins them.
func (d draw) list(separator string, values ...string) string {
	var taken []string
	for _, v := range values {
		if d.IntN(3) == 0 {
			taken = append(taken, v)
		}
	}
	if taken == nil {
		taken = []string{d.one(values...)}
	}
	return strings.Join(taken, separator)
}

var selectableTypes = []string{trat.TokenTypeAccessToken, trat.TokenTypeIDToken, trat.TokenTypeJWT, trat.TokenTypeSelfSigned}

// rule is a rule with everything that can select one.
func (d draw) rule(name string) string {
	text := fmt.Sprintf("  - {name: %s, requester: %q, subject_tokens: [%s], narrow: %t, scopes: {e: [%s]}, grants: [%s]", name,
		"spiffe://shop.test/"+d.one("a/b", "*/b", "a/*", "*/*", "c/b", "*", "a"), d.list(", ", selectableTypes...), d.IntN(2) == 0,
		d.list(", ", "s1", "s2", "s3"), d.one("s1", "s2", "s3", "s4"))
	if d.IntN(2) == 0 {
		text += ", issuers: [" + d.list(", ", "https://a.test", "https://b.test") + "]"
	}
	if d.IntN(2) == 0 {
		text += ", claims: {" + d.list(", ", d.one(`t: ["x"]`, `t: ["y", "\u00e9"]`, `t: ["\u0078"]`), d.one("n: [1, 2]", "n: [0x1]", "n: [3]"), d.one("b: [true]", "b: [false]")) + "}"
	}
	return text + "}\n"
}

func (d draw) request(t *testing.T) policy.Request {
	return policy.Request{
		Requester:        spiffeid.RequireFromString("spiffe://shop.test/" + d.one("a/b", "c/b", "a/c", "a")),
		SubjectTokenType: d.one(selectableTypes...),
		Scope:            scope(t, d.list(" ", "s1", "s2", "s3")),
		Subject: policy.Subject{
			Issuer: d.one("https://a.test", "https://b.test", "spiffe://shop.test/a/b"), ID: "x",
			Scopes: []string{"e"}, ScopeKnown: d.IntN(2) == 0,
			Claims: object(t, d.one(`{}`, `{"t":"x"}`, `{"t":"y","n":1}`, `{"t":"\u0078","b":true,"n":1}`, `{"t":["x"],"n":2,"b":null}`, `{"t":"é","n":3,"b":false}`)),
		},
		Now: noon,
	}
}

// Each rule is also made a policy of its own: at most one of them may grant all that is
// wanted, and together with the others it is the one that does.
//
// Covers TTS-38.
func TestNeverDoTwoRulesGrantTheSameRequest(t *testing.T) {
	const head = "version: 1\nclaims: {t: string, n: int, b: bool}\nrules:\n"
	d := draw{rand.New(rand.NewPCG(7, 38))} // the same cases on each run
	granted := 0
	for range 3000 {
		rules := []string{d.rule("r0"), d.rule("r1"), d.rule("r2")}
		p, err := policy.Parse([]byte(head + strings.Join(rules, "")))
		if err != nil {
			continue // most overlap
		}
		single := make([]*policy.Policy, len(rules))
		for i, text := range rules {
			single[i] = parse(t, head+text)
		}
		for range 20 {
			r := d.request(t)
			var alone []string
			for _, one := range single {
				if grant, err := one.Decide(r); err == nil && grant.Scope == r.Scope {
					alone = append(alone, grant.Rule)
				}
			}
			grant, err := p.Decide(r)
			if grant.Scope != r.Scope { // nothing, or a part
				grant.Rule = ""
			}
			if got := strings.Join(alone, " "); got != grant.Rule {
				t.Fatalf("%v: alone %q grant it, together %q, %v\n%s", r, got, grant.Rule, err, strings.Join(rules, ""))
			}
			if grant.Rule != "" {
				granted++
			}
		}
	}
	if granted < 100 {
		t.Errorf("only %d grants: the test says little", granted)
	}
}
