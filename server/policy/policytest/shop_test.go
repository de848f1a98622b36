package policytest_test

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/grpc-trat/grpc-trat/gen/shop/v1" // whose methods the policy satisfies
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/policy/policytest"
)

// Covers TTS-17, TTS-30, TTS-38.
func TestTheShopsPolicyPassesItsTable(t *testing.T) {
	const dir = "../../../examples/shop/"
	p, err := policy.ParseWith(read(t, dir+"policy.yaml"), protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	report, err := policytest.Run(p, read(t, dir+"policy_test.yaml"))
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
