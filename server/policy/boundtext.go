package policy

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
)

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
