package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/descriptorpb"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
)

const orderPolicy = `
version: 1
details: {order_id: int}
rules:
  - name: gateway-orders
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {orders:write: [order.create]}
    tctx: {order_id: details.order_id}
    access_evaluation: {pdp: pdp, on_error: allow}
  - name: scheduler-counts
    requester: spiffe://shop.test/scheduler
    subject_tokens: [urn:ietf:params:oauth:token-type:self_signed]
    grants: [stock.count]
`

const orderRequest = `
requester: spiffe://shop.test/gateway
subject_token_type: urn:ietf:params:oauth:token-type:access_token
subject: {issuer: https://login.shop.test, id: shop:u1, scopes: [orders:write]}
scope: order.create
details: {order_id: 7}
`

// indented is text as an entry of a list under a key.
func indented(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ")
}

var orderTests = `
version: 1
tests:
  - name: a user's order
    request:
      ` + indented(orderRequest) + `
    want:
      rule: gateway-orders
      grant: {scope: order.create, tctx: {order_id: 7}}
  - name: nobody else's
    request: {requester: spiffe://shop.test/orders, subject_token_type: urn:ietf:params:oauth:token-type:access_token, subject: {issuer: x, id: y}, scope: order.create}
    want: {reason: ISSUANCE_DENIED}
`

const orderConfig = `
version: 1
listen: 127.0.0.1:0
trust_domain: shop.test
issuer: https://tts.shop.test
spiffe_id: spiffe://shop.test/tts
policy: elsewhere.yaml
subject_tokens:
  self_signed: {replay_store: memory}
  issuers:
    - issuer: https://login.shop.test
      prefix: login
      audience: https://shop.test
      introspection: {client_id: tratd, client_secret_file: not-here}
access_evaluation: [{name: pdp, url: 'https://pdp.shop.test/', bearer_token_file: not-here}]
`

func TestPolicyCheckReportsEveryProblem(t *testing.T) {
	good := writeFile(t, "policy.yaml", orderPolicy)
	runTrat(t, "", "policy", "check", good).want(t, 0, "good: version ", "")
	runTrat(t, orderPolicy, "policy", "check", "-").want(t, 0, "good: version ", "")
	runTrat(t, "", "policy", "check", good, "--config", writeFile(t, "tratd.yaml", orderConfig)).want(t, 0, "good: version ", "")

	var verdict struct {
		Good     bool
		Version  string
		PDPs     []string
		Problems []struct {
			Line              int
			Rule, Field, Text string
		}
	}
	runTrat(t, "", "policy", "check", good, "-o", "json").decode(t, &verdict)
	if !verdict.Good || len(verdict.Version) != 64 || !cmp.Equal(verdict.PDPs, []string{"pdp"}) {
		t.Errorf("verdict %+v", verdict)
	}
	bad := writeFile(t, "policy.yaml", strings.NewReplacer("tctx", "tcx", "grants: [stock.count]", "grants: []").Replace(orderPolicy))
	text := runTrat(t, "", "policy", "check", bad)
	text.want(t, 3, `rule "gateway-orders": tcx: `, "the policy is not good")
	text.want(t, 3, `rule "scheduler-counts": grants: `, "")
	asJSON := runTrat(t, "", "policy", "check", bad, "-o", "json")
	asJSON.want(t, 3, "", "")
	asJSON.decode(t, &verdict)
	if verdict.Good || len(verdict.Problems) < 2 || verdict.Problems[0].Line != 9 || verdict.Problems[0].Rule != "gateway-orders" || verdict.Problems[0].Field != "tcx" {
		t.Errorf("verdict %+v", verdict)
	}
	// What is good in itself need not fit a configuration.
	other := writeFile(t, "tratd.yaml", strings.NewReplacer("shop.test", "other.test").Replace(orderConfig))
	runTrat(t, "", "policy", "check", good, "--config", other).want(t, 3, "is not in the trust domain other.test", "")

	runTrat(t, "", "policy", "check", filepath.Join(t.TempDir(), "absent")).want(t, 1, "", "no such file")
	runTrat(t, "", "policy", "check", good, "--config", good).want(t, 1, "", "config: ")
	runTrat(t, "", "policy", "check").want(t, 2, "", "takes POLICY")
	runTrat(t, "", "policy", "chek").want(t, 2, "", `takes no argument "chek"`)
}

func TestPoliciesAreHeldToDescriptorSets(t *testing.T) {
	satisfying := strings.Replace(orderPolicy, "    access_evaluation", "    satisfies: [/shop.v1.OrdersService/TrackOrder]\n    access_evaluation", 1)
	set := new(descriptorpb.FileDescriptorSet)
	addFile(set, shopv1.File_shop_v1_shop_proto)
	shop := writeFile(t, "shop.binpb", encodeSet(t, set))
	good := writeFile(t, "policy.yaml", satisfying)
	bad := writeFile(t, "bad.yaml", strings.Replace(satisfying, "OrdersService/TrackOrder", "PaymentsService/Charge", 1))
	tests := writeFile(t, "tests.yaml", orderTests)

	runTrat(t, "", "policy", "check", good, "--descriptors", writeSet(t, nil), "--descriptors", shop).want(t, 0, "good: version ", "")
	runTrat(t, "", "policy", "test", good, tests, "--descriptors", shop).want(t, 0, "2 passed, 0 failed", "")
	runTrat(t, orderRequest, "policy", "explain", good, "--descriptors", shop).want(t, 0, "granted", "")
	runTrat(t, "", "policy", "check", bad, "--descriptors", shop).
		want(t, 3, "satisfies: /shop.v1.PaymentsService/Charge: the rule does not make tctx.amount_cents, which its field", "the policy is not good")
	runTrat(t, "", "policy", "check", good).want(t, 3, "satisfies: /shop.v1.OrdersService/TrackOrder: cannot be checked: there are no descriptor sets", "")
	runTrat(t, "", "policy", "check", good, "--descriptors", good).want(t, 1, "", "this is no descriptor set")

	// The flag is there for who has the sets of a configuration elsewhere.
	configured := writeFile(t, "tratd.yaml", orderConfig+"descriptors: ["+shop+"]\n")
	runTrat(t, "", "policy", "check", good, "--config", configured).want(t, 0, "good: version ", "")
	elsewhere := writeFile(t, "elsewhere.yaml", orderConfig+"descriptors: [not-here]\n")
	runTrat(t, "", "policy", "check", good, "--config", elsewhere).want(t, 1, "", "descriptors[0]: ")
	runTrat(t, "", "policy", "check", good, "--config", elsewhere, "--descriptors", shop).want(t, 0, "good: version ", "")
}

func TestPolicyTestRunsEveryTable(t *testing.T) {
	policy, table := writeFile(t, "policy.yaml", orderPolicy), writeFile(t, "tests.yaml", orderTests)
	runTrat(t, "", "policy", "test", policy, table).want(t, 0, "2 passed, 0 failed\n", "")

	wrong := writeFile(t, "wrong.yaml", strings.Replace(orderTests, "ISSUANCE_DENIED", "SCOPE_EXCEEDED", 1))
	failed := runTrat(t, "", "policy", "test", policy, table, wrong)
	failed.want(t, 3, "FAIL "+wrong+":14: nobody else's\n", "1 of 4 tests failed")
	failed.want(t, 3, "3 passed, 1 failed\n", "")
	var report struct {
		Passed, Failed int
		Tests          []struct {
			File, Name  string
			Line        int
			Passed      bool
			Differences []string
		}
	}
	asJSON := runTrat(t, "", "policy", "test", policy, table, wrong, "-o", "json")
	asJSON.want(t, 3, "", "")
	asJSON.decode(t, &report)
	if report.Passed != 3 || report.Failed != 1 || len(report.Tests) != 4 || report.Tests[3].Passed || report.Tests[3].File != wrong || len(report.Tests[3].Differences) == 0 {
		t.Errorf("report %+v", report)
	}

	runTrat(t, "", "policy", "test", policy, writeFile(t, "x.yaml", "tests: 1"), filepath.Join(t.TempDir(), "absent")).want(t, 1, "", "no such file")
	runTrat(t, "", "policy", "test", policy, writeFile(t, "x.yaml", "tests: 1")).want(t, 1, "", "x.yaml: table: line 1: ")
	runTrat(t, "", "policy", "test", table, table).want(t, 1, "", table+": policy: ")
	runTrat(t, "", "policy", "test", policy).want(t, 2, "", "takes POLICY and one TABLE or more")
}

func TestPolicyExplainSaysWhichRuleDecided(t *testing.T) {
	policy, request := writeFile(t, "policy.yaml", orderPolicy), writeFile(t, "request.yaml", orderRequest)
	granted := runTrat(t, "", "policy", "explain", policy, request)
	for _, want := range []string{
		"granted by rule gateway-orders\n", "scope     order.create\n", `tctx      {"order_id":7}`, "asks      pdp; on an error: allow",
		"gateway-orders    line 5   decided", "scheduler-counts  line 11  requester: ",
	} {
		granted.want(t, 0, want, "")
	}
	var got struct {
		Granted bool
		Rule    string
		Reason  string
		Grant   *struct {
			Scope, Lifetime string
			TCtx            map[string]int
			Evaluation      struct{ PDP string } `json:"access_evaluation"`
		}
		Rules []struct {
			Name    string
			Decided bool
			Field   string
		}
	}
	asJSON := runTrat(t, orderRequest, "policy", "explain", policy, "--output", "json")
	asJSON.want(t, 0, "", "")
	asJSON.decode(t, &got)
	if !got.Granted || got.Rule != "gateway-orders" || got.Grant.TCtx["order_id"] != 7 || got.Grant.Evaluation.PDP != "pdp" ||
		len(got.Rules) != 2 || !got.Rules[0].Decided || got.Rules[1].Field != "requester" {
		t.Errorf("got %+v", got)
	}

	refused := strings.Replace(orderRequest, "[orders:write]", "[orders:read]", 1)
	runTrat(t, refused, "policy", "explain", policy).want(t, 3, "refused: SCOPE_EXCEEDED", "nothing is granted: SCOPE_EXCEEDED")
	asJSON = runTrat(t, refused, "policy", "explain", policy, "--output", "json")
	asJSON.want(t, 3, "", "")
	got.Grant = nil
	asJSON.decode(t, &got)
	if got.Granted || got.Reason != "SCOPE_EXCEEDED" || got.Grant != nil {
		t.Errorf("got %+v", got)
	}
	runTrat(t, "x: 1", "policy", "explain", policy).want(t, 1, "", "unknown key")
	runTrat(t, orderRequest, "policy", "explain", request).want(t, 1, "", request+": policy: ")
	runTrat(t, "", "policy", "explain").want(t, 2, "", "takes POLICY and at most one REQUEST")
}

func TestPolicyOfTheExampleIsGood(t *testing.T) {
	const dir = "../../examples/shop/"
	runTrat(t, "", "policy", "check", dir+"policy.yaml", "--config", dir+"tratd.yaml").want(t, 0, "good: version ", "")
	runTrat(t, "", "policy", "test", dir+"policy.yaml", dir+"policy_test.yaml", "--config", dir+"tratd.yaml").want(t, 0, " passed, 0 failed\n", "")
}
