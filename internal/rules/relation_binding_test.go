package rules

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/trat"
)

func mustObject(tb testing.TB, text string) trat.Object {
	tb.Helper()
	o, err := trat.ParseObject(text)
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return o
}

// mustBind compiles bindings of message, with relations.
func mustBind(tb testing.TB, message proto.Message, list ...Binding) *binding.Set {
	tb.Helper()
	b, err := binding.Compile(list, message.ProtoReflect().Descriptor(), relations)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Covers VER-18.
func TestARelationNeedsBothSides(t *testing.T) {
	type kinds = rulestestv1.Kinds
	for name, tc := range map[string]struct {
		relation, field string
		optional        bool
		message         *kinds
		passes          []string
		denied          map[string]string // tctx and why
	}{
		"at most": {
			"this <= bound", "optional_int64", false, &kinds{OptionalInt64: new(int64(5))},
			[]string{`{"m":5}`, `{"m":"6"}`},
			map[string]string{`{"m":4}`: "is not in its relation to tctx m", `{}`: "tctx has no m", `{"m":null}`: "tctx has no m", `{"m":"x"}`: "its relation to tctx m", `{"m":5.5}`: "its relation to tctx m", `{"m":[5]}`: "its relation to tctx m"},
		},
		"one of": {
			"this in bound", "string_field", false, &kinds{StringField: "b"},
			[]string{`{"m":["a","b"]}`},
			map[string]string{`{"m":["a"]}`: "is not in its relation", `{"m":[]}`: "is not in its relation", `{"m":"b"}`: "its relation", `{"m":["b",null]}`: "its relation"},
		},
		"not set": {
			"this <= bound", "optional_int64", false, &kinds{}, nil,
			map[string]string{`{"m":5}`: "is not set, and tctx has m", `{}`: "is not set, and tctx has no m"},
		},
		"not set, optional": {
			"this <= bound", "optional_int64", true, &kinds{},
			[]string{`{}`, `{"m":null}`},
			map[string]string{`{"m":5}`: "is not set, and tctx has m"},
		},
		"zero, optional": {
			"this >= bound", "int64_field", true, &kinds{},
			[]string{`{}`, `{"m":0}`},
			map[string]string{`{"m":1}`: "is not in its relation"},
		},
		"a null Value": {
			"this == bound", "value", false, &kinds{Value: structpb.NewNullValue()}, nil,
			map[string]string{`{"m":null}`: "is not set, and tctx has no m"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := mustBind(t, tc.message, Binding{Field: tc.field, Tctx: "m", Relation: tc.relation, Optional: tc.optional})
			for _, tctx := range tc.passes {
				if err := b.Check(mustObject(t, tctx), tc.message.ProtoReflect()); err != nil {
					t.Errorf("%s: %v", tctx, err)
				}
			}
			for tctx, why := range tc.denied {
				err := b.Check(mustObject(t, tctx), tc.message.ProtoReflect())
				if wantReason(t, err, trat.ReasonPolicyDenied, tc.field); !strings.Contains(fmt.Sprint(err), why) {
					t.Errorf("%s: %v, want %q", tctx, err, why)
				}
			}
		})
	}
}

// Covers VER-18.
func TestARelationMayStandBesideAnEquality(t *testing.T) {
	message := &rulestestv1.Kinds{Int64Field: 5, Item: &rulestestv1.Item{UnitPrice: 5}}
	input := message.ProtoReflect().Descriptor()
	b := mustBind(t, message, Binding{Field: "item", Tctx: "a"}, Binding{Field: "int64_field", Tctx: "a.unit_price", Relation: "this <= bound"})
	if err := b.Check(mustObject(t, `{"a":{"unit_price":5}}`), message.ProtoReflect()); err != nil {
		t.Errorf("a relation to a part of what is equal: %v", err)
	}
	for source, why := range map[string]string{"this <=": `field "int64_field": relation: `, "this > 0": "wants both this and bound"} {
		_, err := binding.Compile([]Binding{{Field: "int64_field", Tctx: "a", Relation: source}}, input, relations)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", source, err, why)
		}
	}
	twice := Binding{Field: "item", Tctx: "a", Relation: "this.sku == bound.sku"}
	if _, err := binding.Compile([]Binding{twice, twice}, input, relations); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("twice: %v", err)
	}
	members, err := Members([]Binding{{Field: "int64_field", Tctx: "a", Relation: "this <= bound"}}, input)
	if err != nil || len(members) != 1 || members[0].Bound != binding.BoundValue {
		t.Errorf("members: %v, %v", members, err)
	}
}
