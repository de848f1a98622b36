package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
)

var update = flag.Bool("update", false, "write the files in testdata/rules anew")

// ordersSet is the descriptor set in testdata, with its imports.
func ordersSet(tb testing.TB) *descriptorpb.FileDescriptorSet {
	tb.Helper()
	text, err := os.ReadFile("testdata/rules/orders.txtpb")
	if err != nil {
		tb.Fatal(err)
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := prototext.Unmarshal(text, set); err != nil {
		tb.Fatal(err)
	}
	addFile(set, tratv1.File_trat_v1_rules_proto)
	return set
}

// addFile adds a file and its imports to a set.
func addFile(set *descriptorpb.FileDescriptorSet, file protoreflect.FileDescriptor) {
	for _, there := range set.GetFile() {
		if there.GetName() == file.Path() {
			return
		}
	}
	for i := range file.Imports().Len() {
		addFile(set, file.Imports().Get(i).FileDescriptor)
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
}

// encodeSet is the set as a file.
func encodeSet(tb testing.TB, set *descriptorpb.FileDescriptorSet) string {
	tb.Helper()
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// writeSet writes the set in testdata, changed, and returns the name of the file.
func writeSet(t *testing.T, change func(orders *descriptorpb.FileDescriptorProto)) string {
	t.Helper()
	set := ordersSet(t)
	if change != nil {
		change(set.GetFile()[0])
	}
	return writeFile(t, "orders.binpb", encodeSet(t, set))
}

// ruleOption is the rule of the method of a service, to be changed.
func ruleOption(file *descriptorpb.FileDescriptorProto, service, method string) *tratv1.Rule {
	for _, s := range file.GetService() {
		for _, m := range s.GetMethod() {
			if s.GetName() != service || m.GetName() != method {
				continue
			}
			if m.Options == nil {
				m.Options = new(descriptorpb.MethodOptions)
			}
			if !proto.HasExtension(m.GetOptions(), tratv1.E_Rule) {
				proto.SetExtension(m.GetOptions(), tratv1.E_Rule, new(tratv1.Rule))
			}
			return proto.GetExtension(m.GetOptions(), tratv1.E_Rule).(*tratv1.Rule)
		}
	}
	panic("no such method: " + method)
}

// defaultOption is the default rule of OrdersService, to be changed.
func defaultOption(file *descriptorpb.FileDescriptorProto) *tratv1.Rule {
	return proto.GetExtension(file.GetService()[0].GetOptions(), tratv1.E_DefaultRule).(*tratv1.Rule)
}

const overlayText = `version: 1
rules:
  /acme.orders.v1.OrdersService/*:
    tctx: [order.channel]
    stream: {maxAge: 600s}
  /acme.orders.v1.OrdersService/Get:
    chain: {maxLinks: 2}
`

// golden compares text with a file in testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	name = filepath.Join("testdata", "rules", name)
	if *update {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestRulesListShowsEveryMethodItsRuleAndItsSource(t *testing.T) {
	set, overlay := writeSet(t, nil), writeFile(t, "overlay.yaml", overlayText)
	for name, args := range map[string][]string{
		"list.txt":         {"list", set},
		"list.json":        {"list", set, "-o", "json"},
		"list-overlay.txt": {"list", set, "--overlay", overlay},
		"page.md":          {"doc", set},
	} {
		t.Run(name, func(t *testing.T) {
			got := runTrat(t, "", append([]string{"rules"}, args...)...)
			got.want(t, exitDone, "", "")
			golden(t, name, got.stdout)
			again := runTrat(t, "", append([]string{"rules"}, args...)...)
			if again.stdout != got.stdout {
				t.Error("another time it is another text")
			}
		})
	}
}

func TestRulesAreReadFromStandardInputAndUnpacked(t *testing.T) {
	text := encodeSet(t, ordersSet(t))
	want := runTrat(t, "", "rules", "list", writeSet(t, nil)).stdout
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, input := range []string{text, packed.String()} {
		if got := runTrat(t, input, "rules", "list", "-"); got.stdout != want || got.status != exitDone {
			t.Errorf("status %d, %s", got.status, got.stderr)
		}
	}
	runTrat(t, text, "rules", "check", "-", "-").want(t, exitUse, "", "standard input can be read once")
	runTrat(t, text, "rules", "list", "-", "--overlay", "-").want(t, exitUse, "", "standard input can be read once")
}

func TestRulesListOfSeveralFiles(t *testing.T) {
	one := writeSet(t, nil)
	other := writeSet(t, func(f *descriptorpb.FileDescriptorProto) {
		f.Name, f.Package = new("other.proto"), new("other")
		f.MessageType, f.Service = f.GetMessageType()[1:2], f.GetService()[1:]
		f.GetMessageType()[0].GetField()[1].TypeName = new(".other.Order")
		f.GetService()[0].Method = f.GetService()[0].GetMethod()[:1]
		f.GetService()[0].GetMethod()[0].InputType, f.GetService()[0].GetMethod()[0].OutputType = new(".other.Order"), new(".other.Order")
	})
	got := runTrat(t, "", "rules", "list", other, one, one)
	got.want(t, exitDone, "\nother.AdminService  (other.proto)\n", "")
	if n := strings.Count(got.stdout, "OrdersService  ("); n != 1 {
		t.Errorf("OrdersService is there %d times", n)
	}
	changed := writeSet(t, func(f *descriptorpb.FileDescriptorProto) { defaultOption(f).Scopes = nil })
	runTrat(t, "", "rules", "list", one, changed).want(t, exitFailed, "", changed+": acme.orders.v1.OrdersService is another than in a file before")
}

func TestHealthCheckingIsNotSaidToBeDenied(t *testing.T) {
	set := new(descriptorpb.FileDescriptorSet)
	addFile(set, healthpb.File_grpc_health_v1_health_proto)
	file := writeFile(t, "health.binpb", encodeSet(t, set))
	runTrat(t, "", "rules", "list", file).want(t, exitDone, "no rule  health checking needs no TraT, unless code has a rule\n", "")
	runTrat(t, "", "rules", "check", writeSet(t, nil), file).want(t, exitDone, "new    /grpc.health.v1.Health/Check, no rule: health checking needs no TraT", "")
}

func TestRulesThatAreNotGoodAreReportedAllAtOnce(t *testing.T) {
	bad := writeSet(t, func(f *descriptorpb.FileDescriptorProto) {
		ruleOption(f, "OrdersService", "Create").When = []string{"request.colour == 'red'"}
		ruleOption(f, "OrdersService", "Sync").Bindings[0].Field = "ids"
		ruleOption(f, "OrdersService", "Ping").GetExempt().Reason = " "
	})
	got := runTrat(t, "", "rules", "list", bad)
	for _, want := range []string{"PROBLEM ", "OrdersService/Create", "colour", "OrdersService/Sync", "ids", "OrdersService.Ping", "exempt.reason: is missing"} {
		got.want(t, exitNo, want, "the rules are not good")
	}
	var view struct {
		Problems []struct{ Where, Text string }
	}
	asJSON := runTrat(t, "", "rules", "list", bad, "-o", "json")
	asJSON.want(t, exitNo, "", "")
	asJSON.decode(t, &view)
	if len(view.Problems) != 3 || view.Problems[0].Where != "/acme.orders.v1.OrdersService/Create" {
		t.Errorf("problems %+v", view.Problems)
	}
	runTrat(t, "", "rules", "doc", bad).want(t, exitFailed, "", "colour")
	runTrat(t, "", "rules", "check", writeSet(t, nil), bad).want(t, exitNo, "PROBLEM ", "0 loosenings, 3 problems")
	runTrat(t, "", "rules", "check", bad, writeSet(t, nil)).want(t, exitFailed, "", "colour")

	exemptByDefault := writeSet(t, func(f *descriptorpb.FileDescriptorProto) {
		proto.SetExtension(f.GetService()[0].GetOptions(), tratv1.E_DefaultRule, &tratv1.Rule{Exempt: &tratv1.Exemption{Reason: "x"}})
	})
	runTrat(t, "", "rules", "list", exemptByDefault).want(t, exitNo, "a default cannot be an exemption", "")
}

// What code says of callers is in no descriptor set.
func TestRulesListRemarksThatAChainModeNeedsCallers(t *testing.T) {
	const remark = "needs callers, from the proto file or from code: without them CheckCoverage fails"
	without := writeSet(t, func(f *descriptorpb.FileDescriptorProto) {
		defaultOption(f).Callers = nil
		ruleOption(f, "OrdersService", "Get").Chain = &tratv1.Chain{Mode: tratv1.ChainMode_CHAIN_MODE_OFF}
	})
	for _, command := range []string{"list", "doc"} {
		got := runTrat(t, "", "rules", command, without)
		got.want(t, exitDone, "chain mode head "+remark, "")
		got.want(t, exitDone, "chain mode off "+remark, "")
		if n := strings.Count(got.stdout, remark); n != 2 {
			t.Errorf("%s: %d remarks", command, n)
		}
	}
	overlay := writeFile(t, "overlay.yaml", "version: 1\nrules:\n  /acme.orders.v1.OrdersService/*: {callers: [/gateway]}")
	if got := runTrat(t, "", "rules", "list", without, "--overlay", overlay); strings.Contains(got.stdout, remark) {
		t.Errorf("with callers of an overlay:\n%s", got.stdout)
	}
	var view struct {
		Services []struct {
			Methods []struct{ Method, Remark string }
		}
	}
	runTrat(t, "", "rules", "list", without, "-o", "json").decode(t, &view)
	var remarks []string
	for _, service := range view.Services {
		for _, m := range service.Methods {
			if m.Remark != "" {
				remarks = append(remarks, m.Method+": "+m.Remark)
			}
		}
	}
	want := []string{"/acme.orders.v1.OrdersService/Get: chain mode off " + remark, "/acme.orders.v1.OrdersService/Tail: chain mode head " + remark}
	if diff := cmp.Diff(want, remarks); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOverlayOnlyTightensWhatIsThere(t *testing.T) {
	set := writeSet(t, nil)
	for name, tt := range map[string]struct {
		overlay, stdout, stderr string
		status                  int
	}{
		"no such method":  {"/acme.orders.v1.OrdersService/Gte: {tctx: [a]}", "PROBLEM /acme.orders.v1.OrdersService/Gte: overlay: there is no such method", "", exitNo},
		"no such service": {"/acme.orders.v2.OrdersService/*: {tctx: [a]}", "PROBLEM /acme.orders.v2.OrdersService/*: overlay: ", "", exitNo},
		"looser":          {"/acme.orders.v1.OrdersService/Get: {replay: REPLAY_OFF}", "replay: ", "", exitNo},
		"no overlay":      {"- a", "", "--overlay: ", exitFailed},
		"closes":          {"/acme.orders.v1.OrdersService/Ping: {scopes: [ping]}", "scopes       ping\n", "", exitDone},
	} {
		t.Run(name, func(t *testing.T) {
			runTrat(t, "", "rules", "list", set, "--overlay", writeFile(t, "overlay.yaml", "version: 1\nrules:\n  "+tt.overlay)).want(t, tt.status, tt.stdout, tt.stderr)
		})
	}
	runTrat(t, "", "rules", "list", set, "--overlay", filepath.Join(t.TempDir(), "absent")).want(t, exitFailed, "", "--overlay: ")
}
