package trat

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// at returns the value of an object at a path, by Paths.
func at(o Object, path ...string) Value { return NewPaths(path).AppendValues(nil, o)[0] }

// Covers TTS-11, VER-11.
func TestValuesAreOfOneType(t *testing.T) {
	o := mustObject(t, ` { "s" : "a\n\ud835\udcb3\"]}," , "p":"plain","n" : -1.50e2 , "t":true,"f":false,"z":null,"a":[ 1, "]" ,{"x":[]},[[]] ],"o":{ "}" : {}, "\u0071":[2] } } `)
	type types struct {
		Text, Number           string
		IsText, IsNumber, Bool bool
		IsBool, Null, Arr, Obj bool
		JSON                   string
	}
	for name, want := range map[string]types{
		"s":    {Text: "a\n𝒳\"]},", IsText: true, JSON: `"a\n\ud835\udcb3\"]},"`},
		"p":    {Text: "plain", IsText: true, JSON: `"plain"`},
		"n":    {Number: "-1.50e2", IsNumber: true, JSON: `-1.50e2`},
		"t":    {Bool: true, IsBool: true, JSON: `true`},
		"f":    {IsBool: true, JSON: `false`},
		"z":    {Null: true, JSON: `null`},
		"a":    {Arr: true, JSON: `[1,"]",{"x":[]},[[]]]`},
		"o":    {Obj: true, JSON: `{"}":{},"\u0071":[2]}`},
		"none": {},
	} {
		v := at(o, name)
		var got types
		got.Text, got.IsText = v.Text()
		got.Number, got.IsNumber = v.Number()
		got.Bool, got.IsBool = v.Bool()
		got.Null, got.Arr, got.Obj, got.JSON = v.IsNull(), v.IsArray(), v.IsObject(), v.JSON()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if v.IsZero() != (name == "none") {
			t.Errorf("%s: IsZero = %t", name, v.IsZero())
		}
	}
}

// Covers TTS-11.
func TestValuesYieldWhatIsInThem(t *testing.T) {
	o := mustObject(t, `{"a":[1,"],",{"x":[1,2]},[],null],"o":{"}":{},"\u0071":[2],"":"\\"},"e":[],"m":{},"s":"[1]"}`)
	elements := func(v Value) (texts []string) {
		for e := range v.Elements() {
			texts = append(texts, e.JSON())
		}
		return texts
	}
	members := func(v Value) (texts []string) {
		for name, m := range v.Members() {
			texts = append(texts, name+"="+m.JSON())
		}
		return texts
	}
	for name, want := range map[string][2][]string{
		"a": {{`1`, `"],"`, `{"x":[1,2]}`, `[]`, `null`}, nil},
		"o": {nil, {`}={}`, `q=[2]`, `="\\"`}},
		"e": {}, "m": {}, "s": {}, "none": {},
	} {
		v := at(o, name)
		if diff := cmp.Diff(want, [2][]string{elements(v), members(v)}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for range at(o, "a").Elements() {
		break
	}
	for range at(o, "o").Members() {
		break
	}
}

// Covers TTS-11, VER-11.
func TestPathsFindTheirValuesInOnePass(t *testing.T) {
	paths := [][]string{{"b"}, {"o", "p", "q"}, {"o", "p"}, {"o", "x"}, {}, {"b"}, {"e"}, {"b", "c"}, {"l", "0"}, {"a.b"}}
	prepared := NewPaths(paths...)
	for _, text := range []string{
		`{"a":{"b":0},"b":"}{","o":{"p":{"q":[{"p":1}],"r":{}},"x":null},"\u0065":1,"l":[3],"a.b":2}`,
		`{"o":{"x":{"p":{"q":1}},"p":[{"q":1}]},"b":{"c":{"b":1}}}`,
		`{"o":[{"p":1}],"l":{"0":{}}}`, `{"p":{"q":1},"q":2}`, `{}`,
	} {
		o := mustObject(t, text)
		before := []Value{{text: "kept"}}
		got := prepared.AppendValues(before, o)
		if len(got) != len(paths)+1 || got[0].text != "kept" {
			t.Fatalf("%d values", len(got))
		}
		for i, path := range paths {
			want, _ := o.Raw(path...)
			if got[i+1].JSON() != want {
				t.Errorf("%s at %q: %s, want %s", text, path, got[i+1].JSON(), want)
			}
		}
	}
	stale := prepared.AppendValues(nil, mustObject(t, `{"b":1}`))
	if got := prepared.AppendValues(stale[:0], Object{}); !reflect.DeepEqual(got, make([]Value, len(paths))) {
		t.Errorf("of an absent object: %d values are not absent", len(got))
	}
}

// Covers PRIV-01, PRIV-03.
func TestValuesPrintTheirSizeOnly(t *testing.T) {
	const secret = "secret"
	v := at(mustObject(t, `{"a":"`+secret+`"}`), "a")
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("value", "v", v)
	for _, printed := range []string{v.String(), fmt.Sprint(v), fmt.Sprintf("%v %+v %#v %s %q %x", v, v, v, v, v, v), logged.String()} {
		if strings.Contains(printed, secret) || strings.Contains(printed, "736563726574") || !strings.Contains(printed, "trat.Value(8 bytes)") {
			t.Errorf("prints %s", printed)
		}
	}
}

// FuzzPaths compares what one pass finds with what encoding/json reads.
//
// Covers TTS-11, VER-11.
func FuzzPaths(f *testing.F) {
	f.Add(`{"a":{"b":[1,{"c":"\"}\\"}]},"b":null}`, "a", "b")
	f.Add(`{"\u0061":{"b":-1.5e3},"a\"":"[,]"}`, "a", "b")
	f.Add(`{"":{"":""}}`, "", "")
	f.Fuzz(func(t *testing.T, text, first, second string) {
		o, err := ParseObject(text)
		if err != nil {
			return
		}
		got := NewPaths([]string{first, second}, []string{first}, nil).AppendValues(nil, o)
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(o.JSON()), &members); err != nil {
			t.Fatal(err)
		}
		if got[1].JSON() != string(members[first]) || got[2].JSON() != o.JSON() {
			t.Errorf("%q: %s", first, got[1].JSON())
		}
		var within map[string]json.RawMessage
		if json.Unmarshal(members[first], &within) != nil {
			within = nil
		}
		if got[0].JSON() != string(within[second]) {
			t.Errorf("%q, %q: %s", first, second, got[0].JSON())
		}
		walk(t, got[2])
	})
}

// walk compares a value, and what is in it, with what encoding/json reads.
func walk(t *testing.T, v Value) {
	switch {
	case v.IsArray():
		var elements []json.RawMessage
		if err := json.Unmarshal([]byte(v.JSON()), &elements); err != nil {
			t.Fatal(err)
		}
		i := 0
		for e := range v.Elements() {
			if i >= len(elements) || e.JSON() != string(elements[i]) {
				t.Fatalf("element %d: %s", i, e.JSON())
			}
			walk(t, e)
			i++
		}
		if i != len(elements) {
			t.Errorf("%d elements of %d", i, len(elements))
		}
	case v.IsObject():
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(v.JSON()), &members); err != nil {
			t.Fatal(err)
		}
		count := 0
		for name, m := range v.Members() {
			if m.JSON() != string(members[name]) {
				t.Fatalf("member: %s", m.JSON())
			}
			walk(t, m)
			count++
		}
		if count != len(members) {
			t.Errorf("%d members of %d", count, len(members))
		}
	default:
		if text, ok := v.Text(); ok {
			var want string
			if err := json.Unmarshal([]byte(v.JSON()), &want); err != nil || text != want {
				t.Errorf("text %q, %v", text, err)
			}
		}
	}
}
