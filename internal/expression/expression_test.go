package expression

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/grpc-trat/grpc-trat/trat"
)

func testEnv(tb testing.TB) *cel.Env {
	tb.Helper()
	env, err := NewEnv(NewMessages(nil),
		cel.Variable("object", types.NewMapType(types.StringType, types.DynType)),
		cel.Variable("names", types.NewListType(types.StringType)),
		cel.Variable("text", types.StringType),
	)
	if err != nil {
		tb.Fatal(err)
	}
	return env
}

func mustCompile(tb testing.TB, source string) *Program {
	tb.Helper()
	p, issues := Compile(testEnv(tb), source, Kind{Result: WantBool})
	if issues != nil {
		tb.Fatalf("%s: %v", source, issues)
	}
	return p
}

func variables(tb testing.TB, object string, names []string, text string) cel.Activation {
	tb.Helper()
	o, err := trat.ParseObject(object)
	if err != nil {
		tb.Fatal(err)
	}
	list := newList(types.NewStringList(types.DefaultTypeAdapter, names))
	a, err := cel.NewActivation(map[string]any{"object": Object(o), "names": list, "text": text})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// Whatever way a long list is made, no macro walks it.
func TestLongListsAreNotWalked(t *testing.T) {
	names := make([]string, maxWalk+1)
	in := variables(t, `{"names":["a"]}`, names, "")
	half := variables(t, `{}`, names[:maxWalk/2+1], "")
	for source, in := range map[string]cel.Activation{
		"names.all(n, n == '')": in, "(names + []).all(n, n == '')": in, "([] + names).all(n, n == '')": in,
		"(['a'] + names).all(n, n == '')": in, "(names + ['a']).all(n, n == '')": in, "(names + object.names).all(n, n == '')": in,
		"(object.names + names).all(n, n == '')": in, "(names + names).all(n, n == '')": half,
	} {
		if out, err := mustCompile(t, source).Eval(in); err == nil {
			t.Errorf("%s = %v", source, out)
		}
	}
	for source, in := range map[string]cel.Activation{
		"size(names) > 1000 && '' in names && names[1000] == ''": in,
		"names.all(n, n == '')":                                  half,
	} {
		if out, err := mustCompile(t, source).Eval(in); err != nil || out != types.True {
			t.Errorf("%s = %v, %v", source, out, err)
		}
	}
}

func TestObjectsKeepEveryDigitAndHaveNoNulls(t *testing.T) {
	in := variables(t, `{"int":-9223372036854775808,"uint":18446744073709551615,"double":1.5,"null":null,"\u0061":"\u00e4","list":[1,null,{"null":null}]}`, nil, "")
	for _, source := range []string{
		"object.int == -9223372036854775808 && object.uint == 18446744073709551615u && object.double == 1.5",
		"!has(object.`null`) && !('null' in object) && size(object) == 5 && object.all(k, k != 'null')",
		"object.a == 'ä' && object.list[1] == null && object.list[2] == {}",
		"object == object && object != {} && {'a': object.list} == {'a': [1, null, {}]}",
		"!(1 in object.list[2]) && size(object.list) == 3",
	} {
		if out, err := mustCompile(t, source).Eval(in); err != nil || out != types.True {
			t.Errorf("%s = %v, %v", source, out, err)
		}
	}
}

// A macro asks for the same members again and again.
func TestMembersAreMadeOnce(t *testing.T) {
	o, err := trat.ParseObject(`{"list":[1],"object":{"a":[2]},"null":null}`)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := Object(o).(traits.Mapper)
	if !ok {
		t.Fatal("an object is no map")
	}
	for _, name := range []types.String{"list", "object"} {
		first, _ := m.Find(name)
		if again, found := m.Find(name); !found || first != again {
			t.Errorf("%s is made twice", name)
		}
	}
	for i := range 2 * maxFound {
		for _, name := range []types.String{"null", "absent", types.String(strconv.Itoa(i))} {
			if v, found := m.Find(name); found || v != nil {
				t.Errorf("%s: %v", name, v)
			}
		}
	}
	if v, found := m.Find(types.String("list")); !found || m.Size() != types.Int(2) {
		t.Errorf("list: %v of %v members", v, m.Size())
	}
}

// The cost of a comparison is that of the smaller side, whichever it is.
func TestAComparisonCostsWhatTheSmallerSideDoes(t *testing.T) {
	list := func(n int) ref.Val { return types.NewStringList(types.DefaultTypeAdapter, make([]string, n)) }
	for _, tc := range []struct {
		one, other ref.Val
		want       uint64
	}{
		{list(0), list(10_000), 1},
		{list(10), list(10_000), 21},
		{list(100), list(101), 201},
		{list(1000), list(100_000), 2001},
		{list(10_000_000), list(10_000_000), MaxCost},
		{types.String(strings.Repeat("a", 640)), types.String(strings.Repeat("a", 6400)), 11},
		{types.Int(1), list(5), 1},
	} {
		if got, back := compared(tc.one, tc.other), compared(tc.other, tc.one); got != tc.want || back != tc.want {
			t.Errorf("%d and %d, want %d", got, back, tc.want)
		}
	}
}

func TestTextThatIsTooLongIsNotMatched(t *testing.T) {
	p := mustCompile(t, "text.matches('a*')")
	if out, err := p.Eval(variables(t, `{}`, nil, strings.Repeat("a", MaxText))); err != nil || out != types.True {
		t.Errorf("%v, %v", out, err)
	}
	_, err := p.Eval(variables(t, `{}`, nil, strings.Repeat("a", MaxText+1)))
	if err == nil || Cause(err) != errLongText.Error() {
		t.Errorf("error %v", err)
	}
}

// Covers PRIV-07.
func TestACauseHoldsNoValue(t *testing.T) {
	if got := Cause(errors.New("no such key: secret")); got != "no such key" {
		t.Errorf("cause %q", got)
	}
	if got := Cause(errors.New("secret")); got != "evaluation failed" {
		t.Errorf("cause %q", got)
	}
	for _, own := range ours {
		wrapped, ok := types.WrapErr(own).(*types.Err)
		if !ok || Cause(wrapped) != own.Error() {
			t.Errorf("of %v: %v", own, wrapped)
		}
	}
}

func TestAKindMayHaveALowerLimit(t *testing.T) {
	const source = "names.all(n, names.all(m, n == m))"
	in := variables(t, `{}`, make([]string, 100), "")
	for limit, ends := range map[uint64]bool{0: false, MaxCost: false, 1000: true} {
		p, issues := Compile(testEnv(t), source, Kind{Result: WantBool, Limit: limit})
		if issues != nil {
			t.Fatal(issues)
		}
		if _, err := p.Eval(in); (err != nil) != ends || ends && Cause(err) != "actual cost limit exceeded" {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}
