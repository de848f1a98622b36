package policytest_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/policy/policytest"
)

// read returns a file of package policy or of the example.
func read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// shop is the policy that package policy tests too.
func shop(t testing.TB) *policy.Policy { return parse(t, read(t, "../testdata/shop.yaml")) }

func parse(t testing.TB, text []byte) *policy.Policy {
	t.Helper()
	p, err := policy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheTableOfTheExamplePasses(t *testing.T) {
	report, err := policytest.Run(shop(t), read(t, "../testdata/shop_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Tests) < 10 || report.Failed() != 0 {
		t.Errorf("%d tests, %d failed", len(report.Tests), report.Failed())
	}
	for _, test := range report.Tests {
		for _, difference := range test.Differences {
			t.Errorf("line %d: %s: %s", test.Line, test.Name, difference)
		}
	}
}

func TestATableSaysWhatIsDifferent(t *testing.T) {
	const request = `
      requester: spiffe://shop.test/nightly
      subject_token_type: urn:ietf:params:oauth:token-type:self_signed
      scope: invoice.create
`
	for name, test := range map[string]struct {
		want  string
		diffs []string
	}{
		"nothing":        {`{rule: nightly, grant: {scope: invoice.create, lifetime: 240s, allow_outlive: true, dropped: []}}`, nil},
		"scope":          {`{grant: {scope: invoice.read}}`, []string{"scope: want invoice.read, got invoice.create"}},
		"tctx":           {`{grant: {scope: invoice.create, tctx: {a: 1}}}`, []string{`tctx: want {"a":1}, got {}`}},
		"rctx":           {`{grant: {scope: invoice.create, rctx: {a: 1}}}`, []string{`rctx: want {"a":1}, got {}`}},
		"lifetime":       {`{grant: {scope: invoice.create, lifetime: 15s}}`, []string{"lifetime: want 15s, got 4m0s"}},
		"outliving":      {`{grant: {scope: invoice.create, allow_outlive: false}}`, []string{"allow_outlive: want false, got true"}},
		"dropped":        {`{grant: {scope: invoice.create, dropped: [tctx.b, tctx.a]}}`, []string{"dropped: want tctx.a tctx.b, got nothing"}},
		"evaluation":     {`{grant: {scope: invoice.create, access_evaluation: {pdp: p}}}`, []string{"access_evaluation: want p, on error deny, got nothing"}},
		"replacement":    {`{grant: {scope: invoice.create, replacement: {max_age: 60s}}}`, []string{"replacement: want extend_lifetime false, max_age 1m0s, receipt path, got nothing"}},
		"rule":           {`{rule: other, grant: {scope: invoice.create}}`, []string{"rule: want other, got nightly"}},
		"a refusal":      {`{reason: SCOPE_EXCEEDED}`, []string{"reason: want SCOPE_EXCEEDED, got a grant"}},
		"several things": {`{rule: other, grant: {scope: a, lifetime: 1s}}`, []string{"scope: want a, got invoice.create", "lifetime: want 1s, got 4m0s", "rule: want other, got nightly"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := "version: 1\ntests:\n  - name: x\n    request:" + request + "    want: " + test.want + "\n"
			report, err := policytest.Run(shop(t), []byte(file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.diffs, report.Tests[0].Differences); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
			if report.Tests[0].Passed() != (len(test.diffs) == 0) || (report.Failed() == 0) != (len(test.diffs) == 0) {
				t.Error("the report contradicts itself")
			}
		})
	}
	const refused = `version: 1
tests:
  - {name: a, request: {scope: a}, want: {grant: {scope: a}}}
  - {name: b, request: {scope: a}, want: {reason: SCOPE_EXCEEDED, field: scope}}
`
	report, err := policytest.Run(shop(t), []byte(refused))
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Tests[0].Differences; len(got) != 1 || !strings.HasPrefix(got[0], "outcome: want a grant, got ISSUANCE_DENIED") {
		t.Errorf("differences = %q", got)
	}
	want := []string{"reason: want SCOPE_EXCEEDED, got ISSUANCE_DENIED", "field: want scope, got subject_token_type"}
	if diff := cmp.Diff(want, report.Tests[1].Differences); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
}

func TestABadTableIsRefusedWithLineTestAndField(t *testing.T) {
	const head = "version: 1\ntests:\n"
	for _, test := range []struct {
		name, text        string
		line              int
		test, field, says string
	}{
		{"empty", "", 0, "", "", "empty"},
		{"no tests", "version: 1\n", 1, "", "tests", "missing"},
		{"another version", "version: 2\ntests: []\n", 1, "", "version", "want 1"},
		{"an unknown key", "version: 1\ntests: []\nrules: []\n", 3, "", "rules", "unknown key"},
		{"a test that is no mapping", head + "  - x\n", 3, "#1", "", "want a mapping"},
		{"no name", head + "  - {request: {}, want: {reason: SCOPE_EXCEEDED}}\n", 3, "#1", "name", "missing"},
		{"no request", head + "  - {name: a, want: {reason: SCOPE_EXCEEDED}}\n", 3, "a", "request", "missing"},
		{"nothing wanted", head + "  - {name: a, request: {}}\n", 3, "a", "want", "missing"},
		{"an unknown key of a test", head + "  - {name: a, request: {}, want: {reason: SCOPE_EXCEEDED}, given: {}}\n", 3, "a", "given", "unknown key"},
		{"an unknown key of a request", head + "  - {name: a, request: {requestor: x}, want: {reason: SCOPE_EXCEEDED}}\n", 3, "a", "request.requestor", "unknown key"},
		{"an unknown key of a subject", head + "  - {name: a, request: {subject: {sub: x}}, want: {reason: SCOPE_EXCEEDED}}\n", 3, "a", "request.subject.sub", "unknown key"},
		{"a requester that is no SPIFFE ID", head + "  - {name: a, request: {requester: x}, want: {reason: SCOPE_EXCEEDED}}\n", 3, "a", "request.requester", "SPIFFE ID"},
		{"a bad scope", head + "  - {name: a, request: {scope: 'a  b'}, want: {reason: SCOPE_EXCEEDED}}\n", 3, "a", "request.scope", "one space"},
		{"details that are a list", head + "  - {name: a, request: {details: [1]}, want: {reason: SCOPE_EXCEEDED}}\n", 3, "a", "request.details", "want a mapping"},
		{"a time that is none", head + "  - {name: a, request: {now: noon}, want: {reason: SCOPE_EXCEEDED}}\n", 3, "a", "request.now", "want a time"},
		{"a transaction of nobody", head + "  - {name: a, request: {transaction: {scope: a}}, want: {reason: SCOPE_EXCEEDED}}\n", 3, "a", "request.transaction.requester", "missing"},
		{"a transaction of too many", head + "  - {name: a, request: {transaction: {requester: 'spiffe://a.test/a', earlier_requesters: [" + strings.Repeat("'spiffe://a.test/a', ", 16) + "]}}, want: {reason: SCOPE_EXCEEDED}}\n", 3, "a", "request.transaction.earlier_requesters", "req_wl_chain"},
		{"an unknown key of a transaction", head + "  - {name: a, request: {transaction: {requester: 'spiffe://a.test/a', txn: x}}, want: {reason: SCOPE_EXCEEDED}}\n", 3, "a", "request.transaction.txn", "unknown key"},
		{"neither grant nor reason", head + "  - {name: a, request: {}, want: {rule: r}}\n", 3, "a", "want", "neither"},
		{"grant and reason", head + "  - {name: a, request: {}, want: {grant: {scope: a}, reason: SCOPE_EXCEEDED}}\n", 3, "a", "want", "no reason"},
		{"a grant without scope", head + "  - {name: a, request: {}, want: {grant: {}}}\n", 3, "a", "want.grant.scope", "missing"},
		{"an unknown key of a grant", head + "  - {name: a, request: {}, want: {grant: {scope: a, sub: x}}}\n", 3, "a", "want.grant.sub", "unknown key"},
		{"an unknown key of a wanted replacement", head + "  - {name: a, request: {}, want: {grant: {scope: a, replacement: {x: 1}}}}\n", 3, "a", "want.grant.replacement.x", "unknown key"},
		{"an unknown key of what is wanted", head + "  - {name: a, request: {}, want: {reason: SCOPE_EXCEEDED, code: 1}}\n", 3, "a", "want.code", "unknown key"},
		{"a misspelt reason", head + "  - {name: a, request: {}, want: {reason: SCOPE_EXCEDED}}\n", 3, "a", "want.reason", "\"SCOPE_EXCEDED\" is not a reason"},
		{"a reason of others", head + "  - {name: a, request: {}, want: {reason: RATE_LIMITED}}\n", 3, "a", "want.reason", "is not a reason"},
		{"a name twice", head + "  - {name: a, request: {}, want: {reason: SCOPE_EXCEEDED}}\n  - {name: a, request: {}, want: {reason: SCOPE_EXCEEDED}}\n", 4, "a", "name", "line 3"},
		{"a file that is too large", "#" + strings.Repeat(" ", policy.MaxFileSize), 0, "", "", "larger than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := policytest.Run(shop(t), []byte(test.text))
			p, ok := errors.AsType[*policytest.Problem](err)
			if !ok {
				t.Fatalf("Run = %v, want a problem", err)
			}
			if p.Line != test.line || p.Test != test.test || p.Field != test.field || !strings.Contains(p.Text, test.says) {
				t.Errorf("problem = %v, want line %d, test %s, field %s, %q", p, test.line, test.test, test.field, test.says)
			}
			if p.File != "table" || !strings.HasPrefix(p.Error(), "table: ") {
				t.Errorf("problem = %v, want one of a table", p)
			}
		})
	}
}

// wordStart is where a word of a Go name begins.
var wordStart = regexp.MustCompile(`([a-z])([A-Z])`)

func TestEveryReasonOfAPolicyCanBeWanted(t *testing.T) {
	sources, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	met := 0
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`trat\.Reason([A-Z][A-Za-z]+)`).FindAllSubmatch(text, -1) {
			if string(match[1]) == "Of" || strings.HasSuffix(source, "_test.go") {
				continue
			}
			met++
			word := strings.ToUpper(wordStart.ReplaceAllString(string(match[1]), "${1}_$2"))
			table := "version: 1\ntests:\n  - {name: a, request: {}, want: {reason: " + word + "}}\n"
			if _, err := policytest.Run(shop(t), []byte(table)); err != nil {
				t.Errorf("%s: %v", source, err)
			}
		}
	}
	if met == 0 {
		t.Error("no reasons were found")
	}
}

func TestARequestIsReadAsInATable(t *testing.T) {
	r, err := policytest.ParseRequest([]byte(`
requester: spiffe://shop.test/gateway
subject_token_type: urn:ietf:params:oauth:token-type:access_token
subject: {issuer: https://login.shop.test, id: shop:u1, scopes: [orders:write], claims: {department: sales}}
scope: order.create
details: {order_id: 9007199254740993}
context: {ip: 192.0.2.7}
now: 2026-01-01T12:00:00Z
`))
	if err != nil {
		t.Fatal(err)
	}
	if e := shop(t).Explain(r); e.Rule != "gateway-orders" || e.Grant.TransactionContext.JSON() != `{"order_id":9007199254740993}` {
		t.Errorf("explanation = rule %q, %v", e.Rule, e.Err)
	}
	for _, bad := range []string{"", "[]", "requestor: x\n", strings.Repeat(" ", policy.MaxFileSize+1)} {
		_, err := policytest.ParseRequest([]byte(bad))
		if p, ok := errors.AsType[*policytest.Problem](err); !ok || !strings.HasPrefix(p.Error(), "request: ") {
			t.Errorf("ParseRequest(%.20q) = %v, want a problem of a request", bad, err)
		}
	}
}

func FuzzRun(f *testing.F) {
	f.Add(string(read(f, "../testdata/shop_test.yaml")))
	f.Add("version: 1\ntests: [{name: a, request: {scope: a}, want: {reason: SCOPE_EXCEEDED}}]\n")
	f.Add("version: 1\ntests: [{name: a, request: {details: {a: [1.5, 0x10, {b: null}]}}, want: {grant: {scope: a}}}]\n")
	p := shop(f)
	f.Fuzz(func(t *testing.T, text string) {
		report, err := policytest.Run(p, []byte(text))
		if err != nil && len(report.Tests) > 0 {
			t.Error("a bad table was run")
		}
		for _, test := range report.Tests {
			if test.Explanation.Err != nil && !test.Explanation.Grant.Scope.IsZero() {
				t.Error("a refusal comes with a grant")
			}
		}
	})
}
