package rules

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
	takes    func(trat.Value) bool
}

// Takes reports whether the binding can hold with a certain member, whatever the relation
// says: whether some value of the field is equal to it, or the relation can read it.
func (m *MemberType) Takes(member trat.Value) bool { return m.takes(member) }

// Bound is how a binding takes its member.
type Bound uint8

// The zero Bound is that of equality; the others are of relations, each of which takes one
// of them.
const (
	BoundEqual   Bound = iota // as what the field can be equal to
	BoundValue                // as a value of the field's type
	BoundList                 // as a list of such values
	BoundElement              // as an element of the field, which is repeated
)

// Members returns what bindings need of tctx, in their order, for a policy that promises to
// provide it. It fails as compiling the bindings does.
func Members(list []Binding, input protoreflect.MessageDescriptor) ([]MemberType, error) {
	compiled, err := compileBindings(list, input)
	if err != nil {
		return nil, err
	}
	members := make([]MemberType, len(compiled.list))
	for i, b := range compiled.list {
		members[i] = MemberType{Tctx: compiled.names[b.slot], Field: b.leaf, Optional: b.optional}
		if b.relation == nil {
			members[i].takes = someValueOf(b.leaf, b.form)
			continue
		}
		members[i].Bound = b.relation.as
		members[i].takes = func(member trat.Value) bool { _, ok := b.relation.bound(member); return ok }
	}
	return members, nil
}

// someValueOf returns what reports whether a value of a field is equal to a member.
func someValueOf(field protoreflect.FieldDescriptor, whole form) func(trat.Value) bool {
	parse := readSingular(field)
	switch of := whole.(type) {
	case mapForm:
		parse = readMap(field)
	case listForm:
		return func(member trat.Value) bool {
			for element := range member.Elements() {
				if v, ok := parse(element); !ok || !of.elements.equals(v, element) {
					return false
				}
			}
			return member.IsArray()
		}
	}
	return func(member trat.Value) bool {
		v, ok := parse(member)
		return ok && whole.equals(v, member)
	}
}
