package binding

import (
	"errors"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Relation is a compiled Binding.Relation. It is safe for concurrent use.
type Relation interface {
	// Bound is how it takes its member.
	Bound() Bound
	// Takes reports whether it can be asked about a member, whatever the field's value.
	Takes(member trat.Value) bool
	// Holds asks it about the value of the field and a member that is there. The error says
	// why it cannot be told, and no values.
	Holds(this protoreflect.Value, member trat.Value) (bool, error)
}

// RelationCompiler compiles the source of a relation for a field.
type RelationCompiler func(source string, field protoreflect.FieldDescriptor) (Relation, error)

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

var errNoRelations = errors.New("there is nothing here that compiles relations")

// noRelations is the RelationCompiler of who knows none.
func noRelations(string, protoreflect.FieldDescriptor) (Relation, error) { return nil, errNoRelations }
