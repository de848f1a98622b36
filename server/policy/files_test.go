package policy_test

import (
	"os"
	"testing"

	"github.com/grpc-trat/grpc-trat/server/policy"
)

// Covers TTS-17, TTS-30, TTS-38.
func TestTheShopsPolicyPassesItsTable(t *testing.T) {
	read := func(name string) []byte {
		text, err := os.ReadFile("../../examples/shop/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	report, err := policy.RunTests(parse(t, string(read("policy.yaml"))), read("policy_test.yaml"))
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
