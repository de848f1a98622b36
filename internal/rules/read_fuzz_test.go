package rules

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

func FuzzOf(f *testing.F) {
	for _, rule := range []string{
		`scopes: "a"`, `exempt { reason: "x" }`, `chain { max_links: 3 through: "/x" } when: "true"`,
		`bindings { field: "id" bind { tctx: "a" } }`, `stream { grace { seconds: 1 } }`,
	} {
		service, method, field := written{byDefault: rule, rule: rule, bind: `tctx: "a"`}.options(f)
		wire := func(m proto.Message) []byte {
			b, err := proto.Marshal(m)
			if err != nil {
				f.Fatal(err)
			}
			return b
		}
		f.Add(wire(service), wire(method), wire(field), true)
	}
	f.Fuzz(func(t *testing.T, forService, forMethod, forField []byte, streams bool) {
		service, method, field := new(descriptorpb.ServiceOptions), new(descriptorpb.MethodOptions), new(descriptorpb.FieldOptions)
		unknown := proto.UnmarshalOptions{Resolver: new(protoregistry.Types)}
		if unknown.Unmarshal(forService, service) != nil || unknown.Unmarshal(forMethod, method) != nil || unknown.Unmarshal(forField, field) != nil {
			return
		}
		file, err := protodesc.NewFile(fileOf(service, method, field, streams, false), protoregistry.GlobalFiles)
		if err != nil {
			return
		}
		found := file.Services().Get(0).Methods().Get(0)
		rule, declared, err := Of(found)
		if err != nil {
			if diff := cmp.Diff(Rule{}, rule); diff != "" {
				t.Errorf("a rule beside the error %v: %s", err, diff)
			}
			return
		}
		if !declared && (rule.Exempt != "" || len(rule.Scopes) > 0) {
			t.Errorf("nothing is declared, but %+v", rule)
		}
		// A good rule holds beside itself, is not looser than itself, and has no problems.
		both, err := Merge(rule, rule)
		if err != nil {
			t.Fatalf("%+v does not go with itself: %v", rule, err)
		}
		if diff := cmp.Diff(fmt.Sprint(rule), fmt.Sprint(both)); diff != "" {
			t.Errorf("joined with itself: %s", diff)
		}
		if less := Loosened("/pkg.Svc/Get", rule, both); less != nil {
			t.Errorf("looser than itself: %v", less)
		}
		if declared {
			if p := rule.problems(); len(p) > 0 {
				t.Errorf("a good rule has problems: %v", p)
			}
		}
	})
}
