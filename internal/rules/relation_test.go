package rules

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/trat"
)

func memberOf(tb testing.TB, raw string) trat.Value {
	tb.Helper()
	return trat.NewPaths([]string{"m"}).AppendValues(nil, mustObject(tb, `{"m":`+raw+`}`))[0]
}

func fieldOf(tb testing.TB, m proto.Message, name string) (protoreflect.FieldDescriptor, protoreflect.Value) {
	tb.Helper()
	field := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))
	if field == nil {
		tb.Fatalf("there is no field %s", name)
	}
	return field, m.ProtoReflect().Get(field)
}

// Covers VER-18.
func TestRelations(t *testing.T) {
	request := &rulestestv1.Kinds{
		BoolField: true, Int32Field: 5, Int64Field: 9007199254740993, Uint64Field: math.MaxUint64, FloatField: 0.5, DoubleField: 1.5,
		StringField: "order/7", BytesField: []byte("ab"), EnumField: rulestestv1.Color_COLOR_BLUE,
		Int64Value: wrapperspb.Int64(3), Timestamp: timestamppb.New(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)), Duration: durationpb.New(time.Minute),
		Int64List: []int64{1, 2}, StringList: []string{"a", "b"}, ItemList: []*rulestestv1.Item{{Sku: "x", UnitPrice: 3}},
		StringMap: map[string]int64{"a": 1}, Item: &rulestestv1.Item{Sku: "x", UnitPrice: 3}, Value: structpb.NewStringValue("a"),
	}
	for _, tc := range []struct {
		field, source               string
		list                        bool
		holds, fails, ofAnotherType []string
	}{
		{
			"int64_field", "this <= bound", false,
			[]string{`9007199254740993`, `"9007199254740993"`},
			[]string{`9007199254740992`, `-1`},
			[]string{`9007199254740993.0`, `true`, `[1]`, `"a"`, `1e30`, `18446744073709551615`, `{}`},
		},
		{"int32_field", "this < bound", false, []string{`6`, `2147483647`}, []string{`5`}, []string{`"6"`, `2147483648`, `6.5`}},
		{"uint64_field", "this == bound", false, []string{`18446744073709551615`, `"18446744073709551615"`}, []string{`1`}, []string{`-1`, `1.5`}},
		{"double_field", "this > bound", false, []string{`1`, `1.25`, `"-Infinity"`}, []string{`1.5`, `"Infinity"`}, []string{`"1"`, `"NaN"`, `true`}},
		{"float_field", "this >= bound", false, []string{`0.5`}, []string{`1`}, []string{`"0.5"`}},
		{"bool_field", "this != bound", false, []string{`false`}, []string{`true`}, []string{`"false"`, `0`}},
		{"string_field", "this.startsWith(bound)", false, []string{`"order/"`, `""`, `"order\/"`}, []string{`"x"`}, []string{`1`, `["order/"]`}},
		{"string_field", "this in bound", true, []string{`["a","order/7"]`}, []string{`[]`, `["a"]`}, []string{`"order/7"`, `["order/7",1]`, `[null]`, `{}`}},
		{"int64_field", "bound.exists(b, b == this)", true, []string{`[1,9007199254740993]`, `["9007199254740993"]`}, []string{`[9007199254740992]`}, []string{`[true]`}},
		{"bytes_field", "this == bound", false, []string{`"YWI="`}, []string{`"YWE="`}, []string{`"YWI"`, `"ab"`, `1`}},
		{"enum_field", "this >= bound", false, []string{`"COLOR_RED"`, `"COLOR_BLUE"`}, []string{`3`}, []string{`2`, `"COLOR_GREEN"`, `"RED"`}},
		{"enum_field", "bound == Color.COLOR_RED && this != bound", false, []string{`"COLOR_RED"`}, []string{`"COLOR_BLUE"`}, nil},
		{"int64_value", "this <= bound", false, []string{`3`, `"4"`}, []string{`2`}, []string{`true`, `{"value":3}`}},
		{"timestamp", "this < bound", false, []string{`"2026-01-01T12:00:01Z"`, `"2026-01-01T14:00:00+01:00"`}, []string{`"2026-01-01T12:00:00Z"`}, []string{`1`, `"2026-01-01"`}},
		{"timestamp", "bound - this < duration('1h')", false, []string{`"2026-01-01T12:30:00Z"`}, []string{`"2026-01-01T13:30:00Z"`}, []string{`"soon"`}},
		{"duration", "this <= bound", false, []string{`"60s"`, `"60.5s"`}, []string{`"1s"`}, []string{`"1m"`, `60`}},
		{"int64_list", "this == bound", false, []string{`[1,2]`, `[1,"2"]`}, []string{`[2,1]`, `[1]`}, []string{`1`, `[1,2.5]`}},
		{"string_list", "this.all(t, t in bound)", false, []string{`["b","a","c"]`}, []string{`["a"]`}, []string{`"a"`, `[1]`}},
		{"string_list", "this in bound", true, []string{`[["x"],["a","b"]]`}, []string{`[["a"]]`, `[]`}, []string{`["a","b"]`}},
		{"string_list", "bound in this", false, []string{`"a"`}, []string{`"c"`}, []string{`["a"]`, `1`}},
		{"item_list", "this.all(i, i.unit_price <= bound.unit_price)", false, []string{`{"unitPrice":3}`, `{"unit_price":"4","sku":"y"}`}, []string{`{"unit_price":2}`}, []string{`{"price":3}`, `[]`}},
		{"string_map", "this.all(k, this[k] <= bound[k])", false, []string{`{"a":1,"b":0}`, `{"a":"2"}`}, []string{`{"a":0}`}, []string{`{"a":true}`, `[]`, `1`}},
		{"item", "this.sku == bound.sku && this.unit_price <= bound.unit_price", false, []string{`{"sku":"x","unitPrice":3}`}, []string{`{"sku":"y"}`}, []string{`{"sku":1}`, `{"other":1}`, `"x"`}},
		{"item", "bound.exists(b, b.sku == this.sku)", true, []string{`[{"sku":"y"},{"sku":"x"}]`}, []string{`[]`}, []string{`[{"skew":"x"}]`}},
		{"value", "this == bound", false, []string{`"a"`}, []string{`1`, `{}`, `[]`}, nil},
	} {
		t.Run(tc.field+" "+tc.source, func(t *testing.T) {
			for name, m := range map[string]proto.Message{"generated": request, "dynamic": dynamic(t, request)} {
				field, this := fieldOf(t, m, tc.field)
				r, err := compileRelation(tc.source, field)
				if err != nil {
					t.Fatal(err)
				}
				if list := r.Bound() == binding.BoundList; list != tc.list {
					t.Errorf("bound is a list: %v", list)
				}
				for _, raw := range tc.holds {
					if holds, err := r.Holds(this, memberOf(t, raw)); !holds || err != nil {
						t.Errorf("%s, %s: holds %v, %v", name, raw, holds, err)
					}
				}
				for _, raw := range tc.fails {
					if holds, err := r.Holds(this, memberOf(t, raw)); holds || err != nil && err.Error() != "no such key" {
						t.Errorf("%s, %s: holds %v, %v", name, raw, holds, err)
					}
				}
				for _, raw := range append(tc.ofAnotherType, `null`) {
					holds, err := r.Holds(this, memberOf(t, raw))
					if holds || err == nil {
						t.Errorf("%s, %s: holds %v, %v", name, raw, holds, err)
						continue
					}
					if strings.Contains(err.Error(), raw) {
						t.Errorf("the error %q tells %s", err, raw)
					}
				}
				if holds, err := r.Holds(this, trat.Value{}); holds || err == nil {
					t.Errorf("without a member: holds %v, %v", holds, err)
				}
			}
		})
	}
}

func TestRelationsThatMustNotBeEvaluatedAreFoundAtStart(t *testing.T) {
	for _, tc := range []struct{ field, source, says string }{
		{"int64_field", "", "Syntax error"},
		{"int64_field", "this <=\n bond", "line 2, column 2: undeclared reference to 'bond'"},
		{"int64_field", "this <= bound && tctx.a == 1", "undeclared reference to 'tctx'"},
		{"int64_field", "this <= bound && request.int64_field == 1", "undeclared reference to 'request'"},
		{"int64_field", "this + bound", "want a bool, not int"},
		{"int64_field", "this.startsWith(bound)", "no matching overload"},
		{"int64_field", "this > 0", "wants both this and bound"},
		{"int64_field", "bound > 0", "wants both this and bound"},
		{"int64_field", "true", "is always true"},
		{"string_field", "this.matches(bound)", "a pattern that is written out"},
		{"item", "this == bound", "a message is not a value by itself"},
		{"item", "this.nothing == bound.sku", "undefined field 'nothing'"},
		{"item", "this in bound", "a message is not a value by itself"},
		{"string_list", "this + bound == 1", "no matching overload"},
	} {
		field, _ := fieldOf(t, &rulestestv1.Kinds{}, tc.field)
		if r, err := compileRelation(tc.source, field); r != nil || err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s %s: %v, want %q", tc.field, tc.source, err, tc.says)
		}
	}
	for _, name := range []string{"any", "any_list", "inner"} {
		field, _ := fieldOf(t, &rulestestv1.Holder{}, name)
		if r, err := compileRelation("this == bound", field); r != nil || err == nil {
			t.Errorf("%s has a relation", name)
		}
	}
}

func TestOfATimeOutOfRangeNoRelationHolds(t *testing.T) {
	request := &rulestestv1.Kinds{Timestamp: &timestamppb.Timestamp{Seconds: math.MaxInt64}}
	field, this := fieldOf(t, request, "timestamp")
	for _, source := range []string{"this < bound", "this >= bound", "this != bound"} {
		r, err := compileRelation(source, field)
		if err != nil {
			t.Fatal(err)
		}
		if holds, err := r.Holds(this, memberOf(t, `"2026-01-01T12:00:00Z"`)); holds || err == nil {
			t.Errorf("%s: holds %v, %v", source, holds, err)
		}
	}
}

// A relation of equality holds where the binding without it does.
func FuzzRelation(f *testing.F) {
	for _, seed := range []string{`1`, `"1"`, `-0`, `1.0`, `[1,2]`, `["a"]`, `"COLOR_RED"`, `"YWI="`, `true`, `{"a":1}`, `"2026-01-01T00:00:00Z"`, `"1s"`, `null`, `{"sku":"x"}`} {
		f.Add(seed, []byte{0x38, 0x01})
	}
	relations := make(map[protoreflect.FieldDescriptor]*relation)
	equal := make(map[protoreflect.FieldDescriptor]*binding.Set)
	fields := (&rulestestv1.Kinds{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		r, err := compileRelation("this == bound", fields.Get(i))
		if err != nil {
			continue // messages, which are not compared
		}
		relations[fields.Get(i)] = r
		equal[fields.Get(i)] = mustBind(f, &rulestestv1.Kinds{}, Binding{Field: string(fields.Get(i).Name()), Tctx: "m"})
	}
	f.Fuzz(func(t *testing.T, member string, message []byte) {
		tctx, err := trat.ParseObject(`{"m":` + member + `}`)
		if err != nil {
			return
		}
		m := trat.NewPaths([]string{"m"}).AppendValues(nil, tctx)[0]
		request := fuzzedKinds(message).ProtoReflect()
		for field, r := range relations {
			this := request.Get(field)
			holds, err := r.Holds(this, m)
			if holds && (err != nil || m.IsNull()) {
				t.Errorf("%s: holds, %v", field.Name(), err)
			}
			if !request.Has(field) || m.IsNull() || field.Message() != nil {
				continue // there is presence, which the binding asks about first
			}
			if want := equal[field].Check(tctx, request) == nil; holds != want {
				t.Errorf("%s: holds %v, %v, but is equal: %v", field.Name(), holds, err, want)
			}
		}
	})
}
