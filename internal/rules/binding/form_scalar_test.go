package binding

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
)

// Covers VER-18.
func TestBoolsAreBoolsOnly(t *testing.T) {
	noBool := []string{`"true"`, `"false"`, `0`, `1`, `"1"`, `[true]`, `{}`, `""`}
	runFormCases(t, map[string]formCase{
		"true":    {&rulestestv1.Kinds{BoolField: true}, "bool_field", `true`, []string{`true`}, append(noBool, `false`)},
		"false":   {&rulestestv1.Kinds{}, "bool_field", `false`, []string{`false`}, append(noBool, `true`)},
		"wrapper": {&rulestestv1.Kinds{BoolValue: wrapperspb.Bool(false)}, "bool_value", `false`, []string{`false`}, append(noBool, `true`, `{"value":false}`)},
	})
}

// Covers VER-18.
func TestIntegersAreComparedDigitByDigit(t *testing.T) {
	cases := map[string]formCase{
		"int64 beyond a double": {
			&rulestestv1.Kinds{Int64Field: 1<<53 + 1}, "int64_field", `9007199254740993`,
			[]string{`9007199254740993`, `"9007199254740993"`},
			[]string{
				`9007199254740992`, `"9007199254740992"`, `9007199254740993.0`, `9.007199254740993e15`, `"9007199254740993.0"`,
				`"09007199254740993"`, `"+9007199254740993"`, `" 9007199254740993"`, `"0x20000000000001"`, `-9007199254740993`,
			},
		},
		"greatest int64": {
			&rulestestv1.Kinds{Sint64Field: math.MaxInt64}, "sint64_field", `9223372036854775807`,
			[]string{`9223372036854775807`, `"9223372036854775807"`},
			[]string{`9223372036854775808`, `"9223372036854775808"`, `-1`, `9223372036854775806`, `"99999999999999999999999"`},
		},
		"least int64": {
			&rulestestv1.Kinds{Sfixed64Field: math.MinInt64}, "sfixed64_field", `-9223372036854775808`,
			[]string{`-9223372036854775808`, `"-9223372036854775808"`},
			[]string{`9223372036854775808`, `-9223372036854775807`},
		},
		"greatest uint64": {
			&rulestestv1.Kinds{Uint64Field: math.MaxUint64}, "uint64_field", `18446744073709551615`,
			[]string{`18446744073709551615`, `"18446744073709551615"`},
			[]string{`-1`, `18446744073709551614`, `1.8446744073709552e19`, `"18446744073709551616"`},
		},
		"fixed64": {
			&rulestestv1.Kinds{Fixed64Field: 7}, "fixed64_field", `7`,
			[]string{`7`, `"7"`, `"\u0037"`},
			[]string{`7.0`, `70e-1`, `"7 "`, `true`, `[7]`, `{"value":7}`},
		},
		"zero":               {&rulestestv1.Kinds{}, "int64_field", `0`, []string{`0`, `"0"`}, []string{`-0`, `"-0"`, `0.0`, `0e0`, `""`, `false`, `"00"`}},
		"int32":              {&rulestestv1.Kinds{Int32Field: -5}, "int32_field", `-5`, []string{`-5`}, []string{`"-5"`, `-5.0`, `5`, `4294967291`}},
		"least sint32":       {&rulestestv1.Kinds{Sint32Field: math.MinInt32}, "sint32_field", `-2147483648`, []string{`-2147483648`}, []string{`2147483648`}},
		"sfixed32":           {&rulestestv1.Kinds{Sfixed32Field: 9}, "sfixed32_field", `9`, []string{`9`}, []string{`"9"`, `4294967305`}},
		"greatest uint32":    {&rulestestv1.Kinds{Uint32Field: math.MaxUint32}, "uint32_field", `4294967295`, []string{`4294967295`}, []string{`-1`, `"4294967295"`}},
		"fixed32":            {&rulestestv1.Kinds{Fixed32Field: 3}, "fixed32_field", `3`, []string{`3`}, []string{`"3"`, `4294967299`}},
		"int64 wrapper":      {&rulestestv1.Kinds{Int64Value: wrapperspb.Int64(4)}, "int64_value", `4`, []string{`4`, `"4"`}, []string{`{"value":4}`, `5`}},
		"uint64 wrapper":     {&rulestestv1.Kinds{Uint64Value: wrapperspb.UInt64(0)}, "uint64_value", `0`, []string{`0`, `"0"`}, []string{`{}`, `-0`}},
		"int32 wrapper":      {&rulestestv1.Kinds{Int32Value: wrapperspb.Int32(4)}, "int32_value", `4`, []string{`4`}, []string{`"4"`, `5`}},
		"uint32 wrapper":     {&rulestestv1.Kinds{Uint32Value: wrapperspb.UInt32(4)}, "uint32_value", `4`, []string{`4`}, []string{`"4"`, `5`}},
		"a field on the way": {&rulestestv1.Kinds{Item: &rulestestv1.Item{UnitPrice: 4}}, "item.unit_price", `4`, []string{`4`, `"4"`}, []string{`5`}},
	}
	runFormCases(t, cases)
}

// Covers VER-18.
func TestRealsAreTheNumberThatTheyAreWrittenAs(t *testing.T) {
	double := func(v float64) *rulestestv1.Kinds { return &rulestestv1.Kinds{DoubleField: v} }
	float := func(v float32) *rulestestv1.Kinds { return &rulestestv1.Kinds{FloatField: v} }
	runFormCases(t, map[string]formCase{
		"a fraction": {
			double(0.1), "double_field", `0.1`,
			[]string{`0.1`, `0.10`, `1e-1`, `1E-01`, `0.01e1`, `0.00001e+4`},
			[]string{`0.1000000000000000055511151231257827`, `0.10000000000000001`, `"0.1"`, `0.2`, `-0.1`, `1`, `10e-1`, `0.1e-1`, `0`},
		},
		"one":                {double(1), "double_field", `1`, []string{`1`, `1.0`, `1e0`, `10e-1`, `0.1e1`}, []string{`"1"`, `true`, `1.00000000000000000000001`, `0.99999999999999999`, `-1`}},
		"2^53":               {double(1 << 53), "double_field", `9.007199254740992e+15`, []string{`9007199254740992`, `9007199254740992.0`, `9.007199254740992e15`}, []string{`9007199254740993`, `9007199254740993.0`, `9007199254740991`}},
		"2^63":               {double(1 << 63), "double_field", `9.223372036854776e+18`, []string{`9223372036854775808`, `9.223372036854776e18`}, []string{`9223372036854775807`, `9223372036854776000`, `9.223372036854775807e18`}},
		"beyond 64 bits":     {double(1e23), "double_field", `1e+23`, []string{`1e23`, `100000e18`, `1.0E+23`}, []string{`1.0000000000000001e23`, `18446744073709551615`}},
		"2^64":               {double(1 << 64), "double_field", `1.8446744073709552e+19`, []string{`1.8446744073709552e19`}, []string{`18446744073709551615`}},
		"the greatest":       {double(math.MaxFloat64), "double_field", `1.7976931348623157e+308`, []string{`1.7976931348623157e308`}, []string{`"Infinity"`, `1.7976931348623155e308`}},
		"the least":          {double(math.SmallestNonzeroFloat64), "double_field", `5e-324`, []string{`5e-324`, `0.5e-323`}, []string{`0`, `4e-324`, `0.0`}},
		"zero":               {double(0), "double_field", `0`, []string{`0`, `0.0`, `0e5`, `0e999999999999999999999`}, []string{`-0`, `-0.0`, `1e-400`, `""`, `"0"`, `false`}},
		"minus zero":         {double(math.Copysign(0, -1)), "double_field", `-0`, []string{`-0`, `-0.0`, `-0e1`}, []string{`0`, `0.0`}},
		"infinity":           {double(math.Inf(1)), "double_field", `"Infinity"`, []string{`"Infinity"`}, []string{`"-Infinity"`, `"inf"`, `"+Infinity"`, `"infinity"`, `1.7976931348623157e308`}},
		"minus infinity":     {double(math.Inf(-1)), "double_field", `"-Infinity"`, []string{`"-Infinity"`}, []string{`"Infinity"`, `-1`}},
		"not a number":       {double(math.NaN()), "double_field", ``, nil, []string{`"NaN"`, `0`, `""`, `"nan"`, `1.5`}},
		"float":              {float(0.1), "float_field", `0.1`, []string{`0.1`, `1e-1`}, []string{`0.10000000149011612`, `0.2`, `"0.1"`}},
		"float beyond 2^24":  {float(1 << 25), "float_field", `33554432`, []string{`33554432`, `33554432.0`}, []string{`33554433`, `33554431`}},
		"float 2^53":         {float(1 << 53), "float_field", `9.007199e+15`, []string{`9007199254740992`, `9.007199e15`}, []string{`9007199254740993`, `9007199000000000`}},
		"float infinity":     {float(float32(math.Inf(1))), "float_field", `"Infinity"`, []string{`"Infinity"`}, []string{`3.4028235e38`}},
		"float not a number": {float(float32(math.NaN())), "float_field", ``, nil, []string{`"NaN"`}},
		"double wrapper":     {&rulestestv1.Kinds{DoubleValue: wrapperspb.Double(1.5)}, "double_value", `1.5`, []string{`1.5`, `15e-1`}, []string{`1`, `{"value":1.5}`}},
		"float wrapper":      {&rulestestv1.Kinds{FloatValue: wrapperspb.Float(2.5)}, "float_value", `2.5`, []string{`2.5`}, []string{`2`, `"2.5"`}},
	})
}

// Covers VER-18.
func TestStringsAreComparedByteByByte(t *testing.T) {
	text := func(s string) *rulestestv1.Kinds { return &rulestestv1.Kinds{StringField: s} }
	runFormCases(t, map[string]formCase{
		"ASCII":           {text("order-1"), "string_field", `"order-1"`, []string{`"order-1"`, `"\u006frder-1"`}, []string{`"order-2"`, `"order-1 "`, `"Order-1"`, `"order-1\u0000"`, `["order-1"]`}},
		"empty":           {text(""), "string_field", `""`, []string{`""`}, []string{`" "`, `0`, `false`, `[]`, `{}`}},
		"looks like more": {text("true"), "string_field", `"true"`, []string{`"true"`}, []string{`true`}},
		"a number's text": {text("1"), "string_field", `"1"`, []string{`"1"`}, []string{`1`, `"1.0"`}},
		"null's text":     {text("null"), "string_field", `"null"`, []string{`"null"`}, []string{`"NULL"`}},
		"composed":        {text("caf\u00e9"), "string_field", "\"caf\u00e9\"", []string{`"café"`, `"caf\u00e9"`}, []string{"\"cafe\u0301\"", `"cafe\u0301"`, `"cafe"`}},
		"decomposed":      {text("cafe\u0301"), "string_field", "\"cafe\u0301\"", []string{`"cafe\u0301"`}, []string{`"caf\u00e9"`}},
		"compatible":      {text("\ufb01"), "string_field", "\"\ufb01\"", []string{`"\ufb01"`}, []string{`"fi"`}},
		"another script":  {text("\u0430"), "string_field", "\"\u0430\"", []string{`"\u0430"`}, []string{`"a"`}},
		"unseen":          {text("a\u200bb"), "string_field", "\"a\u200bb\"", []string{`"a\u200bb"`}, []string{`"ab"`, `"a\ufeffb"`}},
		"a surrogate pair": {
			text("\U0001d4b3"), "string_field", "\"\U0001d4b3\"",
			[]string{`"\ud835\udcb3"`, "\"\U0001d4b3\""},
			[]string{`"\ufffd"`},
		},
		"escaped":     {text("\"\\\x00\n\u2028<"), "string_field", "\"\\\"\\\\\\u0000\\u000a\u2028<\"", []string{`"\"\\\u0000\n\u2028\u003c"`}, []string{`"\"\\\n\u2028<"`}},
		"no UTF-8":    {text("a\xff"), "string_field", ``, nil, []string{`"a\ufffd"`, `"a"`}},
		"wrapper":     {&rulestestv1.Kinds{StringValue: wrapperspb.String("")}, "string_value", `""`, []string{`""`}, []string{`"x"`, `{}`}},
		"with colons": {text("a:b,c}"), "string_field", `"a:b,c}"`, []string{`"a:b,c}"`}, []string{`"a:b"`}},
	})
}

// Covers VER-18.
func TestBytesAreCanonicalBase64(t *testing.T) {
	raw := func(b ...byte) *rulestestv1.Kinds { return &rulestestv1.Kinds{BytesField: b} }
	long := make([]byte, 100)
	longText := `"` + strings.Repeat("A", 134) + `=="`
	runFormCases(t, map[string]formCase{
		"padded":      {raw(0xfb, 0xff, 1, 2), "bytes_field", `"+/8BAg=="`, []string{`"+/8BAg=="`, `"\u002b/8BAg=="`}, []string{`"-_8BAg=="`, `"+/8BAg"`, `"+/8BAg="`, `"+/8BAh=="`, `"+/8BAg==\n"`, `"+/8B\nAg=="`, `"fbff0102"`, `[251,255,1,2]`}},
		"not padded":  {raw(1, 2, 3), "bytes_field", `"AQID"`, []string{`"AQID"`}, []string{`"AQIE"`, `"aqid"`, `"AQID===="`}},
		"empty":       {raw(), "bytes_field", `""`, []string{`""`}, []string{`"="`, `"AA=="`, `[]`}},
		"of any size": {raw(long...), "bytes_field", longText, []string{longText}, []string{`"B` + longText[2:], longText[:len(longText)-4] + `B=="`}},
		"wrapper":     {&rulestestv1.Kinds{BytesValue: wrapperspb.Bytes([]byte{0})}, "bytes_value", `"AA=="`, []string{`"AA=="`}, []string{`"AB=="`, `"AA"`}},
	})
}
