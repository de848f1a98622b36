package policy

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Report is the outcome of a table file.
type Report struct {
	// Tests has every test of the file, in its order.
	Tests []TestResult
}

// Failed is the number of tests that failed.
func (r Report) Failed() int {
	failed := 0
	for _, test := range r.Tests {
		if !test.Passed() {
			failed++
		}
	}
	return failed
}

// TestResult is the outcome of one test.
type TestResult struct {
	// Name is the test's, Line is where it stands in the file.
	Name string
	Line int
	// Differences says what came out otherwise than wanted; empty: nothing did.
	Differences []string
	// Explanation says how it came out.
	Explanation Explanation
}

// Passed says whether everything came out as wanted.
func (t TestResult) Passed() bool { return len(t.Differences) == 0 }

// tableCase is one test of a table file.
type tableCase struct {
	name    string
	line    int
	request Request
	want    expectation
}

// RunTests decides the requests of a table file and compares what comes out with what the
// file wants. Its error joins a *Problem for each thing that is wrong with the file; then
// nothing was run.
//
//	version: 1
//	tests:
//	  - name: a user's order
//	    request:
//	      requester: spiffe://shop.test/gateway
//	      subject_token_type: urn:ietf:params:oauth:token-type:access_token
//	      subject: {issuer: https://login.shop.test, id: shop:u1, scopes: [orders:write], claims: {}}
//	      scope: order.create
//	      context: {ip: 192.0.2.7}
//	      details: {order_id: 7}
//	    want:
//	      rule: gateway-orders
//	      grant: {scope: order.create, tctx: {order_id: 7}, lifetime: 15s}
//	  - name: more than the user has
//	    request: {...}
//	    want: {reason: SCOPE_EXCEEDED}
//
// What a request leaves away is absent: without scopes the subject token has no scope of
// its own. A pseudonym is "pseudonym:" and the value. Either grant or reason is wanted. Of
// a grant, scope, tctx and rctx are always compared, and everything else that is named.
func RunTests(p *Policy, file []byte) (Report, error) {
	if len(file) > MaxFileSize {
		return Report{}, &Problem{Text: fmt.Sprintf("the file is larger than %d bytes", MaxFileSize)}
	}
	r := reader{}
	cases := r.table(file)
	if err := r.err(); err != nil {
		return Report{}, err
	}
	report := Report{Tests: make([]TestResult, 0, len(cases))}
	for _, c := range cases {
		e := p.Explain(c.request)
		report.Tests = append(report.Tests, TestResult{Name: c.name, Line: c.line, Differences: c.want.differences(e), Explanation: e})
	}
	return report, nil
}

func (r *reader) table(text []byte) []tableCase {
	top := r.document(text)
	if top == nil {
		return nil
	}
	var version, list *yaml.Node
	for _, m := range r.mapping(top, "") {
		switch m.key.Value {
		case "version":
			version = m.value
		case "tests":
			list = m.value
		default:
			r.add(m.key, m.key.Value, "unknown key")
		}
	}
	if top.Kind != yaml.MappingNode {
		return nil // which has been said
	}
	r.version(top, version)
	if list == nil {
		r.add(top, "tests", "is missing")
		return nil
	}
	var cases []tableCase
	for i, n := range r.sequence(list, "tests") {
		cases = append(cases, r.tableCase(n, i+1))
	}
	r.checkTestNames(cases)
	return cases
}

func (r *reader) checkTestNames(cases []tableCase) {
	first := make(map[string]int, len(cases))
	for _, c := range cases {
		if line, dup := first[c.name]; dup && c.name != "" {
			r.test = fmt.Sprintf("%q", c.name)
			r.addAt(c.line, "name", "is also the name of the test in line %d", line)
			r.test = ""
			continue
		}
		first[c.name] = c.line
	}
}

func (r *reader) tableCase(n *yaml.Node, position int) tableCase {
	r.test = label(n, position)
	defer func() { r.test = "" }()
	c := tableCase{line: n.Line}
	var request, want *yaml.Node
	for _, m := range r.mapping(n, "") {
		switch m.key.Value {
		case "name":
			c.name = r.text(m.value, "name")
		case "request":
			request = m.value
		case "want":
			want = m.value
		default:
			r.add(m.key, m.key.Value, "unknown key")
		}
	}
	if n.Kind != yaml.MappingNode {
		return c // which has been said
	}
	if c.name == "" {
		r.add(n, "name", "is missing")
	}
	if request == nil {
		r.add(n, "request", "is missing")
	} else {
		c.request = r.tableRequest(request, "request.")
	}
	if want == nil {
		r.add(n, "want", "is missing")
	} else {
		c.want = r.expectation(want)
	}
	return c
}
