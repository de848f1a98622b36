package binding

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
)

// Covers VER-18.
func TestEnumsAreComparedByName(t *testing.T) {
	color := func(c rulestestv1.Color) *rulestestv1.Kinds { return &rulestestv1.Kinds{EnumField: c} }
	runFormCases(t, map[string]formCase{
		"a name":           {color(rulestestv1.Color_COLOR_RED), "enum_field", `"COLOR_RED"`, []string{`"COLOR_RED"`}, []string{`1`, `"1"`, `"color_red"`, `"RED"`, `"COLOR_BLUE"`, `"COLOR_UNSPECIFIED"`, `true`}},
		"zero":             {color(0), "enum_field", `"COLOR_UNSPECIFIED"`, []string{`"COLOR_UNSPECIFIED"`}, []string{`0`, `""`, `"COLOR_RED"`}},
		"a number only":    {color(7), "enum_field", `7`, []string{`7`}, []string{`"7"`, `7.0`, `1`, `"COLOR_UNSPECIFIED"`, `"COLOR_RED"`, `-7`}},
		"less than zero":   {color(-7), "enum_field", `-7`, []string{`-7`}, []string{`7`, `4294967289`}},
		"set to zero":      {&rulestestv1.Kinds{OptionalEnum: rulestestv1.Color(0).Enum()}, "optional_enum", `"COLOR_UNSPECIFIED"`, []string{`"COLOR_UNSPECIFIED"`}, []string{`0`}},
		"in a bound child": {&rulestestv1.Kinds{Child: color(2)}, "child", `{"enum_field":"COLOR_BLUE"}`, []string{`{"enumField":"COLOR_BLUE"}`}, []string{`{"enumField":2}`, `{}`}},
	})
}

// Covers VER-18.
func TestTimestampsAreTheSameInstant(t *testing.T) {
	at := func(seconds int64, nanos int32) *rulestestv1.Kinds {
		return &rulestestv1.Kinds{Timestamp: &timestamppb.Timestamp{Seconds: seconds, Nanos: nanos}}
	}
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).Unix()
	runFormCases(t, map[string]formCase{
		"whole seconds": {
			at(noon, 0), "timestamp", `"2026-07-01T12:00:00Z"`,
			[]string{
				`"2026-07-01T12:00:00Z"`, `"2026-07-01T12:00:00.000Z"`, `"2026-07-01T12:00:00+00:00"`, `"2026-07-01T14:00:00+02:00"`,
				`"2026-07-01T06:30:00-05:30"`, `"2026-07-02T02:00:00.000000000+14:00"`, `"2026-07-01T12:00:00-00:00"`,
			},
			[]string{
				`"2026-07-01T12:00:01Z"`, `"2026-07-01T12:00:00+02:00"`, `"2026-07-01T12:00:00.000000001Z"`, `"2026-07-01T12:00:00"`, `"2026-07-01"`,
				`"2026-07-01 12:00:00Z"`, `"2026-07-01t12:00:00z"`, `"2026-07-01T12:00:00,0Z"`, `"2026-07-01T12:00:00.Z"`, `"2026-07-01T12:00:00.0000000001Z"`,
				`"2026-07-01T12:00:00.0000000000Z"`, `"2026-07-02T12:00:00+24:00"`, `"2026-07-01T12:00:00+0000"`, `"2026-7-1T12:00:00Z"`, `1782907200`, `"1782907200"`,
				`{"seconds":1782907200}`, `"2026-07-01T12:00:00Z\n"`, `"2026-07-01T11:59:60Z"`, `"+2026-07-01T12:00:00Z"`,
			},
		},
		"nanoseconds":          {at(noon, 123456789), "timestamp", `"2026-07-01T12:00:00.123456789Z"`, []string{`"2026-07-01T14:00:00.123456789+02:00"`}, []string{`"2026-07-01T12:00:00.12345678Z"`, `"2026-07-01T12:00:00.1234567891Z"`, `"2026-07-01T12:00:00Z"`}},
		"milliseconds":         {at(noon, 5e8), "timestamp", `"2026-07-01T12:00:00.500Z"`, []string{`"2026-07-01T12:00:00.5Z"`, `"2026-07-01T12:00:00.500000Z"`}, []string{`"2026-07-01T12:00:00.05Z"`}},
		"microseconds":         {at(noon, 1000), "timestamp", `"2026-07-01T12:00:00.000001Z"`, []string{`"2026-07-01T12:00:00.000001Z"`}, []string{`"2026-07-01T12:00:00.001Z"`}},
		"the epoch":            {at(0, 0), "timestamp", `"1970-01-01T00:00:00Z"`, []string{`"1970-01-01T00:00:00Z"`}, []string{`0`, `""`, `{}`}},
		"before the epoch":     {at(-1, 999999999), "timestamp", `"1969-12-31T23:59:59.999999999Z"`, []string{`"1969-12-31T23:59:59.999999999Z"`}, []string{`"1970-01-01T00:00:00.999999999Z"`}},
		"the first":            {at(minTimestamp, 0), "timestamp", `"0001-01-01T00:00:00Z"`, []string{`"0001-01-01T00:00:00Z"`}, []string{`"0000-12-31T00:00:00Z"`}},
		"the last":             {at(maxTimestamp, 999999999), "timestamp", `"9999-12-31T23:59:59.999999999Z"`, []string{`"9999-12-31T23:59:59.999999999Z"`}, []string{`"9999-12-31T23:59:59Z"`}},
		"before the first":     {at(minTimestamp-1, 0), "timestamp", ``, nil, []string{`"0000-12-31T23:59:59Z"`}},
		"after the last":       {at(maxTimestamp+1, 0), "timestamp", ``, nil, []string{`"9999-12-31T23:59:59-00:01"`}},
		"too many nanoseconds": {at(noon, 1e9), "timestamp", ``, nil, []string{`"2026-07-01T12:00:01Z"`}},
		"negative nanoseconds": {at(noon, -1), "timestamp", ``, nil, []string{`"2026-07-01T11:59:59.999999999Z"`}},
		"an unknown field":     {&rulestestv1.Kinds{Timestamp: withUnknown(&timestamppb.Timestamp{})}, "timestamp", ``, nil, []string{`"1970-01-01T00:00:00Z"`}},
	})
}

// Covers VER-18.
func TestDurationsAreTheSameSpan(t *testing.T) {
	span := func(seconds int64, nanos int32) *rulestestv1.Kinds {
		return &rulestestv1.Kinds{Duration: &durationpb.Duration{Seconds: seconds, Nanos: nanos}}
	}
	runFormCases(t, map[string]formCase{
		"seconds":              {span(90, 0), "duration", `"90s"`, []string{`"90s"`, `"90.0s"`, `"90.000s"`}, []string{`"1m30s"`, `90`, `"90"`, `"090s"`, `"+90s"`, `"-90s"`, `"90.s"`, `"90S"`, `"90.0000000000s"`, `"9e1s"`, `"90.0.0s"`, `".90s"`, `"s"`, `"90,0s"`, `{"seconds":90}`}},
		"a fraction":           {span(1, 5e8), "duration", `"1.500s"`, []string{`"1.5s"`, `"1.500000000s"`}, []string{`"1.05s"`, `"1.500000001s"`, `"1.50000000s0"`, `"1s"`, `1.5`}},
		"negative":             {span(-1, -1), "duration", `"-1.000000001s"`, []string{`"-1.000000001s"`}, []string{`"1.000000001s"`, `"--1.000000001s"`, `"-1s"`}},
		"less than a second":   {span(0, -1000), "duration", `"-0.000001s"`, []string{`"-0.000001s"`}, []string{`"0.000001s"`, `"-.000001s"`}},
		"zero":                 {span(0, 0), "duration", `"0s"`, []string{`"0s"`, `"0.000s"`}, []string{`"-0s"`, `0`, `""`, `"0"`}},
		"the longest":          {span(maxDuration, 999999999), "duration", `"315576000000.999999999s"`, []string{`"315576000000.999999999s"`}, []string{`"315576000000s"`}},
		"too long":             {span(maxDuration+1, 0), "duration", ``, nil, []string{`"315576000001s"`}},
		"the least integer":    {span(math.MinInt64, 0), "duration", ``, nil, []string{`"-9223372036854775808s"`}},
		"two signs":            {span(1, -1), "duration", ``, nil, []string{`"0.999999999s"`, `"1s"`}},
		"two signs, negative":  {span(-1, 1), "duration", ``, nil, []string{`"-0.999999999s"`, `"-1s"`}},
		"too many nanoseconds": {span(0, 1e9), "duration", ``, nil, []string{`"1s"`}},
		"an unknown field":     {&rulestestv1.Kinds{Duration: withUnknown(&durationpb.Duration{})}, "duration", ``, nil, []string{`"0s"`}},
	})
}

// Covers VER-18.
func TestFieldMasksAreOneText(t *testing.T) {
	mask := func(paths ...string) *rulestestv1.Kinds {
		return &rulestestv1.Kinds{FieldMask: &fieldmaskpb.FieldMask{Paths: paths}}
	}
	runFormCases(t, map[string]formCase{
		"paths":                 {mask("order_id", "item.unit_price"), "field_mask", `"orderId,item.unitPrice"`, []string{`"orderId,item.unitPrice"`}, []string{`"item.unitPrice,orderId"`, `"order_id,item.unit_price"`, `"orderId"`, `"orderId,item.unitPrice,"`, `"orderId, item.unitPrice"`, `["orderId","item.unitPrice"]`, `{"paths":[]}`, `""`}},
		"none":                  {mask(), "field_mask", `""`, []string{`""`}, []string{`","`, `[]`, `{}`, `"a"`}},
		"an upper-case letter":  {mask("orderId"), "field_mask", ``, nil, []string{`"orderId"`, `"order_id"`}},
		"'_' before a digit":    {mask("a_1"), "field_mask", ``, nil, []string{`"a_1"`, `"a1"`}},
		"'_' at the end":        {mask("a_"), "field_mask", ``, nil, []string{`"a_"`, `"a"`}},
		"no path":               {mask(""), "field_mask", ``, nil, []string{`""`}},
		"two paths in one":      {mask("a,b"), "field_mask", ``, nil, []string{`"a,b"`}},
		"an unknown field":      {&rulestestv1.Kinds{FieldMask: withUnknown(&fieldmaskpb.FieldMask{})}, "field_mask", ``, nil, []string{`""`}},
		"longer than the token": {mask("abcdefghijklmnopqrstuvwxyz", "a"), "field_mask", `"abcdefghijklmnopqrstuvwxyz,a"`, nil, []string{`"a"`}},
	})
}

// Covers VER-18.
func TestStructsAreComparedAsJSON(t *testing.T) {
	structOf := func(members map[string]any) *structpb.Struct {
		s, err := structpb.NewStruct(members)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	value := func(v *structpb.Value) *rulestestv1.Kinds { return &rulestestv1.Kinds{Value: v} }
	runFormCases(t, map[string]formCase{
		"Struct": {
			&rulestestv1.Kinds{Struct: structOf(map[string]any{"n": 1.5, "z": nil, "l": []any{true, "x", nil}, "o": map[string]any{}})}, "struct",
			`{"l":[true,"x",null],"n":1.5,"o":{},"z":null}`,
			[]string{`{"n":15e-1,"o":{},"l":[true,"x",null],"z":null}`},
			[]string{
				`{"n":1.5,"o":{},"l":[true,"x",null]}`, `{"n":1.5,"o":{},"l":[true,"x"],"z":null}`, `{"n":"1.5","o":{},"l":[true,"x",null],"z":null}`,
				`{"n":1.5,"o":[],"l":[true,"x",null],"z":null}`, `{"n":1.5,"o":{},"l":["x",true,null],"z":null}`, `{"n":1.5,"o":{},"l":[true,"x",null],"z":null,"y":null}`,
				`{"fields":{}}`, `[]`,
			},
		},
		"an empty Struct":            {&rulestestv1.Kinds{Struct: &structpb.Struct{}}, "struct", `{}`, []string{`{}`}, []string{`{"a":null}`, `[]`}},
		"a list of lists":            {&rulestestv1.Kinds{ListValue: &structpb.ListValue{Values: []*structpb.Value{structpb.NewListValue(&structpb.ListValue{})}}}, "list_value", `[[]]`, []string{`[[]]`}, []string{`[]`, `[[],[]]`}},
		"a number":                   {value(structpb.NewNumberValue(1 << 53)), "value", `9.007199254740992e+15`, []string{`9007199254740992`}, []string{`9007199254740993`, `"9007199254740992"`}},
		"a text":                     {value(structpb.NewStringValue("1")), "value", `"1"`, []string{`"1"`}, []string{`1`}},
		"a bool":                     {value(structpb.NewBoolValue(false)), "value", `false`, []string{`false`}, []string{`0`, `""`, `[]`}},
		"infinity":                   {value(structpb.NewNumberValue(math.Inf(1))), "value", ``, nil, []string{`"Infinity"`}},
		"not a number":               {value(structpb.NewNumberValue(math.NaN())), "value", ``, nil, []string{`"NaN"`}},
		"null by another number":     {value(&structpb.Value{Kind: &structpb.Value_NullValue{NullValue: 1}}), "value", ``, nil, []string{`1`, `"null"`}},
		"without a value":            {value(&structpb.Value{}), "value", ``, nil, []string{`""`, `{}`, `0`}},
		"an unknown field":           {value(withUnknown(structpb.NewBoolValue(true))), "value", ``, nil, []string{`true`}},
		"a null below":               {&rulestestv1.Kinds{Child: value(structpb.NewNullValue())}, "child", `{"value":null}`, []string{`{"value":null}`, `{}`}, []string{`{"value":""}`, `{"value":false}`}},
		"a null below that is unset": {&rulestestv1.Kinds{Child: &rulestestv1.Kinds{}}, "child", `{}`, []string{`{"value":null}`, `{}`}, []string{`{"value":0}`, `{"value":{}}`}},
	})
}
