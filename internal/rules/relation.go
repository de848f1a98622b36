package rules

import (
	"errors"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/expression"
	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Names of the variables of relations.
const (
	thisVar  = "this"
	boundVar = "bound"
)

// relations is the binding.RelationCompiler of rules.
func relations(source string, field protoreflect.FieldDescriptor) (binding.Relation, error) {
	r, err := compileRelation(source, field)
	if err != nil {
		return nil, err // and no relation that is not nil
	}
	return r, nil
}

// Members returns what bindings need of tctx, in their order, for a policy that promises to
// provide it. It fails as compiling the bindings does.
func Members(list []Binding, input protoreflect.MessageDescriptor) ([]binding.MemberType, error) {
	return binding.Members(list, input, relations)
}

// relation is a compiled Binding.Relation. It is immutable and safe for concurrent use.
type relation struct {
	as      binding.Bound // which of its types bound has
	program *expression.Program
	this    expression.Read
	bound   memberReader
}

var errNoRelation = errors.New("wants both this and bound")

// compileRelation type-checks a relation with bound as the type of the field; if that does
// not fit, as a list of it; if that does not and the field is repeated, as one element of it.
// If nothing fits, the error is that of the first.
func compileRelation(source string, field protoreflect.FieldDescriptor) (*relation, error) {
	bound, element, err := memberReaders(field) // what cannot be bound has no relation either
	if err != nil {
		return nil, err
	}
	whole := expression.FieldType(field)
	tries := []boundAs{
		{Bound: binding.BoundValue, as: whole, read: bound},
		{Bound: binding.BoundList, as: types.NewListType(whole), read: listReader(bound)},
	}
	if element != nil {
		tries = append(tries, boundAs{Bound: binding.BoundElement, as: expression.ElementType(field), read: element})
	}
	chosen, env, err := firstThatFits(source, field, tries)
	if err != nil {
		return nil, err
	}
	program, err := compileIn(env, source, expression.WantBool)
	switch {
	case err != nil:
		return nil, err
	case !program.Names(thisVar) || !program.Names(boundVar):
		return nil, errNoRelation // a condition of one side alone
	}
	return &relation{as: chosen.Bound, program: program, this: expression.Reader(field), bound: chosen.read}, nil
}

// boundAs is one type that bound may have.
type boundAs struct {
	binding.Bound
	as   *types.Type
	read memberReader
}

// firstThatFits is the first if none does: that is what its author hears about.
func firstThatFits(source string, field protoreflect.FieldDescriptor, tries []boundAs) (boundAs, *cel.Env, error) {
	var first *cel.Env
	for _, try := range tries {
		env, err := relationEnv(field, try.as)
		if err != nil || expression.Fits(env, source) {
			return try, env, err
		}
		if first == nil {
			first = env
		}
	}
	return tries[0], first, nil
}

func relationEnv(field protoreflect.FieldDescriptor, bound *types.Type) (*cel.Env, error) {
	return expression.NewEnv(expression.NewMessages(field),
		cel.Container(string(field.ParentFile().Package())),
		cel.Variable(thisVar, expression.FieldType(field)),
		cel.Variable(boundVar, bound),
	)
}

var (
	errNoMember   = errors.New("there is no such member")
	errMemberType = errors.New("the member is not of the type that the field is compared with")
)

// Bound implements binding.Relation.
func (r *relation) Bound() binding.Bound { return r.as }

// Takes implements binding.Relation.
func (r *relation) Takes(member trat.Value) bool {
	_, ok := r.bound(member)
	return ok
}

// Holds evaluates it for a field and the member that it is bound to. What cannot be
// evaluated does not hold: the error says why, and no values.
func (r *relation) Holds(this protoreflect.Value, member trat.Value) (bool, error) {
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
		return false, errors.New(expression.Cause(err)) // not err: it may hold values
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
