package policytest_test

import (
	"testing"

	"github.com/grpc-trat/grpc-trat/server/policy/policytest"
)

// Covers TTS-17, TTS-30, TTS-38.
func TestTheShopsPolicyPassesItsTable(t *testing.T) {
	const dir = "../../../examples/shop/"
	report, err := policytest.Run(parse(t, read(t, dir+"policy.yaml")), read(t, dir+"policy_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range report.Tests {
		for _, difference := range test.Differences {
			t.Errorf("line %d: %s: %s", test.Line, test.Name, difference)
		}
	}
	tested := make(map[string]bool)
	for _, test := range report.Tests {
		tested[test.Explanation.Rule] = true
	}
	for _, rule := range report.Tests[0].Explanation.Rules {
		if !tested[rule.Name] {
			t.Errorf("no test is about rule %q", rule.Name)
		}
	}
}
