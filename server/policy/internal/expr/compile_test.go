package expr

import (
	"strings"
	"testing"
)

func TestWhatMustNotBeEvaluatedIsFoundAtLoad(t *testing.T) {
	e := testEnv(t)
	for source, says := range map[string]string{
		"":                         "Syntax error",
		"details.flag &&":          "Syntax error",
		"details.unknown":          "undefined field 'unknown'",
		"claims.unknown == 1":      "undefined field 'unknown'",
		"detials.flag":             "undeclared reference to 'detials'",
		"details.text + 1":         "no matching overload",
		"details.text":             "want a bool, not string",
		"details.blob":             "want a bool, not dyn",
		"true":                     "is always true",
		"1 > 2":                    "is always false",
		"details.flag || true":     "is always true",
		"details.flag && false":    "is always false",
		"1 / 0 > 1":                "always fails: division by zero",
		"details == details":       "details is not a value by itself",
		"[claims].exists(c, true)": "claims is not a value by itself",
		"details.names.exists(details, details == 'a')":                            "details is not a value by itself",
		"details{number: 1}.flag":                                                  "undeclared reference",
		"google.protobuf.BoolValue{}":                                              "undeclared reference",
		"details.text.matches(context.ip)":                                         "a pattern that is written out",
		"matches(details.text, context.ip)":                                        "a pattern that is written out",
		"details.text.matches('[')":                                                "invalid matches argument",
		"details.text.matches('" + strings.Repeat("(a{10}){10}", 10) + "')":        "at most 500 instructions",
		"duration('x') < duration('1s')":                                           "invalid duration argument",
		"now < timestamp('x')":                                                     "invalid timestamp argument",
		"now.getHours('Europe/Berlin') > 1":                                        "no matching overload",
		"type(details.text) == string":                                             "undeclared reference to 'type'",
		"dyn(details.text) == 1":                                                   "undeclared reference to 'dyn'",
		"bytes(details.text) == b''":                                               "undeclared reference to 'bytes'",
		"details.text.lowerAscii() == 'a'":                                         "undeclared reference to 'lowerAscii'",
		"optional.of(1).hasValue()":                                                "undeclared reference",
		"details.names.all(a, details.names.all(b, details.names.all(c, a == b)))": "nesting limit",
		"details.items.all(a, details.items.all(b, a.sku.contains(b.sku) && b.sku.matches('a*b')))": "may cost too much",
		"details.names.map(a, a + details.text).exists(c, details.text.contains(c))":                "may cost too much",
		strings.Repeat("details.flag && ", 300) + "details.flag":                                    "4096 bytes",
		strings.Repeat("(", 100) + "details.flag" + strings.Repeat(")", 100):                        "recursion",
	} {
		t.Run(source, func(t *testing.T) {
			p, issues := e.Compile(source, Condition, false)
			if p != nil || len(issues) == 0 {
				t.Fatal("it compiles")
			}
			if !strings.Contains(issues[0].Text, says) {
				t.Errorf("issues = %v, want %q", issues, says)
			}
		})
	}
}

func TestOnlyJSONCanBeAValue(t *testing.T) {
	e := testEnv(t)
	for source, says := range map[string]string{
		"duration('1s') + duration(details.text)": "want what JSON can hold, not duration",
		"[b'x', b'y']":              "want what JSON can hold",
		"{1: details.text}":         "want what JSON can hold, not map(int, string)",
		"{'a': null}.a":             "want what JSON can hold, not null",
		"'constant'":                "use value",
		"details.flag ? 1 : 1 / 0 ": "",
	} {
		p, issues := e.Compile(source, Value, false)
		switch {
		case says == "" && p == nil:
			t.Errorf("%s: %v", source, issues)
		case says != "" && (len(issues) == 0 || !strings.Contains(issues[0].Text, says)):
			t.Errorf("%s: issues %v, want %q", source, issues, says)
		}
	}
}

func TestAnIssueHasAPlace(t *testing.T) {
	_, issues := testEnv(t).Compile("details.flag\n  && details.unknown", Condition, false)
	if len(issues) != 1 || issues[0].Line != 2 || issues[0].Column != 13 {
		t.Errorf("issues = %+v, want line 2, column 13", issues)
	}
}

func TestTypesAreReadStrictly(t *testing.T) {
	for text, ok := range map[string]bool{
		"string": true, "list(int)": true, "list(list(map))": true, "any": true,
		"": false, "String": false, "list": false, "list()": false, "list(int": false, "list(null)": false, "bytes": false, "null": false,
		strings.Repeat("list(", 20) + "int" + strings.Repeat(")", 20): false,
	} {
		got, err := ParseType(text)
		if (err == nil) != ok || ok && got.String() != text {
			t.Errorf("ParseType(%q) = %v, %v", text, got, err)
		}
	}
}

// Covers TTS-11.
func TestValuesAreHeldToTheirTypes(t *testing.T) {
	for text, cases := range map[string]struct{ good, bad []string }{
		"string":    {[]string{`""`, `"a\u00e4"`}, []string{`1`, `true`, `{}`, `[]`}},
		"int":       {[]string{`0`, `-9223372036854775808`, `9223372036854775807`}, []string{`9223372036854775808`, `1.0`, `1e3`, `"1"`}},
		"uint":      {[]string{`0`, `18446744073709551615`}, []string{`-1`, `1.5`}},
		"double":    {[]string{`0`, `1.5e3`, `18446744073709551615`}, []string{`"1"`, `true`}},
		"bool":      {[]string{`true`, `false`}, []string{`1`, `"true"`}},
		"timestamp": {[]string{`0`, `1767225600`, `"2026-01-01T00:00:00Z"`}, []string{`1.5`, `"2026-01-01"`, `9223372036854775807`, `true`, `"x"`}},
		"list(int)": {[]string{`[]`, `[1,2]`}, []string{`[1,"2"]`, `{}`, `1`, `[null]`}},
		"map":       {[]string{`{}`, `{"a":{"b":[null,true]}}`}, []string{`[]`, `{"a":18446744073709551615}`}},
		"any":       {[]string{`1`, `1.5`, `"a"`, `[1]`, `{"a":1}`, `true`}, []string{`18446744073709551615`, `[18446744073709551615]`}},
	} {
		declared, err := ParseType(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range cases.good {
			if err := declared.Check(raw); err != nil {
				t.Errorf("%s %s: %v", text, raw, err)
			}
		}
		for _, raw := range cases.bad {
			if err := declared.Check(raw); err == nil {
				t.Errorf("%s takes %s", text, raw)
			} else if strings.Contains(err.Error(), raw) {
				t.Errorf("%s: the error %q tells the value", text, err)
			}
		}
	}
	if (Type{}).Check("1") == nil {
		t.Error("the zero Type has values")
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"details.number * details.other > 1", "details.items.all(i, i.sku.matches('^a+$'))", "has(claims.sub) ? claims.sub : 'x'",
		"{'a': [now, scope]}", "claims.`given-name`", "details.names.map(a, a + a).filter(b, b in claims.roles)", "((((", "'\\u0000'", "details.customer.tags[0]",
	} {
		f.Add(seed)
	}
	e := testEnv(f)
	f.Fuzz(func(t *testing.T, source string) {
		for _, purpose := range []Purpose{Condition, Value} {
			p, issues := e.Compile(source, purpose, false)
			if (p == nil) == (len(issues) == 0) {
				t.Fatalf("program %v and issues %v", p, issues)
			}
			if p == nil {
				continue
			}
			if p.Cost() > MaxCost {
				t.Errorf("costs %d", p.Cost())
			}
			if purpose == Condition {
				_, _ = p.Test(testInput(t, e))
				continue
			}
			if v, err := p.Value(testInput(t, e)); (v == nil) == (err == nil) {
				t.Errorf("value %v, error %v", v, err)
			}
		}
	})
}
