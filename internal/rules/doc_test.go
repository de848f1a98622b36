package rules

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
)

func readText(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func TestExamplesOfTheReferenceAreRealRules(t *testing.T) {
	source := readText(t, "../../proto/rulestest/v1/model.proto")
	examples := strings.Split(readText(t, "../../docs/rules.md"), "```proto\n")[1:]
	if len(examples) == 0 {
		t.Fatal("there are none")
	}
	for _, after := range examples {
		block, _, _ := strings.Cut(after, "```")
		if !strings.Contains(source, block) {
			t.Errorf("not in rulestest/v1/model.proto:\n%s", block)
		}
	}
}

func TestOverlayOfTheReferenceTightensTheRulesOfTheReference(t *testing.T) {
	overlay, err := ParseOverlay([]byte(readText(t, "testdata/overlay.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	service := rulestestv1.File_rulestest_v1_model_proto.Services().Get(0)
	used := make(map[string]bool)
	for i := range service.Methods().Len() {
		target := TargetOf(service.Methods().Get(i))
		target.TrustDomain = anyTrustDomain
		rule, _, err := Of(service.Methods().Get(i))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range overlay.Keys(target) {
			used[key] = true
		}
		if rule, err = overlay.Tighten(rule, target); err != nil {
			t.Errorf("%s: %v", target.FullMethod, err)
		}
		if _, err := Compile(rule, target); err != nil {
			t.Error(err)
		}
	}
	if len(used) != len(overlay) {
		t.Errorf("%d keys, of which %d are for methods", len(overlay), len(used))
	}
}

func TestReferenceNamesEveryField(t *testing.T) {
	page := readText(t, "../../docs/rules.md")
	check := func(m protoreflect.MessageDescriptor, prefix string) {
		for i := range m.Fields().Len() {
			field := m.Fields().Get(i)
			name := string(field.Name())
			if !strings.Contains(page, "| `"+prefix+name+"`") && !strings.Contains(page, "| `"+prefix+name+".") {
				t.Errorf("no row for `%s`", prefix+name)
			}
		}
	}
	check((*tratv1.Rule)(nil).ProtoReflect().Descriptor(), "")
	check((*tratv1.Chain)(nil).ProtoReflect().Descriptor(), "chain.")
	check((*tratv1.Stream)(nil).ProtoReflect().Descriptor(), "")
	check((*tratv1.Binding)(nil).ProtoReflect().Descriptor(), "")
	for _, enum := range []protoreflect.EnumDescriptor{
		tratv1.ChainMode(0).Descriptor(), tratv1.Replay(0).Descriptor(), tratv1.StreamExpiry(0).Descriptor(), tratv1.Enforcement(0).Descriptor(),
	} {
		for i := 1; i < enum.Values().Len(); i++ {
			if name := string(enum.Values().Get(i).Name()); !strings.Contains(page, "`"+name+"`") {
				t.Errorf("nothing about `%s`", name)
			}
		}
	}
}
