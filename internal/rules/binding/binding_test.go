package binding

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers VER-18.
func TestWhatIsMissingOnEitherSideIsDenied(t *testing.T) {
	type kinds = rulestestv1.Kinds
	for name, tc := range map[string]struct {
		set, unset *kinds
		field      string
		member     string // what set has
	}{
		"optional integer": {&kinds{OptionalInt64: proto.Int64(0)}, &kinds{}, "optional_int64", `0`},
		"optional string":  {&kinds{OptionalString: new("")}, &kinds{}, "optional_string", `""`},
		"optional bool":    {&kinds{OptionalBool: new(false)}, &kinds{}, "optional_bool", `false`},
		"oneof":            {&kinds{Choice: &rulestestv1.Kinds_ChoiceText{}}, &kinds{Choice: &rulestestv1.Kinds_ChoiceNumber{}}, "choice_text", `""`},
		"oneof, none":      {&kinds{Choice: &rulestestv1.Kinds_ChoiceNumber{}}, &kinds{}, "choice_number", `0`},
		"oneof message":    {&kinds{Choice: &rulestestv1.Kinds_ChoiceItem{ChoiceItem: &rulestestv1.Item{}}}, &kinds{}, "choice_item", `{}`},
		"wrapper":          {&kinds{BoolValue: wrapperspb.Bool(false)}, &kinds{}, "bool_value", `false`},
		"timestamp":        {&kinds{Timestamp: &timestamppb.Timestamp{}}, &kinds{}, "timestamp", `"1970-01-01T00:00:00Z"`},
		"message":          {&kinds{Item: &rulestestv1.Item{}}, &kinds{}, "item", `{}`},
		"Value":            {&kinds{Value: structpb.NewBoolValue(false)}, &kinds{Value: structpb.NewNullValue()}, "value", `false`},
		"on the way":       {&kinds{Child: &kinds{Item: &rulestestv1.Item{Sku: "a"}}}, &kinds{Child: &kinds{}}, "child.item.sku", `"a"`},
		"on the way, all":  {&kinds{Child: &kinds{Item: &rulestestv1.Item{UnitPrice: 1}}}, &kinds{}, "child.item.unit_price", `1`},
		"list on the way":  {&kinds{Child: &kinds{Int64List: []int64{0}}}, &kinds{}, "child.int64_list", `[0]`},
	} {
		t.Run(name, func(t *testing.T) {
			required := mustBind(t, tc.set, Binding{Field: tc.field, Tctx: "a.b"})
			optional := mustBind(t, tc.set, Binding{Field: tc.field, Tctx: "a.b", Optional: true})
			there := mustObject(t, `{"a":{"b":`+tc.member+`}}`)
			for _, b := range []*Set{required, optional} {
				if err := b.Check(there, tc.set.ProtoReflect()); err != nil {
					t.Errorf("both there: %v", err)
				}
				wantDenied(t, b.Check(there, tc.unset.ProtoReflect()), tc.field, "is not set, and tctx has a.b")
			}
			for _, text := range []string{`{}`, `{"a":{}}`, `{"a":{"b":null}}`, `{"a":null}`, `{"a":1}`, `{"b":` + tc.member + `}`, `{"a.b":` + tc.member + `}`, `{"a":[{"b":` + tc.member + `}]}`} {
				missing := mustObject(t, text)
				wantDenied(t, required.Check(missing, tc.set.ProtoReflect()), tc.field, "tctx has no a.b")
				wantDenied(t, optional.Check(missing, tc.set.ProtoReflect()), tc.field, "tctx has no a.b")
				wantDenied(t, required.Check(missing, tc.unset.ProtoReflect()), tc.field, "is not set, and tctx has no a.b")
				if err := optional.Check(missing, tc.unset.ProtoReflect()); err != nil {
					t.Errorf("%s: both absent, which is permitted: %v", text, err)
				}
			}
			wantDenied(t, required.Check(trat.Object{}, tc.set.ProtoReflect()), tc.field, "tctx has no a.b")
		})
	}
}

// Covers VER-18.
func TestZeroWithoutPresenceIsAbsentOrZero(t *testing.T) {
	for field, members := range map[string][2]string{
		"int64_field":  {`0`, `1`},
		"string_field": {`""`, `"x"`},
		"bool_field":   {`false`, `true`},
		"bytes_field":  {`""`, `"AA=="`},
		"enum_field":   {`"COLOR_UNSPECIFIED"`, `"COLOR_RED"`},
		"double_field": {`0`, `-0`},
		"int64_list":   {`[]`, `[0]`},
		"string_map":   {`{}`, `{"":0}`},
	} {
		m := (&rulestestv1.Kinds{}).ProtoReflect()
		optional := mustBind(t, m.Interface(), Binding{Field: field, Tctx: "m", Optional: true})
		required := mustBind(t, m.Interface(), Binding{Field: field, Tctx: "m"})
		for _, text := range []string{`{}`, `{"m":null}`, `{"m":` + members[0] + `}`} {
			if err := optional.Check(mustObject(t, text), m); err != nil {
				t.Errorf("%s, %s: %v", field, text, err)
			}
		}
		wantDenied(t, optional.Check(mustObject(t, `{"m":`+members[1]+`}`), m), field, "is not what tctx has")
		wantDenied(t, required.Check(mustObject(t, `{}`), m), field, "tctx has no m")
	}
	full := (&rulestestv1.Kinds{Int64Field: 1}).ProtoReflect()
	optional := mustBind(t, full.Interface(), Binding{Field: "int64_field", Tctx: "m", Optional: true})
	wantDenied(t, optional.Check(mustObject(t, `{}`), full), "int64_field", "tctx has no m")
}

// Covers VER-18.
func TestEachBindingMustHold(t *testing.T) {
	message := &rulestestv1.Kinds{Int64Field: 5, Uint64Field: 5, StringField: "5", Item: &rulestestv1.Item{UnitPrice: 5}}
	b := mustBind(t, message, Binding{Field: "int64_field", Tctx: "a"}, Binding{Field: "uint64_field", Tctx: "a"},
		Binding{Field: "string_field", Tctx: "b"}, Binding{Field: "int64_field", Tctx: "b"}, Binding{Field: "item.unit_price", Tctx: "c.d"})
	for text, field := range map[string]string{
		`{"a":5,"b":"5","c":{"d":5}}`:                 "",
		`{"c":{"e":{},"d":5,"f":[]},"b":"5","a":"5"}`: "",
		`{"a":5,"b":5,"c":{"d":5}}`:                   "string_field",
		`{"a":5,"b":"05","c":{"d":5}}`:                "string_field",
		`{"a":6,"b":"5","c":{"d":5}}`:                 "int64_field",
		`{"a":5,"b":"5","c":{"d":6}}`:                 "item.unit_price",
		`{"a":5,"b":"5","c":{"d":{"d":5}}}`:           "item.unit_price",
		`{"a":5,"b":"5","d":5}`:                       "item.unit_price",
		`{"a":{"a":5},"b":"5","c":{"d":5}}`:           "int64_field",
		`{"A":5,"b":"5","c":{"d":5}}`:                 "int64_field",
	} {
		err := b.Check(mustObject(t, text), message.ProtoReflect())
		if field == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		wantDenied(t, err, field, "tctx")
	}
	if err := mustBind(t, message).Check(trat.Object{}, message.ProtoReflect()); err != nil {
		t.Errorf("without bindings: %v", err)
	}
}

// Covers VER-11, VER-18.
func TestDuplicateNamesInTctxNeverReachABinding(t *testing.T) {
	for _, text := range []string{
		`{"m":1,"m":2}`, `{"m":1,"\u006d":1}`, `{"m":{"a":1,"a":1}}`, `{"x":[{"m":1,"m":1}],"m":1}`,
		`{"m":NaN}`, `{"m":18446744073709551616}`, `{"m":-9223372036854775809}`, `{"m":1e999}`, `{"m":01}`, `{"m":+1}`, `{"m":"\ud800"}`,
	} {
		_, err := trat.ParseObject(text)
		if !errors.Is(err, trat.ReasonParameterInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Covers VER-18.
func TestAMessageOfAnotherTypeIsDenied(t *testing.T) {
	message := &rulestestv1.Kinds{Item: &rulestestv1.Item{Sku: "a"}}
	whole := mustBind(t, message, Binding{Field: "item", Tctx: "m"})
	inner := mustBind(t, message, Binding{Field: "item.sku", Tctx: "n", Optional: true})
	tctx := mustObject(t, `{"m":{"sku":"a"},"n":"a"}`)
	wantDenied(t, whole.Check(tctx, (&rulestestv1.Item{}).ProtoReflect()), "", "another type")

	// The same type by another name space: a copy of the descriptor.
	foreign := foreignKinds(t)
	wantDenied(t, whole.Check(tctx, dynamicpb.NewMessage(foreign)), "", "another type")
	dynamic := dynamicpb.NewMessage(message.ProtoReflect().Descriptor())
	item := dynamicpb.NewMessage(foreign.Fields().ByName("item").Message())
	item.Set(item.Descriptor().Fields().ByName("sku"), message.ProtoReflect().Get(message.ProtoReflect().Descriptor().Fields().ByName("item")).Message().Get((&rulestestv1.Item{}).ProtoReflect().Descriptor().Fields().ByName("sku")))
	dynamic.Set(dynamic.Descriptor().Fields().ByName("item"), protoreflect.ValueOfMessage(item))
	wantDenied(t, whole.Check(tctx, dynamic), "item", "is not what tctx has as m")
	wantDenied(t, inner.Check(tctx, dynamic), "item.sku", "another type")
	wantDenied(t, inner.Check(mustObject(t, `{}`), dynamic), "item.sku", "another type")

	// A dynamic message of the type itself is as good as a generated one.
	wire, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	same := dynamicpb.NewMessage(message.ProtoReflect().Descriptor())
	if err := proto.Unmarshal(wire, same); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*Set{whole, inner} {
		if err := b.Check(tctx, same); err != nil {
			t.Error(err)
		}
	}
}

// Covers VER-18.
func TestBindingsThatCannotBeResolvedAreRefusedTogether(t *testing.T) {
	kinds := (&rulestestv1.Kinds{}).ProtoReflect().Descriptor()
	holder := (&rulestestv1.Holder{}).ProtoReflect().Descriptor()
	long := strings.Repeat("a.", 14) + "a"
	for name, tc := range map[string]struct {
		list []Binding
		want []string
	}{
		"no field":            {[]Binding{{Field: "nothing", Tctx: "a"}}, []string{`field "nothing": rulestest.v1.Kinds has no field "nothing"`}},
		"JSON name":           {[]Binding{{Field: "int64Field", Tctx: "a"}}, []string{`has no field "int64Field"`}},
		"no field within":     {[]Binding{{Field: "child.item.x", Tctx: "a"}}, []string{`field "child.item.x": rulestest.v1.Item has no field "x"`}},
		"within a scalar":     {[]Binding{{Field: "int64_field.x", Tctx: "a"}}, []string{`no singular message`}},
		"within a list":       {[]Binding{{Field: "item_list.sku", Tctx: "a"}}, []string{`rulestest.v1.Kinds.item_list is no singular message`}},
		"within a map":        {[]Binding{{Field: "item_map.value", Tctx: "a"}}, []string{`rulestest.v1.Kinds.item_map is no singular message`}},
		"no path":             {[]Binding{{Field: "", Tctx: "a"}, {Field: "item..sku", Tctx: "a"}, {Field: "item", Tctx: ""}, {Field: "item", Tctx: "a b"}, {Field: "item", Tctx: "1"}}, []string{`field ""`, `field "item..sku"`, `field "item": tctx ""`, `tctx "a b"`, `tctx "1"`}},
		"from tctx on":        {[]Binding{{Field: "item", Tctx: "tctx.a"}}, []string{`field "item": tctx "tctx.a": paths begin below tctx`}},
		"too many names":      {[]Binding{{Field: "item", Tctx: long}}, []string{"more than 14 names"}},
		"a part of a member":  {[]Binding{{Field: "item", Tctx: "a"}, {Field: "string_field", Tctx: "a.b.c"}}, []string{`field "string_field": tctx "a.b.c" is part of "a", which "item" is bound to`}},
		"the other way round": {[]Binding{{Field: "string_field", Tctx: "a.b"}, {Field: "item", Tctx: "a"}}, []string{`tctx "a.b" is part of "a"`}},
		"twice":               {[]Binding{{Field: "item", Tctx: "a"}, {Field: "item", Tctx: "a", Optional: true}}, []string{`field "item": is bound to tctx "a" twice`}},
		"several problems":    {[]Binding{{Field: "x", Tctx: "a"}, {Field: "y", Tctx: "a"}}, []string{`"x"`, `"y"`}},
		"too many":            {slices.Repeat([]Binding{{Field: "item", Tctx: "a"}}, 65), []string{"65 of them, at most 64"}},
	} {
		wantProblems(t, name, tc.want, compileError(tc.list, kinds))
	}
	for _, field := range []string{"any", "inner", "any_list", "inner.any_map"} {
		wantProblems(t, field, []string{fmt.Sprintf("field %q", field), "google.protobuf.Any cannot be bound"}, compileError([]Binding{{Field: field, Tctx: "a"}}, holder))
	}
	wantProblems(t, "no type", []string{"type of the request is not known"}, compileError([]Binding{{Field: "a", Tctx: "a"}}, nil))
	if err := compileError(nil, nil); err != nil {
		t.Error(err)
	}
}

// Covers VER-18.
func TestMembersAreThoseThatBindingsNeed(t *testing.T) {
	input := (&rulestestv1.Kinds{}).ProtoReflect().Descriptor()
	members, err := Members([]Binding{{Field: "item.sku", Tctx: "a.b", Optional: true}, {Field: "int64_list", Tctx: "c"}}, input, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []MemberType{
		{Tctx: "a.b", Field: (&rulestestv1.Item{}).ProtoReflect().Descriptor().Fields().ByName("sku"), Optional: true},
		{Tctx: "c", Field: input.Fields().ByName("int64_list")},
	}
	same := func(a, b MemberType) bool {
		return a.Tctx == b.Tctx && a.Field == b.Field && a.Bound == b.Bound && a.Optional == b.Optional
	}
	if !slices.EqualFunc(members, want, same) {
		t.Errorf("members: %v, want %v", members, want)
	}
	if _, err := Members([]Binding{{Field: "x", Tctx: "a"}}, input, nil); err == nil {
		t.Error("a field that is not there")
	}
}
