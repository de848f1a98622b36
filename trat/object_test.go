package trat

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustObject(tb testing.TB, text string) Object {
	tb.Helper()
	o, err := ParseObject(text)
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// Covers TTS-11, VER-11.
func TestObjectAccessors(t *testing.T) {
	o := mustObject(t, " { \"s\" : \"a\\n\\u00e4\\ud835\\udcb3\\\"\" ,\"i\":9223372036854775807,\"n\":-9223372036854775808,\"u\":18446744073709551615,"+
		"\"f\":1.50,\"t\":true,\"x\":false,\"z\":null,\"a\":[1, {\"k\":2}],\"o\":{\"p\":{\"q\" : 7}},\"\\u0065\":\"escaped name\"} ")
	const want = `{"s":"a\n\u00e4\ud835\udcb3\"","i":9223372036854775807,"n":-9223372036854775808,"u":18446744073709551615,` +
		`"f":1.50,"t":true,"x":false,"z":null,"a":[1,{"k":2}],"o":{"p":{"q":7}},"\u0065":"escaped name"}`
	if o.JSON() != want {
		t.Errorf("JSON = %s", o.JSON())
	}
	if got, ok := o.Text("s"); !ok || got != "a\nä𝒳\"" {
		t.Errorf("Text(s) = %q, %v", got, ok)
	}
	if got, ok := o.Text("e"); !ok || got != "escaped name" {
		t.Errorf("Text(e) = %q, %v", got, ok)
	}
	for path, want := range map[string]int64{"i": math.MaxInt64, "n": math.MinInt64, "o p q": 7} {
		if got, ok := o.Int64(strings.Fields(path)...); !ok || got != want {
			t.Errorf("Int64(%s) = %d, %v", path, got, ok)
		}
	}
	for _, path := range []string{"u", "f", "s", "t", "z", "o", "o p", "o p x", "a k", "nothing", "i x"} {
		if got, ok := o.Int64(strings.Fields(path)...); ok {
			t.Errorf("Int64(%s) = %d", path, got)
		}
	}
	if v, ok := o.Bool("t"); !v || !ok {
		t.Error("Bool(t)")
	}
	if v, ok := o.Bool("x"); v || !ok {
		t.Error("Bool(x)")
	}
	for _, path := range []string{"i", "z", "nothing"} {
		if _, ok := o.Bool(path); ok {
			t.Errorf("Bool(%s)", path)
		}
		if _, ok := o.Text(path); ok {
			t.Errorf("Text(%s)", path)
		}
	}
	if raw, ok := o.Raw("a"); !ok || raw != `[1,{"k":2}]` {
		t.Errorf("Raw(a) = %s", raw)
	}
	if raw, ok := o.Raw(); !ok || raw != want {
		t.Errorf("Raw() = %s", raw)
	}
	var names []string
	for name, text := range o.Members() {
		if names = append(names, name); name == "f" && text != "1.50" {
			t.Errorf("member f = %s", text)
		}
	}
	if diff := cmp.Diff([]string{"s", "i", "n", "u", "f", "t", "x", "z", "a", "o", "e"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	for range o.Members() {
		break
	}
}

func TestZeroObjectIsAbsent(t *testing.T) {
	var o Object
	if !o.IsZero() || o.JSON() != "{}" || mustObject(t, "{}").IsZero() || o.Equal(mustObject(t, "{}")) {
		t.Error("absent and empty are not told apart")
	}
	if _, ok := o.Raw(); ok {
		t.Error("Raw of the zero Object")
	}
	if _, ok := o.Raw("a"); ok {
		t.Error("Raw(a) of the zero Object")
	}
	for range o.Members() {
		t.Error("the zero Object has members")
	}
	var into struct{}
	if err := o.Decode(&into); err != nil {
		t.Error(err)
	}
}

// Covers TTS-11, VER-11.
func TestParseObjectRefuses(t *testing.T) {
	nested := strings.Repeat(`{"a":`, MaxDepth-1) + "1" + strings.Repeat("}", MaxDepth-1)
	mustObject(t, nested)
	for name, text := range map[string]string{
		"nothing":       "",
		"array":         "[]",
		"string":        `"{}"`,
		"null":          "null",
		"number":        "1",
		"trailing":      "{}{}",
		"duplicate":     `{"a":1,"a":2}`,
		"too deep":      `{"a":` + nested + "}",
		"too long":      `{"a":"` + strings.Repeat("x", MaxObjectSize) + `"}`,
		"invalid UTF-8": "{\"a\":\"\xff\"}",
		"overflow":      `{"a":1e999}`,
	} {
		t.Run(name, func(t *testing.T) {
			o, err := ParseObject(text)
			if !o.IsZero() {
				t.Error("returned an object")
			}
			wantError(t, err, ReasonParameterInvalid, "")
		})
	}
}

func TestNewObject(t *testing.T) {
	o, err := NewObject(map[string]any{"b": "<&>", "a": int64(math.MaxInt64), "c": mustObject(t, `{"x": 1}`), "d": []string{"y"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := o.JSON(), `{"a":9223372036854775807,"b":"<&>","c":{"x":1},"d":["y"]}`; got != want {
		t.Errorf("JSON = %s, want %s", got, want)
	}
	for name, value := range map[string]any{
		"plain": "text", `"quoted"`: `a "b" \c`, "control\n": "\x00\u2028", "": "", "umlaut ä": "ö", "raw": json.RawMessage(` {"x": [1, 2]} `),
		"none": json.RawMessage(nil), "nothing": nil, "number": 1.5, "flag": true, "nested": map[string]any{"y": json.RawMessage("1")},
	} {
		o, err := NewObject(map[string]any{name: value})
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		want, err := json.Marshal(map[string]any{name: value})
		if err != nil {
			t.Fatal(err)
		}
		var got, wanted any
		if json.Unmarshal([]byte(o.JSON()), &got) != nil || json.Unmarshal(want, &wanted) != nil || !reflect.DeepEqual(got, wanted) {
			t.Errorf("%q: %s, want %s", name, o.JSON(), want)
		}
	}
	if empty, err := NewObject(nil); err != nil || empty.JSON() != "{}" || empty.IsZero() {
		t.Errorf("NewObject(nil) = %s, %v", empty.JSON(), err)
	}
	for name, members := range map[string]map[string]any{
		"NaN":       {"a": math.NaN()},
		"channel":   {"a": make(chan int)},
		"too large": {"a": strings.Repeat("x", MaxObjectSize)},
		"bad raw":   {"a": json.RawMessage(`{"a":1,"a":2}`)},
		"two raw":   {"a": json.RawMessage(`1,"b":2`)},
		"raw end":   {"a": json.RawMessage(`1}`)},
		"empty raw": {"a": json.RawMessage{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewObject(members)
			wantError(t, err, ReasonParameterInvalid, "")
		})
	}
}

func TestObjectDecode(t *testing.T) {
	o := mustObject(t, `{"ticker":"MSFT","quantity":9007199254740993}`)
	var order struct {
		Ticker   string
		Quantity int64
	}
	if err := o.Decode(&order); err != nil || order.Ticker != "MSFT" || order.Quantity != 9007199254740993 {
		t.Errorf("decoded %+v, %v", order, err)
	}
	var wrong struct{ Ticker int }
	err := o.Decode(&wrong)
	wantError(t, err, ReasonParameterInvalid, "Ticker")
	if strings.Contains(err.Error(), "MSFT") {
		t.Errorf("the error holds a value: %v", err)
	}
	wantError(t, o.Decode(nil), ReasonParameterInvalid, "")
}

// What the scanner accepts encoding/json accepts, with the same value; what an Object
// then says of itself is the same again.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		"{}", `{"a":1}`, ` {"a" : [1, 2.5e3, "x\u00e4\ud835\udcb3\n", true, null, {"b":{}}] } `, `{"a":1,"a":2}`,
		`{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":1e400}`, `{"a":-0}`, `{"a":18446744073709551615}`, `[1]`, `{"a":01}`, `{"":""}`, "\ufeff{}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseObject(text)
		if err != nil {
			return
		}
		decode := func(text string) (v map[string]any) {
			d := json.NewDecoder(strings.NewReader(text))
			d.UseNumber()
			if err := d.Decode(&v); err != nil {
				t.Fatalf("encoding/json refuses %q: %v", text, err)
			}
			if d.More() {
				t.Fatalf("trailing data in %q", text)
			}
			return v
		}
		want := decode(text)
		if got := decode(o.JSON()); !reflect.DeepEqual(got, want) {
			t.Errorf("%q became %q", text, o.JSON())
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(text)); err != nil || compact.String() != o.JSON() {
			t.Errorf("%q is not the compact form of %q", o.JSON(), text)
		}
		if again, err := ParseObject(o.JSON()); err != nil || again != o {
			t.Errorf("%q does not read back: %v", o.JSON(), err)
		}
		n := 0
		for name, raw := range o.Members() {
			n++
			var value any
			d := json.NewDecoder(strings.NewReader(raw))
			d.UseNumber()
			if err := d.Decode(&value); err != nil || !reflect.DeepEqual(value, want[name]) {
				t.Errorf("member %q = %s", name, raw)
			}
			if s, ok := want[name].(string); ok {
				if got, ok := o.Text(name); !ok || got != s {
					t.Errorf("Text(%q) = %q, want %q", name, got, s)
				}
			}
		}
		if n != len(want) {
			t.Errorf("%d members, want %d", n, len(want))
		}
	})
}
