package binding

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers VER-18.
func TestFieldBindingsAreThoseOfTheMessageAndOfSingularOnesInIt(t *testing.T) {
	four := []Binding{
		{Field: "amount_cents", Tctx: "amount_cents"},
		{Field: "order_id", Tctx: "order_id"},
		{Field: "quantity", Tctx: "quantity"},
		{Field: "express", Tctx: "express"},
	}
	file, err := protodesc.NewFile(protodesc.ToFileDescriptorProto(rulestestv1.File_rulestest_v1_bind_proto), protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		input protoreflect.MessageDescriptor
		want  []Binding
	}{
		"its own":                 {(&rulestestv1.Four{}).ProtoReflect().Descriptor(), four},
		"of a descriptor by file": {file.Messages().ByName("Four"), four},
		"of a message in it":      {(&rulestestv1.Nested{}).ProtoReflect().Descriptor(), []Binding{{Field: "order_id", Tctx: "order.id"}, {Field: "deeper.cents", Tctx: "order.cents"}}},
		"none":                    {(&rulestestv1.Plain{}).ProtoReflect().Descriptor(), nil},
		"none, recursive":         {(&rulestestv1.Kinds{}).ProtoReflect().Descriptor(), nil},
	} {
		got, err := Declared(tc.input)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	wide, err := Declared((&rulestestv1.Wide{}).ProtoReflect().Descriptor())
	if err != nil || len(wide) != 27 {
		t.Errorf("%d bindings of Wide, %v", len(wide), err)
	}
}

// Covers VER-18.
func TestOptionsThatWouldBindNoFieldOrManyAreRefused(t *testing.T) {
	for _, tc := range []struct {
		message proto.Message
		want    []string
	}{
		{&rulestestv1.BoundInList{}, []string{`field "nested"`, "rulestest.v1.Nested.order_id in it is bound", "bind rulestest.v1.BoundInList.nested as a whole"}},
		{&rulestestv1.BoundInMap{}, []string{`field "nested"`, "rulestest.v1.Nested.order_id in it is bound"}},
		{&rulestestv1.BoundByRecursion{}, []string{`field "next"`, "contains itself"}},
		{&rulestestv1.BoundInBound{}, []string{`field "nested"`, "is bound as a whole, and so is rulestest.v1.Nested.order_id in it"}},
		{&rulestestv1.BoundNowhere{}, []string{`field "text"`, "names no member"}},
		{&rulestestv1.BoundExtension{}, []string{`field "bound_beside"`, "an extension cannot be bound"}},
		{&rulestestv1.BoundInExtension{}, []string{`field "carried_beside"`, "rulestest.v1.BoundHere.text in it is bound", "extension"}},
		{&rulestestv1.BoundInExtensionBelow{}, []string{`field "inner.carried_below"`, "rulestest.v1.BoundHere.text in it is bound", "extension"}},
	} {
		_, err := Declared(tc.message.ProtoReflect().Descriptor())
		wantProblems(t, string(tc.message.ProtoReflect().Descriptor().Name()), tc.want, err)
		if _, err := Details(tc.message); err == nil {
			t.Errorf("%T: has details", tc.message)
		}
	}
	list, err := Declared((&rulestestv1.BoundPrefix{}).ProtoReflect().Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	wantProblems(t, "prefix", []string{`"a.text" is part of "a"`}, compileError(list, (&rulestestv1.BoundPrefix{}).ProtoReflect().Descriptor()))
}

// Covers VER-18.
func TestFieldsOfEditionsAndExtensions(t *testing.T) {
	list, err := Declared((&rulestestv1.Edition{}).ProtoReflect().Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	full := func() *rulestestv1.Edition {
		return &rulestestv1.Edition{
			Number: proto.Int64(0), Text: new("none"), Closed: rulestestv1.Closed_CLOSED_ONE.Enum(), Raw: []byte{},
			Extended: &rulestestv1.Extended{Text: new("")}, Delimited: &rulestestv1.Part2{Count: proto.Int32(1)}, Unchecked: new("x"),
		}
	}
	const made = `{"number":0,"text":"none","implicit":"","closed":"CLOSED_ONE","extended":{"text":""},"delimited":{"count":1},"raw":"","unchecked":"x"}`
	details, err := Details(full())
	if err != nil || details.JSON() != made {
		t.Fatalf("made of it: %s, %v", details.JSON(), err)
	}
	b := mustBind(t, full(), list...)
	within := full()
	proto.SetExtension(within.GetExtended(), rulestestv1.E_Within, "x")
	beside := full()
	proto.SetExtension(beside, rulestestv1.E_Beside, "x")
	unknownNumber := full()
	unknownNumber.Closed = nil
	unknownNumber.ProtoReflect().SetUnknown([]byte{4 << 3, 9}) // what parsing makes of a closed enum's 9
	for name, tc := range map[string]struct {
		message *rulestestv1.Edition
		tctx    string
		field   string
	}{
		"all there":                {full(), made, ""},
		"an extension beside":      {beside, made, ""},
		"an extension within":      {within, made, "extended"},
		"one that tctx names":      {within, strings.Replace(made, `"extended":{"text":""}`, `"extended":{"text":"","[rulestest.v1.within]":"x"}`, 1), "extended"},
		"zero is set":              {full(), strings.Replace(made, `"number":0`, `"number":1`, 1), "number"},
		"a default is not a value": {&rulestestv1.Edition{Number: proto.Int64(0)}, made, "text"},
		"a closed enum's unknown":  {unknownNumber, made, "closed"},
		"empty, with presence":     {full(), strings.Replace(made, `"extended":{"text":""}`, `"extended":{}`, 1), "extended"},
	} {
		err := b.Check(mustObject(t, tc.tctx), tc.message.ProtoReflect())
		if tc.field == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wantDenied(t, err, tc.field, "")
	}
	var failure *trat.Error
	if _, err := Details(within); !errors.As(err, &failure) || failure.Reason != trat.ReasonParameterInvalid || failure.Field != "extended" {
		t.Errorf("made of an extension: %v", err)
	}
	invalid := full()
	invalid.Unchecked = new("x\xff")
	wantDenied(t, b.Check(mustObject(t, strings.Replace(made, `"unchecked":"x"`, `"unchecked":"x\ufffd"`, 1)), invalid.ProtoReflect()), "unchecked", "is not what tctx has")
}
