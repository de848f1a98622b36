package binding

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
)

func compileError(list []Binding, input protoreflect.MessageDescriptor) error {
	_, err := Compile(list, input, nil)
	return err
}

// wantProblems fails unless err says all of want, and nothing is wanted of no error.
func wantProblems(t *testing.T, name string, want []string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", name)
		return
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", name, err, text)
		}
	}
}

// messageTypesOf is the message types of a file that the program does not have.
func messageTypesOf(t *testing.T, file *descriptorpb.FileDescriptorProto) protoreflect.MessageDescriptors {
	t.Helper()
	built, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return built.Messages()
}

// foreignKinds is Kinds of a descriptor that is not the one of the generated code.
func foreignKinds(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	return messageTypesOf(t, protodesc.ToFileDescriptorProto(rulestestv1.File_rulestest_v1_bind_proto)).ByName("Kinds")
}

// protoField is a field of a message in a file that is built for a test.
func protoField(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, of string) *descriptorpb.FieldDescriptorProto {
	f := &descriptorpb.FieldDescriptorProto{
		Name: new(name), Number: new(number), Type: kind.Enum(),
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
	if of != "" {
		f.TypeName = new(of)
	}
	return f
}

// Covers VER-18.
func TestEnumsMayHaveSeveralNamesForANumber(t *testing.T) {
	value := func(name string, number int32) *descriptorpb.EnumValueDescriptorProto {
		return &descriptorpb.EnumValueDescriptorProto{Name: new(name), Number: new(number)}
	}
	input := messageTypesOf(t, &descriptorpb.FileDescriptorProto{
		Name: new("alias.proto"), Syntax: new("proto3"),
		EnumType: []*descriptorpb.EnumDescriptorProto{{
			Name: new("E"), Options: &descriptorpb.EnumOptions{AllowAlias: new(true)},
			Value: []*descriptorpb.EnumValueDescriptorProto{value("NONE", 0), value("ONE", 1), value("FIRST", 1)},
		}},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: new("M"), Field: []*descriptorpb.FieldDescriptorProto{protoField("e", 1, descriptorpb.FieldDescriptorProto_TYPE_ENUM, ".E")},
		}},
	}).ByName("M")
	message := dynamicpb.NewMessage(input)
	message.Set(input.Fields().ByName("e"), protoreflect.ValueOfEnum(1))
	runFormCases(t, map[string]formCase{"alias": {message, "e", `"ONE"`, []string{`"ONE"`, `"FIRST"`}, []string{`1`, `"NONE"`, `"TWO"`, `"1"`}}})
}

// Covers VER-18.
func TestTypesThatCannotBeComparedAreRefused(t *testing.T) {
	named := func(name, json string, number int32) *descriptorpb.FieldDescriptorProto {
		f := protoField(name, number, descriptorpb.FieldDescriptorProto_TYPE_STRING, "")
		f.JsonName = new(json)
		return f
	}
	message := func(name string, fields ...*descriptorpb.FieldDescriptorProto) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: new(name), Field: fields}
	}
	const inner = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	input := messageTypesOf(t, &descriptorpb.FileDescriptorProto{
		Name: new("odd.proto"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			message("Swapped", named("a", "b", 1), named("b", "a", 2)),
			message("Input", protoField("swapped", 1, inner, ".Swapped")),
		},
	}).ByName("Input")
	wantProblems(t, "names", []string{`field "swapped"`, "could be two fields"}, compileError([]Binding{{Field: "swapped", Tctx: "a"}}, input))

	const (
		int32Type, int64Type = descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_INT64
		stringType           = descriptorpb.FieldDescriptorProto_TYPE_STRING
	)
	seconds := protoField("seconds", 1, int64Type, "")
	seconds.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	for name, fields := range map[string][]*descriptorpb.FieldDescriptorProto{
		"Timestamp":   {protoField("seconds", 1, stringType, "")},
		"Duration":    {seconds, protoField("nanos", 2, int32Type, "")},
		"Value":       nil,
		"FieldMask":   {protoField("paths", 1, stringType, "")},
		"StringValue": {protoField("value", 1, stringType, ""), protoField("beside", 2, stringType, "")},
	} {
		input := messageTypesOf(t, &descriptorpb.FileDescriptorProto{
			Name: new("false.proto"), Package: new("google.protobuf"), Syntax: new("proto3"),
			MessageType: []*descriptorpb.DescriptorProto{message(name, fields...), message("Input", protoField("f", 1, inner, ".google.protobuf."+name))},
		}).ByName("Input")
		if err := compileError([]Binding{{Field: "f", Tctx: "a"}}, input); err == nil {
			t.Errorf("%s by name only: no error", name)
		}
	}
}

// Covers VER-18.
func TestANullIsNoValueHoweverItIsEncoded(t *testing.T) {
	delimited := protoField("value", 1, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, ".google.protobuf.Value")
	delimited.Options = &descriptorpb.FieldOptions{Features: &descriptorpb.FeatureSet{
		MessageEncoding: descriptorpb.FeatureSet_DELIMITED.Enum(),
	}}
	input := messageTypesOf(t, &descriptorpb.FileDescriptorProto{
		Name: new("delimited.proto"), Syntax: new("editions"), Edition: descriptorpb.Edition_EDITION_2023.Enum(),
		Dependency:  []string{"google/protobuf/struct.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{Name: new("M"), Field: []*descriptorpb.FieldDescriptorProto{delimited}}},
	}).ByName("M")
	message := dynamicpb.NewMessage(input)
	message.Set(input.Fields().ByName("value"), protoreflect.ValueOfMessage(structpb.NewNullValue().ProtoReflect()))
	if err := mustBind(t, message, Binding{Field: "value", Tctx: "m", Optional: true}).Check(mustObject(t, `{}`), message); err != nil {
		t.Errorf("both absent: %v", err)
	}
	wantDenied(t, mustBind(t, message, Binding{Field: "value", Tctx: "m"}).Check(mustObject(t, `{"m":1}`), message), "value", "is not set")
}
