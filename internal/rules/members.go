package rules

import "google.golang.org/protobuf/reflect/protoreflect"

// MemberType is a member that a binding needs, and what it must be.
type MemberType struct {
	Tctx     string
	Field    protoreflect.FieldDescriptor
	Bound    Bound
	Optional bool
}

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
		if b.relation != nil {
			members[i].Bound = b.relation.as
		}
	}
	return members, nil
}
