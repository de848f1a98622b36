package binding

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// wantBound checks the property that bindings are for: what was made from message passes,
// and no other tctx and no other message does.
func wantBound(t *testing.T, compiled *Set, message protoreflect.Message, made trat.Object) {
	t.Helper()
	if err := compiled.Check(made, message); err != nil {
		t.Fatalf("what was made from it is denied: %v", err)
	}
	denied := func(tctx trat.Object, m protoreflect.Message, what string, fields ...string) {
		err := compiled.Check(tctx, m)
		if err == nil {
			t.Errorf("%s: passes\n%s\n%v", what, tctx.JSON(), m)
			return
		}
		var field string
		if failure, ok := err.(*trat.Error); ok { //nolint:errorlint // the type itself is the contract
			field = failure.Field
		}
		if reason, _ := trat.ReasonOf(err); reason != trat.ReasonPolicyDenied || fields != nil && !slices.Contains(fields, field) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range compiled.list {
		b := &compiled.list[i]
		parent, err := b.parent(message)
		if err != nil || parent == nil {
			t.Fatalf("%s: not reached, %v", b.name, err)
		}
		for _, c := range changesOfField(parent, b.leaf) {
			changed := proto.Clone(message.Interface()).ProtoReflect()
			changedParent, err := b.parent(changed)
			if err != nil {
				t.Fatal(err)
			}
			c.apply(changedParent)
			if proto.Equal(changed.Interface(), message.Interface()) && !strings.HasSuffix(c.what, "changed") { // 0 and -0 are equal there
				t.Fatalf("%s, %s: no change", b.name, c.what)
			}
			denied(made, changed, b.name+", "+c.what, fieldsOfOneof(compiled, b)...)
		}
		for n := range b.way {
			changed := proto.Clone(message.Interface()).ProtoReflect()
			up := fieldPath{way: b.way[:n]}
			above, err := up.parent(changed)
			if err != nil {
				t.Fatal(err)
			}
			above.Clear(b.way[n])
			denied(made, changed, b.name+", unset on the way")
		}
	}
	var tree map[string]any
	d := json.NewDecoder(strings.NewReader(made.JSON()))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	eachTreeChange(tree, func(v any) { tree, _ = v.(map[string]any) }, func(what string) {
		text, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		if changed, err := trat.ParseObject(string(text)); err == nil { // else no token holds it
			denied(changed, message, "tctx "+what)
		}
	})
}

// fieldsOfOneof are the bound fields that a change to one may be reported as.
func fieldsOfOneof(compiled *Set, b *binding) []string {
	fields := []string{b.name}
	for i := range compiled.list {
		if oneof := b.leaf.ContainingOneof(); oneof != nil && compiled.list[i].leaf.ContainingOneof() == oneof {
			fields = append(fields, compiled.list[i].name)
		}
	}
	return fields
}

// eachTreeChange makes each single change to a decoded JSON value in turn, and undoes it.
// Where a member more means nothing, in an object that is not bound itself, none is added.
func eachTreeChange(v any, set func(any), try func(what string)) {
	replace := func(what string, by any) {
		set(by)
		try(what)
		set(v)
	}
	if v != nil {
		replace("null", nil)
	}
	switch v := v.(type) {
	case nil:
		replace("null to false", false)
	case bool:
		replace("bool", !v)
		replace("bool to text", "true")
	case string:
		replace("text", v+"x")
		replace("text to number", json.Number("7"))
	case json.Number:
		if v == "0" || v == "-0" {
			replace("one", json.Number("1"))
		} else {
			replace("a digit more", v+"1")
		}
		replace("an element", []any{v})
		if v[0] == '-' {
			replace("sign", v[1:])
		} else {
			replace("sign", "-"+v)
		}
	case []any:
		replace("longer", append(slices.Clone(v), nil))
		for i := range v {
			replace("shorter", slices.Delete(slices.Clone(v), i, i+1))
			eachTreeChange(v[i], func(by any) { v[i] = by }, func(what string) { try("element: " + what) })
		}
	case map[string]any:
		replace("to a list", []any{v})
		for _, name := range slices.Sorted(maps.Keys(v)) {
			member := v[name]
			delete(v, name)
			try("without " + name)
			if _, taken := v[name+"x"]; !taken {
				v[name+"x"] = member
				try("renamed " + name)
				delete(v, name+"x")
			}
			v[name] = member
			eachTreeChange(member, func(by any) { v[name] = by }, func(what string) { try(name + ": " + what) })
		}
	}
}

// Covers VER-18.
func TestWhatIsMadeFromARandomMessagePassesAndNoChangeDoes(t *testing.T) {
	r := randomizer{rand.New(rand.NewPCG(1, 2))}
	list, err := Declared((&rulestestv1.Wide{}).ProtoReflect().Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	compiled := mustBind(t, &rulestestv1.Wide{}, list...)
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		message := usualWide()
		fields := message.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if r.IntN(4) > 0 && fields.Get(i).Name() != "nested" {
				message.ProtoReflect().Clear(fields.Get(i))
				r.field(message.ProtoReflect(), fields.Get(i), 3)
			}
		}
		message.Nested.Deeper.Cents = r.Uint64()
		made, err := Details(message)
		if err != nil {
			t.Fatal(err)
		}
		wantBound(t, compiled, message.ProtoReflect(), made)
		// What is not bound may change.
		message.Nested.Free += "x"
		message.Plain = append(message.Plain, &rulestestv1.Plain{})
		if err := compiled.Check(made, withUnknown(message).ProtoReflect()); err != nil {
			t.Errorf("what is not bound is denied: %v", err)
		}
	}
}
