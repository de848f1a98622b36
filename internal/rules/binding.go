package rules

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

// FieldBindings returns the bindings that the fields of a message have by option, its own
// and those of singular messages in it, with Field from input on.
func FieldBindings(input protoreflect.MessageDescriptor) ([]Binding, error) {
	return nil, errNotBuilt
}

// bindings are the compiled bindings of one message type.
type bindings struct{}

// compileBindings resolves every name and checks every type.
func compileBindings(list []Binding, input protoreflect.MessageDescriptor) (*bindings, error) {
	return nil, errNotBuilt
}

// check returns POLICY_DENIED, as an *trat.Error with the field, for the first binding that
// does not hold.
func (b *bindings) check(tctx trat.Object, message protoreflect.Message) error {
	return errNotBuilt
}

// MemberType is a member that a binding needs, and what it must be.
type MemberType struct {
	Tctx     string
	Field    protoreflect.FieldDescriptor
	Relation bool // the member is what Relation wants: the field's type or a list of it
	Optional bool
}

// Members returns what bindings need of tctx, for a policy that promises to provide it.
func Members(list []Binding, input protoreflect.MessageDescriptor) ([]MemberType, error) {
	return nil, errNotBuilt
}
