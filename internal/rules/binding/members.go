package binding

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

// MemberType is a member that a binding needs, and what it must be.
type MemberType struct {
	Tctx     string
	Field    protoreflect.FieldDescriptor
	Bound    Bound
	Optional bool
	// Shape is that of the members that it can hold with.
	Shape Shape
	takes func(trat.Value) bool
}

// Takes reports whether the binding can hold with a certain member, whatever the relation
// says: whether some value of the field is equal to it, or the relation can read it.
func (m *MemberType) Takes(member trat.Value) bool { return m.takes(member) }

// Members returns what bindings need of tctx, in their order, for a policy that promises to
// provide it. It fails as Compile does.
func Members(list []Binding, input protoreflect.MessageDescriptor, relations RelationCompiler) ([]MemberType, error) {
	compiled, err := Compile(list, input, relations)
	if err != nil {
		return nil, err
	}
	members := make([]MemberType, len(compiled.list))
	for i, b := range compiled.list {
		m := MemberType{Tctx: compiled.names[b.slot], Field: b.leaf, Optional: b.optional}
		if b.relation != nil {
			m.Bound, m.takes = b.relation.Bound(), b.relation.Takes
		} else if m.takes, err = someValueOf(b.leaf); err != nil {
			return nil, about(b.name, err)
		}
		if m.Shape, err = m.Bound.shape(b.leaf); err != nil {
			return nil, about(b.name, err)
		}
		members[i] = m
	}
	return members, nil
}

// shape is that of the members that a binding of a field takes.
func (b Bound) shape(field protoreflect.FieldDescriptor) (Shape, error) {
	formOf := newForms().of
	if b == BoundElement {
		formOf = newForms().singular
	}
	form, err := formOf(field)
	if err != nil {
		return Shape{}, err
	}
	if b == BoundList {
		form = listForm{elements: form}
	}
	return form.shape(), nil
}

// someValueOf returns what reports whether some value of a field is equal to a member.
func someValueOf(field protoreflect.FieldDescriptor) (func(trat.Value) bool, error) {
	read, err := Reader(field)
	if err != nil {
		return nil, err
	}
	takes := func(member trat.Value) bool {
		_, ok := read(member)
		return ok
	}
	if !field.IsList() {
		return takes, nil
	}
	return func(member trat.Value) bool {
		for element := range member.Elements() {
			if !takes(element) {
				return false
			}
		}
		return member.IsArray()
	}, nil
}
