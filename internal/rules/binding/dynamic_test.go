package binding

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/rules/options"
)

// randomType is a message type with bound fields of random kinds, at random members, and
// with a message in it in which fields are bound too.
func (r randomizer) randomType(t *testing.T) protoreflect.MessageDescriptor {
	members := 0
	bind := func(f *descriptorpb.FieldDescriptorProto) *descriptorpb.FieldDescriptorProto {
		members++
		f.Options = &descriptorpb.FieldOptions{}
		proto.SetExtension(f.GetOptions(), tratv1.E_Bind, &tratv1.Binding{
			// No member is part of another one: a name ends with its depth.
			Tctx:     strings.Repeat(fmt.Sprintf("g%d.", r.IntN(3)), r.IntN(3)) + fmt.Sprintf("m%d", members),
			Optional: f.Proto3Optional != nil && r.IntN(2) == 0,
		})
		return f
	}
	message := func(name string, bound bool, inner ...string) *descriptorpb.DescriptorProto {
		m := &descriptorpb.DescriptorProto{Name: new(name)}
		for number := range int32(2 + r.IntN(8)) {
			f := r.randomField(m, number+1, inner)
			if bound && r.IntN(4) > 0 {
				bind(f)
			}
			m.Field = append(m.Field, f)
		}
		return m
	}
	input := message("Input", true, ".Leaf", ".Node", ".google.protobuf.Timestamp", ".google.protobuf.Struct", ".google.protobuf.Int64Value")
	input.Field = append(input.Field,
		bind(protoField("always", 100, descriptorpb.FieldDescriptorProto_TYPE_INT64, "")),
		protoField("within", 101, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, ".Within"))
	for i, f := range input.GetField() { // real oneofs come first, and there are none
		if f.Proto3Optional != nil {
			input.OneofDecl = append(input.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: new(fmt.Sprintf("_f%d", i))})
			f.OneofIndex = new(int32(len(input.GetOneofDecl()) - 1))
		}
	}
	within := message("Within", true)
	leaf := message("Leaf", false)
	node := message("Node", false, ".Node", ".Leaf", ".google.protobuf.Duration", ".google.protobuf.ListValue")
	for _, m := range []*descriptorpb.DescriptorProto{within, leaf, node} {
		for _, f := range m.GetField() {
			f.Proto3Optional = nil
			if f.GetOptions() != nil {
				b, _ := proto.GetExtension(f.GetOptions(), tratv1.E_Bind).(*tratv1.Binding)
				b.Optional = false
			}
		}
	}
	return messageTypesOf(t, &descriptorpb.FileDescriptorProto{
		Name: new("random.proto"), Syntax: new("proto3"),
		Dependency:  []string{"google/protobuf/timestamp.proto", "google/protobuf/duration.proto", "google/protobuf/struct.proto", "google/protobuf/wrappers.proto"},
		MessageType: []*descriptorpb.DescriptorProto{input, within, leaf, node},
		EnumType: []*descriptorpb.EnumDescriptorProto{{Name: new("E"), Value: []*descriptorpb.EnumValueDescriptorProto{
			{Name: new("ZERO"), Number: proto.Int32(0)}, {Name: new("TWO"), Number: proto.Int32(2)},
		}}},
	}).ByName("Input")
}

// randomField is a field of m: singular, optional, a list or a map.
func (r randomizer) randomField(m *descriptorpb.DescriptorProto, number int32, inner []string) *descriptorpb.FieldDescriptorProto {
	name := fmt.Sprintf("f_%d", number)
	kind, of := r.randomKind(inner)
	f := protoField(name, number, kind, of)
	switch r.IntN(5) {
	case 0:
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	case 1:
		keys := []descriptorpb.FieldDescriptorProto_Type{
			descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_BOOL, descriptorpb.FieldDescriptorProto_TYPE_SINT64,
			descriptorpb.FieldDescriptorProto_TYPE_FIXED32, descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_UINT64,
		}
		entry := fmt.Sprintf("F%dEntry", number)
		m.NestedType = append(m.NestedType, &descriptorpb.DescriptorProto{
			Name: new(entry), Options: &descriptorpb.MessageOptions{MapEntry: new(true)},
			Field: []*descriptorpb.FieldDescriptorProto{protoField("key", 1, keys[r.IntN(len(keys))], ""), protoField("value", 2, kind, of)},
		})
		f = protoField(name, number, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, "."+m.GetName()+"."+entry)
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	case 2:
		if kind != descriptorpb.FieldDescriptorProto_TYPE_MESSAGE && m.GetName() == "Input" {
			f.Proto3Optional = new(true)
		}
	}
	return f
}

func (r randomizer) randomKind(inner []string) (kind descriptorpb.FieldDescriptorProto_Type, of string) {
	if len(inner) > 0 && r.IntN(3) == 0 {
		return descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, inner[r.IntN(len(inner))]
	}
	switch kind = descriptorpb.FieldDescriptorProto_Type(1 + r.IntN(18)); kind {
	case descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, descriptorpb.FieldDescriptorProto_TYPE_GROUP:
		return descriptorpb.FieldDescriptorProto_TYPE_STRING, ""
	case descriptorpb.FieldDescriptorProto_TYPE_ENUM:
		return kind, ".E"
	default:
		return kind, ""
	}
}

// setRequired sets what must be set, in m and in the messages in it that are not bound.
func (r randomizer) setRequired(m protoreflect.Message) {
	for i := range m.Descriptor().Fields().Len() {
		field := m.Descriptor().Fields().Get(i)
		option, err := options.Field(field)
		switch {
		case err != nil || field.IsList() || field.IsMap():
		case option == nil && field.Name() == "within":
			r.setRequired(m.Mutable(field).Message())
		case option != nil && !option.GetOptional() && field.HasPresence() && !m.Has(field):
			r.field(m, field, 2)
		}
	}
}

// Covers VER-18.
func TestRandomTypesAreBoundAsGeneratedOnesAre(t *testing.T) {
	rounds := uint64(40)
	if testing.Short() {
		rounds = 5
	}
	for seed := range rounds {
		r := randomizer{rand.New(rand.NewPCG(seed, 3))}
		input := r.randomType(t)
		list, err := Declared(input)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		compiled, err := Compile(list, input, nil)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for range 3 {
			message := dynamicpb.NewMessage(input)
			r.message(message, 3)
			r.setRequired(message)
			made, err := Details(message)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			wantBound(t, compiled, message, made)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
