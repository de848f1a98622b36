package rules

import (
	"errors"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/expression"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Names of the variables of relations.
const (
	thisVar  = "this"
	boundVar = "bound"
)

// relation is a compiled Binding.Relation. It is immutable and safe for concurrent use.
type relation struct {
	// list says that bound is a list of the field's type, not one of it.
	list    bool
	program *expression.Program
	this    expression.Read
	bound   memberReader
}

var errNoRelation = errors.New("names this and bound, both of them")

// compileRelation type-checks a relation with bound as the type of the field; if it does
// not compile, as a list of that; if it does not, and the field is repeated, as one element
// of it. The error is that of the first try.
func compileRelation(source string, field protoreflect.FieldDescriptor) (*relation, error) {
	form, err := newForms().of(field) // what cannot be bound has no relation either
	if err != nil {
		return nil, err
	}
	whole := expression.FieldType(field)
	r := &relation{this: expression.Reader(field), bound: fieldReader(field, form)}
	r.program, err = compileTry(source, field, whole)
	if err == nil {
		return r.checked()
	}
	if program, failed := compileTry(source, field, types.NewListType(whole)); failed == nil {
		r.program, r.list, r.bound = program, true, listReader(r.bound)
		return r.checked()
	}
	if !field.IsList() {
		return nil, err
	}
	program, failed := compileTry(source, field, expression.ElementType(field))
	if failed != nil {
		return nil, err
	}
	r.program = program
	if r.bound, err = elementReader(field); err != nil {
		return nil, err
	}
	return r.checked()
}

func compileTry(source string, field protoreflect.FieldDescriptor, bound *types.Type) (*expression.Program, error) {
	env, err := expression.NewEnv(expression.NewMessages(field),
		cel.Container(string(field.ParentFile().Package())),
		cel.Variable(thisVar, expression.FieldType(field)),
		cel.Variable(boundVar, bound),
	)
	if err != nil {
		return nil, err
	}
	return compileIn(env, source, expression.WantBool)
}

// checked refuses what is no relation: a condition of one side alone.
func (r *relation) checked() (*relation, error) {
	if !r.program.Names(thisVar) || !r.program.Names(boundVar) {
		return nil, errNoRelation
	}
	return r, nil
}

var (
	errNoMember   = errors.New("there is no such member")
	errMemberType = errors.New("the member is not of the type that the field is compared with")
)

// holds evaluates it for a field and the member that it is bound to. What cannot be
// evaluated does not hold: the error says why, and no values.
func (r *relation) holds(this protoreflect.Value, member trat.Value) (bool, error) {
	if member.IsZero() || member.IsNull() {
		return false, errNoMember
	}
	bound, ok := r.bound(member)
	if !ok {
		return false, errMemberType
	}
	value, err := r.this(this)
	if err != nil {
		return false, err
	}
	out, err := r.program.Eval(&sides{this: value, bound: bound})
	if err != nil {
		return false, errors.New(expression.Cause(err)) //nolint:errorlint // CEL's errors may hold values
	}
	return out == types.True, nil
}

// sides are the variables of one evaluation.
type sides struct{ this, bound any }

// ResolveName implements cel.Activation.
func (s *sides) ResolveName(name string) (any, bool) {
	switch name {
	case thisVar:
		return s.this, true
	case boundVar:
		return s.bound, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (s *sides) Parent() cel.Activation { return nil }
