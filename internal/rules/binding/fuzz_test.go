package binding

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/internal/samejson"
	"github.com/grpc-trat/grpc-trat/trat"
)

// FuzzCheck holds requests to tctx and compares the answer with two slow ones: protojson,
// which reads more spellings than are equal here, must read the members as the fields; and
// members that are, as JSON, what is made of the message must be taken.
//
// Covers VER-18.
func FuzzCheck(f *testing.F) {
	list, err := Declared((&rulestestv1.Wide{}).ProtoReflect().Descriptor())
	if err != nil {
		f.Fatal(err)
	}
	compiled := mustBind(f, &rulestestv1.Wide{}, list...)
	seedCheck(f)
	f.Fuzz(func(t *testing.T, wire []byte, text string) {
		message := &rulestestv1.Wide{}
		if proto.Unmarshal(wire, message) != nil {
			return
		}
		m := message.ProtoReflect()
		made, makeErr := Details(message)
		if makeErr == nil {
			if err := compiled.Check(made, m); err != nil {
				t.Fatalf("what was made is denied: %v", err)
			}
		}
		tctx, err := trat.ParseObject(text)
		if err != nil {
			return
		}
		checkErr := compiled.Check(tctx, m)
		switch reason, _ := trat.ReasonOf(makeErr); {
		case checkErr == nil && makeErr != nil && !errors.Is(makeErr, errTooLarge) && !errors.Is(makeErr, errTooDeep) && !isTooLong(makeErr):
			t.Fatalf("passes, and nothing can be made: %s, %v", reason, makeErr)
		case checkErr == nil:
			for i := range compiled.list {
				wantRead(t, &compiled.list[i], tctx, m)
			}
		case makeErr == nil && sameMembers(compiled, tctx, made):
			t.Fatalf("denied, and the same as was made: %v", checkErr)
		}
		var denied *trat.Error
		if checkErr != nil && (!errors.As(checkErr, &denied) || denied.Reason != trat.ReasonPolicyDenied || denied.Field == "") {
			t.Fatalf("%v", checkErr)
		}
	})
}

// isTooLong reports whether the parameters were too long only as a whole.
func isTooLong(err error) bool {
	return errors.Is(err, trat.ReasonParameterInvalid) && strings.Contains(err.Error(), "longer than")
}

// wantRead fails unless protojson reads the member as the value of the field.
func wantRead(t *testing.T, b *binding, tctx trat.Object, m protoreflect.Message) {
	t.Helper()
	raw, there := tctx.Raw(b.member...)
	if !there || raw == "null" {
		if value, set, _ := b.get(m); set && !b.optional {
			t.Fatalf("%s: passes without a member: %v", b.name, value)
		}
		return
	}
	read := (&rulestestv1.Wide{}).ProtoReflect()
	text := raw
	for _, name := range slices.Backward(strings.Split(b.name, ".")) {
		text = `{"` + name + `":` + text + `}`
	}
	if err := protojson.Unmarshal([]byte(text), read.Interface()); err != nil {
		t.Fatalf("%s: passes, and protojson refuses it: %v", b.name, err)
	}
	said, saidSet, _ := b.get(read)
	value, set, _ := b.get(m)
	if saidSet != set || set && !said.Equal(value) {
		t.Fatalf("%s: passes, and protojson reads %v: %v", b.name, said, value)
	}
}

// sameMembers reports whether each bound member is the same JSON in both.
func sameMembers(compiled *Set, one, other trat.Object) bool {
	for i := range compiled.list {
		a, inOne := one.Raw(compiled.list[i].member...)
		b, inOther := other.Raw(compiled.list[i].member...)
		if inOne != inOther || inOne && !samejson.Equal(a, b) {
			return false
		}
	}
	return true
}

func seedCheck(f *testing.F) {
	r := randomizer{rand.New(rand.NewPCG(4, 5))}
	seed := func(message *rulestestv1.Wide, change func(string) string) {
		wire, err := proto.Marshal(message)
		if err != nil {
			f.Fatal(err)
		}
		made, err := Details(message)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire, change(made.JSON()))
	}
	same := func(text string) string { return text }
	seed(usualWide(), same)
	for _, pair := range [][2]string{
		{`9007199254740993`, `"9007199254740993"`},
		{`"COLOR_RED"`, `1`},
		{`"+/8="`, `"-_8"`},
		{`.500Z`, `.5Z`},
		{`T12:00:00.500Z`, `T14:00:00.5+02:00`},
		{`"unit_price":5`, `"unitPrice":"5"`},
		{`"label":"yes"`, `"displayName":"yes","sku":"","gift":null`},
		{`1e+23`, `1E23`},
		{`"float":0.1`, `"float":0.10`},
		{`{"bool"`, `{"more":[{"bool":1}],"bool"`},
		{`"z":null`, `"z":0`},
		{`"int64":0`, `"int64":"0"`},
		{`"enum"`, `"\u0065num"`},
		{`[1,-1`, `[-1,1`},
	} {
		seed(usualWide(), func(text string) string { return strings.Replace(text, pair[0], pair[1], 1) })
	}
	for range 8 {
		message := usualWide()
		for i := range message.ProtoReflect().Descriptor().Fields().Len() {
			if field := message.ProtoReflect().Descriptor().Fields().Get(i); field.Name() != "nested" && r.IntN(3) == 0 {
				message.ProtoReflect().Clear(field)
				r.field(message.ProtoReflect(), field, 2)
			}
		}
		seed(message, same)
	}
}
