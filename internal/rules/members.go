package rules

import "google.golang.org/protobuf/reflect/protoreflect"

// MemberType is a member that a binding needs, and what it must be.
type MemberType struct {
	Tctx     string
	Field    protoreflect.FieldDescriptor
	Relation bool // the member is what Relation wants: the field's type or a list of it
	Optional bool
}

// Members returns what bindings need of tctx, in their order, for a policy that promises to
// provide it. It fails as compiling the bindings does.
func Members(list []Binding, input protoreflect.MessageDescriptor) ([]MemberType, error) {
	compiled, err := compileBindings(list, input)
	if err != nil {
		return nil, err
	}
	members := make([]MemberType, len(compiled.list))
	for i, b := range compiled.list {
		members[i] = MemberType{Tctx: compiled.names[b.slot], Field: b.leaf, Relation: b.relation != nil, Optional: b.optional}
	}
	return members, nil
}
