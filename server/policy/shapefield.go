package policy

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
)

// shapeOfField returns which members a field of a request can be equal to.
func shapeOfField(field protoreflect.FieldDescriptor) shape {
	switch {
	case field.IsMap():
		return shape{form: formObject}
	case field.IsList():
		return shape{form: formList, elements: []shape{shapeOfSingular(field)}}
	default:
		return shapeOfSingular(field)
	}
}

// shapeOfSingular is shapeOfField for one value of the field: 64-bit integers may be written
// as text, as protojson does.
func shapeOfSingular(field protoreflect.FieldDescriptor) shape {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return shape{form: formBool}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return shape{form: formInteger}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return shape{form: formInteger | formText}
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return shape{form: formNumber}
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.EnumKind:
		return shape{form: formText}
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return shapeOfMessage(field.Message())
	}
	return shape{}
}

// shapeOfMessage knows the messages that are no objects in JSON.
func shapeOfMessage(message protoreflect.MessageDescriptor) shape {
	switch message.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask":
		return shape{form: formText}
	case "google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue",
		"google.protobuf.Int32Value", "google.protobuf.UInt32Value", "google.protobuf.Int64Value", "google.protobuf.UInt64Value",
		"google.protobuf.FloatValue", "google.protobuf.DoubleValue":
		if value := message.Fields().ByName("value"); value != nil {
			return shapeOfSingular(value)
		}
	case "google.protobuf.Value":
		return shape{form: formAnything}
	case "google.protobuf.ListValue":
		return shape{form: formList}
	}
	return shape{form: formObject}
}

// fieldText names the type of a field in problems.
func fieldText(field protoreflect.FieldDescriptor) string {
	name := field.Kind().String()
	switch {
	case field.IsMap():
		return "a map"
	case field.Message() != nil:
		name = string(field.Message().FullName())
	case field.Enum() != nil:
		name = string(field.Enum().FullName())
	}
	if field.IsList() {
		return "repeated " + name
	}
	return name
}

// boundText names the type that a relation wants of its member.
func boundText(bound *binding.MemberType) string {
	field := fieldText(bound.Field)
	switch bound.Bound {
	case binding.BoundList:
		return "a list of " + field
	case binding.BoundElement:
		return "an element of " + field
	default:
		return field
	}
}
