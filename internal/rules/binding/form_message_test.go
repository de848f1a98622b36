package binding

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
)

// withUnknown is message with a field of a number that it does not have.
func withUnknown[M proto.Message](message M) M {
	m := message.ProtoReflect()
	m.SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType), 1))
	return message
}

// Covers VER-18.
func TestListsAreComparedInOrder(t *testing.T) {
	runFormCases(t, map[string]formCase{
		"integers": {
			&rulestestv1.Kinds{Int64List: []int64{1, 2, 2}}, "int64_list", `[1,2,2]`,
			[]string{`[1,2,2]`, `["1",2,"2"]`},
			[]string{`[2,1,2]`, `[1,2]`, `[1,2,2,2]`, `[1,2,2,null]`, `[1,2,3]`, `[]`, `{"0":1,"1":2,"2":2}`, `"[1,2,2]"`, `[[1,2,2]]`, `[1,2,null]`, `1`},
		},
		"one":      {&rulestestv1.Kinds{Int64List: []int64{1}}, "int64_list", `[1]`, []string{`[1]`}, []string{`1`, `[]`, `[1,1]`}},
		"empty":    {&rulestestv1.Kinds{}, "int64_list", `[]`, []string{`[]`}, []string{`[0]`, `[null]`, `{}`, `""`, `0`, `[[]]`}},
		"strings":  {&rulestestv1.Kinds{StringList: []string{"a,b", "]"}}, "string_list", `["a,b","]"]`, []string{`["a,b","]"]`}, []string{`["a","b","]"]`, `["]","a,b"]`}},
		"enums":    {&rulestestv1.Kinds{EnumList: []rulestestv1.Color{1, 2, 9}}, "enum_list", `["COLOR_RED","COLOR_BLUE",9]`, []string{`["COLOR_RED","COLOR_BLUE",9]`}, []string{`[1,2,9]`, `["COLOR_RED","COLOR_BLUE","9"]`}},
		"messages": {&rulestestv1.Kinds{ItemList: []*rulestestv1.Item{{Sku: "a"}, {}}}, "item_list", `[{"sku":"a"},{}]`, []string{`[{"sku":"a"},{}]`, `[{"sku":"a"},{"sku":""}]`}, []string{`[{},{"sku":"a"}]`, `[{"sku":"a"},null]`, `[{"sku":"a"}]`}},
		"values": {
			&rulestestv1.Kinds{ValueList: []*structpb.Value{structpb.NewNullValue(), structpb.NewNumberValue(1)}}, "value_list", `[null,1]`,
			[]string{`[null,1]`, `[null,1.0]`},
			[]string{`[1]`, `[1,null]`, `["null",1]`},
		},
	})
}

// Covers VER-18.
func TestMapsAreComparedEntryByEntry(t *testing.T) {
	one := func(key string) ([]string, []string) {
		return []string{`{"` + key + `":"x"}`}, []string{`{"` + key + `":"y"}`, `{}`, `{"0` + key + `":"x"}`, `{"` + key + `.0":"x"}`, `{" ` + key + `":"x"}`, `{"` + key + `":"x","0":"x"}`, `{"` + key + `":null}`, `[["` + key + `","x"]]`}
	}
	cases := map[string]formCase{
		"empty":        {&rulestestv1.Kinds{}, "string_map", `{}`, []string{`{}`}, []string{`{"":0}`, `[]`, `""`, `{"a":null}`}},
		"strings":      {&rulestestv1.Kinds{StringMap: map[string]int64{"b": 2, "a": 1, "": 0}}, "string_map", `{"":0,"a":1,"b":2}`, []string{`{"b":"2","a":1,"":0}`, `{"\u0062":2,"":0,"a":1}`}, []string{`{"a":1,"b":2}`, `{"a":2,"b":1,"":0}`, `{"A":1,"b":2,"":0}`, `{"a":1,"b":2,"":0,"c":0}`}},
		"not the key":  {&rulestestv1.Kinds{StringMap: map[string]int64{"caf\u00e9": 1}}, "string_map", "{\"caf\u00e9\":1}", []string{`{"caf\u00e9":1}`}, []string{`{"cafe\u0301":1}`}},
		"true":         {&rulestestv1.Kinds{BoolMap: map[bool]string{true: "x"}}, "bool_map", `{"true":"x"}`, []string{`{"true":"x"}`}, []string{`{"false":"x"}`, `{"1":"x"}`, `{"True":"x"}`, `{"true":"x","false":"x"}`}},
		"false":        {&rulestestv1.Kinds{BoolMap: map[bool]string{false: "x"}}, "bool_map", `{"false":"x"}`, []string{`{"false":"x"}`}, []string{`{"":"x"}`, `{"0":"x"}`, `{"no":"x"}`, `{"true":"x"}`}},
		"messages":     {&rulestestv1.Kinds{ItemMap: map[string]*rulestestv1.Item{"a": {UnitPrice: 1}}}, "item_map", `{"a":{"unit_price":1}}`, []string{`{"a":{"unitPrice":"1"}}`, `{"a":{"unit_price":1,"sku":""}}`}, []string{`{"a":{}}`, `{"a":{"unit_price":2}}`, `{"a":null}`}},
		"beyond int32": {&rulestestv1.Kinds{Int32Map: map[int32]string{1: "x"}}, "int32_map", `{"1":"x"}`, []string{`{"1":"x"}`}, []string{`{"4294967297":"x"}`, `{"-1":"x"}`}},
	}
	for field, tc := range map[string]struct {
		message *rulestestv1.Kinds
		key     string
	}{
		"int32_map":    {&rulestestv1.Kinds{Int32Map: map[int32]string{-7: "x"}}, "-7"},
		"sint32_map":   {&rulestestv1.Kinds{Sint32Map: map[int32]string{-2147483648: "x"}}, "-2147483648"},
		"sfixed32_map": {&rulestestv1.Kinds{Sfixed32Map: map[int32]string{2147483647: "x"}}, "2147483647"},
		"uint32_map":   {&rulestestv1.Kinds{Uint32Map: map[uint32]string{4294967295: "x"}}, "4294967295"},
		"fixed32_map":  {&rulestestv1.Kinds{Fixed32Map: map[uint32]string{7: "x"}}, "7"},
		"int64_map":    {&rulestestv1.Kinds{Int64Map: map[int64]string{1<<53 + 1: "x"}}, "9007199254740993"},
		"sint64_map":   {&rulestestv1.Kinds{Sint64Map: map[int64]string{-1 << 63: "x"}}, "-9223372036854775808"},
		"sfixed64_map": {&rulestestv1.Kinds{Sfixed64Map: map[int64]string{1<<63 - 1: "x"}}, "9223372036854775807"},
		"uint64_map":   {&rulestestv1.Kinds{Uint64Map: map[uint64]string{1<<64 - 1: "x"}}, "18446744073709551615"},
		"fixed64_map":  {&rulestestv1.Kinds{Fixed64Map: map[uint64]string{7: "x"}}, "7"},
	} {
		equal, unequal := one(tc.key)
		cases[field] = formCase{tc.message, field, `{"` + tc.key + `":"x"}`, equal, unequal}
	}
	runFormCases(t, cases)
}

// Covers VER-18.
func TestMessagesAreComparedAsAWhole(t *testing.T) {
	item := func(i *rulestestv1.Item) *rulestestv1.Kinds { return &rulestestv1.Kinds{Item: i} }
	runFormCases(t, map[string]formCase{
		"populated": {
			item(&rulestestv1.Item{Sku: "a", UnitPrice: 1<<53 + 1, Gift: new(false), Tags: []string{"x"}, Part: &rulestestv1.Part{Weight: 0.5}, Label: "l"}),
			"item", `{"sku":"a","unit_price":9007199254740993,"gift":false,"tags":["x"],"part":{"weight":0.5},"label":"l"}`,
			[]string{
				`{"displayName":"l","sku":"a","unitPrice":"9007199254740993","gift":false,"tags":["x"],"part":{"weight":0.5,"count":0}}`,
				`{"label":"l","sku":"a","unit_price":9007199254740993,"gift":false,"tags":["x"],"part":{"weight":5e-1,"count":null}}`,
			},
			[]string{
				`{"label":"l","sku":"a","unit_price":9007199254740992,"gift":false,"tags":["x"],"part":{"weight":0.5}}`,
				`{"label":"l","sku":"a","unit_price":9007199254740993,"tags":["x"],"part":{"weight":0.5}}`,
				`{"label":"l","sku":"a","unit_price":9007199254740993,"gift":null,"tags":["x"],"part":{"weight":0.5}}`,
				`{"label":"l","sku":"a","unit_price":9007199254740993,"gift":false,"tags":["x"],"part":{}}`,
				`{"label":"l","sku":"a","unit_price":9007199254740993,"gift":false,"tags":["x"]}`,
				`{"label":"l","sku":"a","unit_price":9007199254740993,"gift":false,"part":{"weight":0.5}}`,
				`{"label":"l","sku":"a","unit_price":9007199254740993,"gift":false,"tags":["x"],"part":{"weight":0.5},"more":null}`,
				`{"label":"l","displayName":"l","sku":"a","unit_price":9007199254740993,"gift":false,"tags":["x"],"part":{"weight":0.5}}`,
				`{"label":"l","displayName":null,"sku":"a","unit_price":9007199254740993,"gift":false,"tags":["x"],"part":{"weight":0.5}}`,
				`{"label":"l","SKU":"a","unit_price":9007199254740993,"gift":false,"tags":["x"],"part":{"weight":0.5}}`,
				`{}`, `[]`, `"a"`,
			},
		},
		"empty": {
			item(&rulestestv1.Item{}), "item", `{}`,
			[]string{`{}`, `{"sku":"","unit_price":0,"tags":[]}`, `{"sku":null,"gift":null,"tags":null,"part":null}`, `{"unitPrice":"0"}`},
			[]string{`{"gift":false}`, `{"part":{}}`, `{"sku":"a"}`, `{"tags":[""]}`, `{"unit_price":-0}`, `{"1":""}`, `{"":null}`},
		},
		"an unknown field":       {item(withUnknown(&rulestestv1.Item{Sku: "a"})), "item", ``, nil, []string{`{"sku":"a"}`, `{"sku":"a","999":1}`}},
		"an unknown field below": {item(&rulestestv1.Item{Part: withUnknown(&rulestestv1.Part{})}), "item", ``, nil, []string{`{"part":{}}`}},
		"an unknown field beside": {
			withUnknown(item(&rulestestv1.Item{Part: withUnknown(&rulestestv1.Part{}), Sku: "a"})), "item.sku", `"a"`, []string{`"a"`}, []string{`"b"`},
		},
		"recursive": {
			&rulestestv1.Kinds{Child: &rulestestv1.Kinds{Child: &rulestestv1.Kinds{Child: &rulestestv1.Kinds{BoolField: true}}}}, "child",
			`{"child":{"child":{"bool_field":true}}}`,
			[]string{`{"child":{"child":{"boolField":true,"child":null}}}`},
			[]string{`{"child":{"child":{}}}`, `{"child":{"child":{"child":{"bool_field":true}}}}`, `{"child":{"bool_field":true}}`},
		},
		"a field of a recursive message": {
			&rulestestv1.Kinds{Child: &rulestestv1.Kinds{Child: &rulestestv1.Kinds{BoolField: true}}}, "child.child.bool_field", `true`, []string{`true`}, []string{`false`},
		},
		"too deep for a token": {recursive(16), "child", ``, nil, []string{strings.Repeat(`{"child":`, 13) + `{}` + strings.Repeat(`}`, 13)}},
		"far too deep":         {recursive(5000), "child", ``, nil, []string{`{}`}},
		"a member of a oneof": {
			&rulestestv1.Kinds{Choice: &rulestestv1.Kinds_ChoiceText{}}, "choice_text", `""`, []string{`""`}, []string{`"x"`},
		},
		"a oneof within": {
			&rulestestv1.Kinds{Child: &rulestestv1.Kinds{Choice: &rulestestv1.Kinds_ChoiceNumber{}}}, "child", `{"choice_number":0}`,
			[]string{`{"choice_number":0}`, `{"choiceNumber":"0","choice_text":null}`},
			[]string{`{}`, `{"choice_number":0,"choice_text":""}`, `{"choice_text":""}`},
		},
		"Empty":                       {&rulestestv1.Kinds{Empty: &emptypb.Empty{}}, "empty", `{}`, []string{`{}`}, []string{`{"a":null}`, `[]`, `""`, `true`}},
		"Empty with an unknown field": {&rulestestv1.Kinds{Empty: withUnknown(&emptypb.Empty{})}, "empty", ``, nil, []string{`{}`}},
	})
}

// recursive is a message in a message, to the given depth.
func recursive(depth int) *rulestestv1.Kinds {
	top := &rulestestv1.Kinds{}
	for range depth {
		top = &rulestestv1.Kinds{Child: top}
	}
	return top
}
