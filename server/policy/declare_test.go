package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/server/policy"
)

// declaring begins with declarations, of which a rule in line 8 to 11 makes use. A test
// adds lines from 12 on.
const declaring = `version: 1
claims:
  department: string
  groups: list(string)
details: {n: int, text: string, customer: map}
context: {ip: string}
rules:
  - name: r
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {a: [b]}
`

// replacing is a good rule for replacements, from line 4 on, to which a test adds lines
// from 7 on.
const replacing = `version: 1
details: {n: int}
rules:
  - name: r
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
`

// Covers TTS-38, REPL-01.
func TestWhatIsNotDeclaredOrCannotBeBuiltIsFoundAtLoad(t *testing.T) {
	for _, test := range []struct {
		name, text  string
		line        int
		field, says string
	}{
		{"an unknown type", strings.Replace(declaring, "department: string", "department: text", 1), 3, "claims.department", "want string, int"},
		{"a registered claim", strings.Replace(declaring, "department: string", "sub: string", 1), 3, "claims.sub", "registered claim of type string"},
		{"a type that is no text", strings.Replace(declaring, "department: string", "department: [string]", 1), 3, "claims.department", "want text"},
		{"declarations that are no mapping", strings.Replace(declaring, "{ip: string}", "[ip]", 1), 6, "context", "want a mapping"},
		{"a name that is too long", strings.Replace(declaring, "ip:", strings.Repeat("k", 65)+":", 1), 6, "context", "64 bytes"},

		{"a claim that is not declared", declaring + "    claims: {division: [x]}\n", 12, "claims.division", "not declared"},
		{"a claim that is a list", declaring + "    claims: {groups: [x]}\n", 12, "claims.groups", "declared as list(string)"},
		{"a value of another type", declaring + "    claims: {department: [1]}\n", 12, "claims.department", "want string"},
		{"a value twice", declaring + "    claims: {department: [x, x]}\n", 12, "claims.department", "twice"},
		{"a value that is a list", declaring + "    claims: {department: [[x]]}\n", 12, "claims.department", "want string, not a list"},
		{"no values", declaring + "    claims: {department: []}\n", 12, "claims.department", "empty"},
		{"no claims", declaring + "    claims: {}\n", 12, "claims", "empty"},
		{"the issuer as a claim", declaring + "    claims: {iss: [x]}\n", 12, "claims.iss", "use issuers"},
		{"the scope as a claim", declaring + "    claims: {scope: [x]}\n", 12, "claims.scope", "use scopes"},

		{"a condition with an unknown name", declaring + "    when: details.m > 1\n", 12, "when", "column 8 of the expression: undefined field 'm'"},
		{"a condition on a line of its own", declaring + "    when: |\n      details.n > 1\n        && claims.division == 'x'\n", 14, "when", "undefined field 'division'"},
		{"a condition of another type", declaring + "    when: details.n\n", 12, "when", "want a bool, not int"},
		{"a condition that is always true", declaring + "    when: details.n > 1 || true\n", 12, "when", "is always true"},
		{"a condition that is always false", declaring + "    when: 'false'\n", 12, "when", "is always false"},
		{"a condition that is no text", declaring + "    when: true\n", 12, "when", "want text"},

		{"a path to nowhere", declaring + "    tctx: {x: details.m}\n", 12, "tctx.x", "details.m is not declared"},
		{"a path from nowhere", declaring + "    tctx: {x: detail.n}\n", 12, "tctx.x", "want claims., details. or context."},
		{"a path to a whole", declaring + "    tctx: {x: details}\n", 12, "tctx.x", "and a member"},
		{"a path into a number", declaring + "    tctx: {x: details.n.o}\n", 12, "tctx.x", "declared as int, which has no members"},
		{"a claim to copy that is not declared", declaring + "    rctx: {x: claims.division}\n", 12, "rctx.x", "claims.division is not declared"},
		{"a member that is a list", declaring + "    tctx: {x: [details.n]}\n", 12, "tctx.x", "want a path such as details.sku"},
		{"no members", declaring + "    tctx: {}\n", 12, "tctx", "empty"},
		{"a member's name that is too long", declaring + "    tctx: {" + strings.Repeat("k", 65) + ": details.n}\n", 12, "tctx", "64 bytes"},
		{"a member made in two ways", declaring + "    tctx: {x: {from: details.n, value: 1}}\n", 12, "tctx.x", "exactly one of"},
		{"a member made in no way", declaring + "    tctx: {x: {optional: true}}\n", 12, "tctx.x", "exactly one of"},
		{"an unknown key of a member", declaring + "    tctx: {x: {from: details.n, default: 1}}\n", 12, "tctx.x.default", "unknown key"},
		{"a computed member with an unknown name", declaring + "    tctx: {x: {compute: details.m}}\n", 12, "tctx.x.compute", "undefined field"},
		{"a computed constant", declaring + "    tctx: {x: {compute: 1 + 1}}\n", 12, "tctx.x.compute", "use value"},
		{"a constant that is nothing", declaring + "    tctx: {x: {value: }}\n", 12, "tctx.x.value", "is nothing"},
		{"a constant that is a date", declaring + "    tctx: {x: {value: 2026-01-01}}\n", 12, "tctx.x.value", "quote it"},
		{"a constant that 64 bits cannot hold", declaring + "    tctx: {x: {value: 18446744073709551616}}\n", 12, "tctx.x.value", "64 bits"},
		{"a constant that is nested too deep", declaring + "    tctx: {x: {value: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}}\n", 12, "tctx.x.value", "too deep"},
		{"a constant that no token can hold", declaring + "    tctx: {x: {value: " + strings.Repeat("a", 4000) + "}}\n", 12, "tctx.x.value", "larger than a token"},
		{"an optional constant", declaring + "    tctx: {x: {value: 1, optional: true}}\n", 12, "tctx.x.optional", "always there"},
		{"a pseudonym of a constant", declaring + "    tctx: {x: {value: a, pseudonym: true}}\n", 12, "tctx.x.pseudonym", "no secret"},
		{"a pseudonym of a number", declaring + "    tctx: {x: {from: details.n, pseudonym: true}}\n", 12, "tctx.x.pseudonym", "only text"},
		{"a pseudonym of a computed number", declaring + "    tctx: {x: {compute: details.n + 1, pseudonym: true}}\n", 12, "tctx.x.pseudonym", "only text"},
		{"expressions that cost too much together", declaring + "    tctx:\n" + strings.Repeat("      xX: {compute: \"claims.groups.all(a, claims.groups.exists(b, a == b))\"}\n", 1) +
			"      y: {compute: \"claims.groups.all(b, claims.groups.exists(a, a == b))\"}\n", 8, "", "together may cost too much"},

		{"narrow that is no boolean", declaring + "    narrow: sometimes\n", 12, "narrow", "true or false"},
		{"an evaluation without a decision point", declaring + "    access_evaluation: {on_error: deny}\n", 12, "access_evaluation.pdp", "missing"},
		{"an evaluation that does not know what to do", declaring + "    access_evaluation: {pdp: p, on_error: ask}\n", 12, "access_evaluation.on_error", "want deny or allow"},
		{"an unknown key of an evaluation", declaring + "    access_evaluation: {pdp: p, url: x}\n", 12, "access_evaluation.url", "unknown key"},
		{"a type that the rule is never for", strings.Replace(declaring, ":access_token]", ":access_token, urn:ietf:params:oauth:token-type:id_token]", 1), 10, "subject_tokens", "without grants"},

		{"transaction tokens without replacement", replacing, 6, "replacement", "no TraT is replaced without"},
		{"replacement of other tokens", declaring + "    replacement: {scopes: [b]}\n", 12, "replacement", "is only for"},
		{"transaction tokens among others", strings.Replace(replacing, "txn_token]", "txn_token, urn:t:1]", 1) + "    replacement: {scopes: [b]}\n", 6, "subject_tokens", "a rule of their own"},
		{"a replacement that grants nothing", replacing + "    replacement: {max_count: 1}\n", 7, "replacement.scopes", "missing"},
		{"a replacement with a mapping", replacing + "    replacement: {scopes: [b]}\n    scopes: {a: [b]}\n", 8, "scopes", "use replacement.scopes"},
		{"a replacement with grants", replacing + "    replacement: {scopes: [b]}\n    grants: [b]\n", 8, "grants", "use replacement.scopes"},
		{"a replacement with issuers", replacing + "    replacement: {scopes: [b]}\n    issuers: ['https://a.test']\n", 8, "issuers", "this service"},
		{"a replacement with claims", replacing + "    replacement: {scopes: [b]}\n    claims: {sub: [a]}\n", 8, "claims", "use when"},
		{"a replacement without a receipt", replacing + "    replacement: {scopes: [b], receipt: off}\n", 7, "replacement.receipt", "want path or head"},
		{"a replacement that outlives", replacing + "    replacement: {scopes: [b]}\n    allow_outlive: true\n", 8, "allow_outlive", "extend_lifetime"},
		{"a replacement that copies claims", replacing + "    replacement: {scopes: [b]}\n    tctx: {x: claims.sub}\n", 8, "tctx.x", "no claims to copy"},
		{"a replacement that asks claims", replacing + "    replacement: {scopes: [b]}\n    when: claims.sub == 'a'\n", 8, "when", "undeclared reference to 'claims'"},
		{"a count of none", replacing + "    replacement: {scopes: [b], max_count: 0}\n", 7, "replacement.max_count", "from 1 to 15"},
		{"visits beyond the chain", replacing + "    replacement: {scopes: [b], max_visits: 17}\n", 7, "replacement.max_visits", "from 1 to 16"},
		{"an age beyond the cap", replacing + "    replacement: {scopes: [b], max_age: 301s}\n", 7, "replacement.max_age", "above 5m0s"},
		{"an age that is a number", replacing + "    replacement: {scopes: [b], max_age: 60}\n", 7, "replacement.max_age", "want a duration"},
		{"an unknown key of a replacement", replacing + "    replacement: {scopes: [b], audience: x}\n", 7, "replacement.audience", "unknown key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			problems := problemsOf(t, test.text)
			p := problems[0]
			if p.Line != test.line || p.Field != test.field || !strings.Contains(p.Text, test.says) {
				t.Errorf("problem = %v, want line %d, field %s, %q", &p, test.line, test.field, test.says)
			}
			if len(problems) > 1 {
				t.Errorf("further problems: %v", problems[1:])
			}
		})
	}
}

func TestRulesForDifferentClaimsMayGrantTheSame(t *testing.T) {
	const text = `version: 1
claims: {department: string, level: int}
rules:
  - {name: a, requester: "spiffe://shop.test/gateway", subject_tokens: ["urn:t:1"], claims: CLAIMS, scopes: {e: [s]}}
  - {name: b, requester: "spiffe://shop.test/gateway", subject_tokens: ["urn:t:1"], claims: {department: [x, y], level: [1]}, scopes: {e: [s]}}
`
	for claims, overlap := range map[string]bool{
		"{department: [z]}":                 false,
		"{department: [y, z]}":              true,
		"{level: [2]}":                      false,
		"{level: [1, 2]}":                   true,
		"{department: [x], level: [2]}":     false,
		"{department: ['1'], level: [1]}":   false,
		"{sub: [alice]}":                    true, // tokens may have both
		"{department: [x, z], level: [01]}": true,
	} {
		_, err := policy.Parse([]byte(strings.Replace(text, "CLAIMS", claims, 1)))
		if (err != nil) != overlap {
			t.Errorf("%s: Parse = %v, want an overlap: %v", claims, err, overlap)
		}
	}
}

func TestAClaimSelectsTheRule(t *testing.T) {
	p := parse(t, `version: 1
claims: {department: string, admin: bool, level: int}
rules:
  - {name: a, requester: "spiffe://shop.test/gateway", subject_tokens: ["urn:t:1"], claims: {department: [x], admin: [true]}, scopes: {e: [s]}}
  - {name: b, requester: "spiffe://shop.test/gateway", subject_tokens: ["urn:t:1"], claims: {department: [x], admin: [false]}, scopes: {e: [s]}}
  - {name: c, requester: "spiffe://shop.test/gateway", subject_tokens: ["urn:t:1"], claims: {department: [y], level: [-1, 2]}, scopes: {e: [s]}}
`)
	for claims, rule := range map[string]string{
		`{"department":"x","admin":true}`:      "a",
		`{"department":"\u0078","admin":true}`: "a",
		`{"department":"x","admin":false}`:     "b",
		`{"department":"x","admin":"true"}`:    "",
		`{"department":"x","admin":null}`:      "",
		`{"department":"y","level":-1}`:        "c",
		`{"department":"y","level":2.0}`:       "",
		`{"department":"y"}`:                   "",
		`{}`:                                   "",
	} {
		r := policy.Request{
			Requester: gateway, SubjectTokenType: "urn:t:1", Scope: scope(t, "s"),
			Subject: policy.Subject{Scopes: []string{"e"}, ScopeKnown: true, Claims: object(t, claims)},
		}
		if e := p.Explain(r); e.Rule != rule {
			t.Errorf("%s: rule %q, want %q", claims, e.Rule, rule)
		}
	}
}

func TestThePolicyNamesTheDecisionPointsItAsks(t *testing.T) {
	p := parse(t, string(shop))
	if diff := cmp.Diff([]string{"central"}, p.PDPs()); diff != "" {
		t.Errorf("PDPs (-want +got):\n%s", diff)
	}
	p.PDPs()[0] = "changed"
	if p.PDPs()[0] != "central" {
		t.Error("the policy can be changed from outside")
	}
}
