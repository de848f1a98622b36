package main

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/policy/policytest"
)

const policyTestHelp = `test decides the requests of table files and compares what comes out with what the
files want. A table file looks like this:

  version: 1
  tests:
    - name: a user's order
      request:
        requester: spiffe://shop.test/gateway
        subject_token_type: urn:ietf:params:oauth:token-type:access_token
        subject: {issuer: https://login.shop.test, id: shop:u1, scopes: [orders:write]}
        scope: order.create
        details: {order_id: 7}
      want:
        rule: gateway-orders
        grant: {scope: order.create, tctx: {order_id: 7}, lifetime: 15s}
    - name: more than the user has
      request: {...}
      want: {reason: SCOPE_EXCEEDED}

Of a grant, scope, tctx and rctx are always compared, and everything else that is
named.

Exit status: 0 all passed, 3 some failed, 1 the policy or a table file is not good,
2 wrong use.`

const policyTestExample = `  trat policy test policy.yaml tests/*.yaml
  trat policy test policy.yaml tests.yaml --output json`

// testReport is the result of `trat policy test`.
type testReport struct {
	Passed int          `json:"passed"`
	Failed int          `json:"failed"`
	Tests  []testResult `json:"tests"`
}

type testResult struct {
	File        string   `json:"file"`
	Line        int      `json:"line"`
	Name        string   `json:"name"`
	Passed      bool     `json:"passed"`
	Differences []string `json:"differences,omitempty"`
}

func newPolicyTest() *cobra.Command {
	var o policyOptions
	cmd := &cobra.Command{
		Use:     "test POLICY TABLE...",
		Short:   "Run the tests of a policy",
		Long:    policyTestHelp,
		Example: policyTestExample,
		Args:    files("POLICY and one TABLE or more", 2, math.MaxInt),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := o.test(cmd, args[0], args[1:])
			if err != nil {
				return err
			}
			err = o.format.show(cmd.OutOrStdout(), report, report.write)
			if report.Failed > 0 {
				return errors.Join(answerNo{fmt.Errorf("%d of %d tests failed", report.Failed, len(report.Tests))}, err)
			}
			return err
		},
	}
	o.add(cmd)
	return cmd
}

// test runs every table that can be run, unless one cannot.
func (o *policyOptions) test(cmd *cobra.Command, name string, tables []string) (testReport, error) {
	p, err := o.load(cmd, name)
	if err != nil {
		return testReport{}, fmt.Errorf("%s: %w", name, err)
	}
	report := testReport{Tests: []testResult{}}
	var problems []error
	for _, table := range tables {
		text, err := readInput(cmd, table, policy.MaxFileSize)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		results, err := policytest.Run(p, text)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", table, err))
			continue
		}
		report.Failed += results.Failed()
		for _, r := range results.Tests {
			report.Tests = append(report.Tests, testResult{
				File: table, Line: r.Line, Name: r.Name, Passed: r.Passed(), Differences: r.Differences,
			})
		}
	}
	report.Passed = len(report.Tests) - report.Failed
	return report, errors.Join(problems...)
}

// write prints what failed, and how many did not.
func (r testReport) write(w io.Writer) {
	for _, test := range r.Tests {
		if test.Passed {
			continue
		}
		fmt.Fprintf(w, "FAIL %s:%d: %s\n", test.File, test.Line, test.Name)
		for _, difference := range test.Differences {
			fmt.Fprintf(w, "  %s\n", difference)
		}
	}
	fmt.Fprintf(w, "%d passed, %d failed\n", r.Passed, r.Failed)
}
