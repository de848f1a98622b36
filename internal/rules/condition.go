package rules

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

// condition is a compiled condition of Rule.When.
type condition struct {
	source       string
	namesRequest bool
	namesChain   bool
}

// compileCondition type-checks a condition; input is nil when the request is not known.
func compileCondition(source string, input protoreflect.MessageDescriptor) (*condition, error) {
	return nil, errNotBuilt
}

// holds evaluates it; message is nil unless it names the request. What cannot be evaluated
// does not hold: the error says why, and no values.
func (c *condition) holds(ctx context.Context, call *Call, message proto.Message) (bool, error) {
	return false, errNotBuilt
}

// text is a compiled expression that gives a string.
type text struct{ condition }

func compileText(source string, input protoreflect.MessageDescriptor) (*text, error) {
	return nil, errNotBuilt
}

func (t *text) value(ctx context.Context, call *Call, message proto.Message) (string, error) {
	return "", errNotBuilt
}

// relation is a compiled Binding.Relation.
type relation struct {
	// list says that bound is a list of the field's type, not one of it.
	list bool
}

func compileRelation(source string, field protoreflect.FieldDescriptor) (*relation, error) {
	return nil, errNotBuilt
}

// holds evaluates it for a field and the JSON text of the member that it is bound to.
func (r *relation) holds(this protoreflect.Value, member trat.Object, path []string) (bool, error) {
	return false, errNotBuilt
}
