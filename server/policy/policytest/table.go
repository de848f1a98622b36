package policytest

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/internal/yamlfile"
	"github.com/grpc-trat/grpc-trat/server/policy"
)

// Report is the outcome of a table file.
type Report struct {
	// Tests has every test of the file, in its order.
	Tests []Result
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

// Result is the outcome of one test.
type Result struct {
	// Name is the test's, Line is where it stands in the file.
	Name string
	Line int
	// Differences says what came out otherwise than wanted; empty: nothing did.
	Differences []string
	// Explanation says how it came out.
	Explanation policy.Explanation
}

// Passed says whether everything came out as wanted.
func (t Result) Passed() bool { return len(t.Differences) == 0 }

// tableCase is one test of a table file.
type tableCase struct {
	name    string
	line    int
	request policy.Request
	want    expectation
}

// Run decides the requests of a table file and compares what comes out with what the
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
func Run(p *policy.Policy, file []byte) (Report, error) {
	if len(file) > policy.MaxFileSize {
		return Report{}, &Problem{File: tableFile, Text: fmt.Sprintf("the file is larger than %d bytes", policy.MaxFileSize)}
	}
	r := reader{}
	cases := r.table(file)
	if err := r.Err(problemIn(tableFile)); err != nil {
		return Report{}, err
	}
	report := Report{Tests: make([]Result, 0, len(cases))}
	for _, c := range cases {
		e := p.Explain(c.request)
		report.Tests = append(report.Tests, Result{Name: c.name, Line: c.line, Differences: c.want.differences(e), Explanation: e})
	}
	return report, nil
}

func (r *reader) table(text []byte) []tableCase {
	top := r.Document(text)
	if top == nil {
		return nil
	}
	var version, list *yaml.Node
	for _, m := range r.Mapping(top, "") {
		switch m.Key.Value {
		case "version":
			version = m.Value
		case "tests":
			list = m.Value
		default:
			r.Add(m.Key, m.Key.Value, "unknown key")
		}
	}
	if top.Kind != yaml.MappingNode {
		return nil // which has been said
	}
	r.Version(top, version)
	if list == nil {
		r.Add(top, "tests", "is missing")
		return nil
	}
	var cases []tableCase
	for i, n := range r.Sequence(list, "tests") {
		cases = append(cases, r.tableCase(n, i+1))
	}
	r.checkTestNames(cases)
	return cases
}

func (r *reader) checkTestNames(cases []tableCase) {
	first := make(map[string]int, len(cases))
	for _, c := range cases {
		if line, dup := first[c.name]; dup && c.name != "" {
			r.Within = c.name
			r.AddAt(c.line, "name", "is also the name of the test in line %d", line)
			r.Within = ""
			continue
		}
		first[c.name] = c.line
	}
}

func (r *reader) tableCase(n *yaml.Node, position int) tableCase {
	r.Within = yamlfile.Label(n, position)
	defer func() { r.Within = "" }()
	c := tableCase{line: n.Line}
	var request, want *yaml.Node
	for _, m := range r.Mapping(n, "") {
		switch m.Key.Value {
		case "name":
			c.name = r.Text(m.Value, "name")
		case "request":
			request = m.Value
		case "want":
			want = m.Value
		default:
			r.Add(m.Key, m.Key.Value, "unknown key")
		}
	}
	if n.Kind != yaml.MappingNode {
		return c // which has been said
	}
	if c.name == "" {
		r.Add(n, "name", "is missing")
	}
	if request == nil {
		r.Add(n, "request", "is missing")
	} else {
		c.request = r.tableRequest(request, "request.")
	}
	if want == nil {
		r.Add(n, "want", "is missing")
	} else {
		c.want = r.expectation(want)
	}
	return c
}
