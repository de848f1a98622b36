package main

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
)

// retyped finds relations that say the same in both versions of a method about a field that
// is not of the same type any more: of texts "10" is less than "9", and what has no presence
// is never absent. Equality has no other meaning with another type.
func retyped(older, newer ruledMethod) []rules.Loosening {
	before, was := members(older)
	after, is := members(newer)
	var found []rules.Loosening
	for i, b := range before {
		at := slices.IndexFunc(after, func(a rules.Binding) bool {
			return a.Field == b.Field && a.Tctx == b.Tctx && a.Relation == b.Relation
		})
		if b.Relation == "" || at < 0 {
			continue // which Loosened has seen
		}
		one, other := was[i].Field, is[at].Field
		if typeText(one) == typeText(other) && (!one.HasPresence() || other.HasPresence()) {
			continue
		}
		found = append(found, rules.Loosening{FullMethod: newer.name, Field: "bindings", Text: fmt.Sprintf(
			"%s is of the type %s, and was of %s: its relation to tctx.%s cannot be compared",
			b.Field, presenceText(other)+typeText(other), presenceText(one)+typeText(one), b.Tctx,
		)})
	}
	return found
}

// members are the bindings of a method and what they are about; none if they are not good,
// which is a problem of the method.
func members(m ruledMethod) ([]rules.Binding, []binding.MemberType) {
	types, err := rules.Members(m.rule.Bindings, m.descriptor.Input())
	if err != nil {
		return nil, nil
	}
	return m.rule.Bindings, types
}

// presenceText is what is before the type of a field that could be without it.
func presenceText(field protoreflect.FieldDescriptor) string {
	if field.Message() == nil && field.HasPresence() {
		return "optional "
	}
	return ""
}

// typeText is the type of a field as a proto file has it.
func typeText(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsMap():
		return "map<" + typeText(field.MapKey()) + ", " + typeText(field.MapValue()) + ">"
	case field.IsList():
		return "repeated " + elementText(field)
	default:
		return elementText(field)
	}
}

func elementText(field protoreflect.FieldDescriptor) string {
	switch {
	case field.Message() != nil:
		return string(field.Message().FullName())
	case field.Enum() != nil:
		return string(field.Enum().FullName())
	default:
		return field.Kind().String()
	}
}
