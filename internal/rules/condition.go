package rules

import (
	"context"
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/expression"
	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
)

// condition is a compiled condition of Rule.When. It is immutable and safe for concurrent
// use.
type condition struct {
	source       string
	namesRequest bool
	namesChain   bool
	program      *expression.Program
	request      expression.Read // nil when the request is not known
}

// compileCondition type-checks a condition; input is nil when the request is not known, and
// then there is no variable of that name. The error says where in the source each problem is.
func compileCondition(source string, input protoreflect.MessageDescriptor) (*condition, error) {
	return compileSource(source, input, expression.WantBool)
}

func compileSource(source string, input protoreflect.MessageDescriptor, result func(*types.Type) error) (*condition, error) {
	env, err := callEnv(input)
	if err != nil {
		return nil, err
	}
	program, err := compileIn(env, source, result)
	if err != nil {
		return nil, err
	}
	c := &condition{
		source:       source,
		namesRequest: program.Names(requestVar),
		namesChain:   program.Names(chainVar),
		program:      program,
	}
	if input != nil {
		c.request = expression.MessageReader(input)
	}
	return c, nil
}

// maxEvaluation is what one evaluation may cost when it runs: some milliseconds, whatever is
// walked. It is less than what one may cost by estimate, which supposes the largest lists in
// each place: policies are evaluated for transactions, and rules for each call, whose request
// is anybody's.
const maxEvaluation = expression.MaxCost / 50

func compileIn(env *cel.Env, source string, result func(*types.Type) error) (*expression.Program, error) {
	program, issues := expression.Compile(env, source, expression.Kind{
		Result: result, Inspect: expression.InspectMessages, Limit: maxEvaluation,
	})
	if issues == nil {
		return program, nil
	}
	problems := make([]error, len(issues))
	for i, issue := range issues {
		problems[i] = errors.New(issue.String())
	}
	return nil, errors.Join(problems...)
}

// holds evaluates it; message is nil unless it names the request. What cannot be evaluated
// does not hold: the error says why, and no values.
func (c *condition) holds(ctx context.Context, call *Call, message proto.Message) (bool, error) {
	out, err := c.eval(ctx, call, message)
	if err != nil {
		return false, err
	}
	return out == types.True, nil
}

var errNoCall = errors.New("there is no token, or no request")

func (c *condition) eval(ctx context.Context, call *Call, message proto.Message) (ref.Val, error) {
	if c == nil || c.program == nil || call == nil || call.Token == nil || c.namesRequest && message == nil {
		return nil, errNoCall
	}
	if err := ctx.Err(); err != nil {
		return nil, err // nobody waits for an answer
	}
	variables := activation{call: call}
	if c.namesRequest {
		variables.request, variables.read = message.ProtoReflect(), c.request
	}
	out, err := c.program.Eval(&variables)
	if err != nil {
		return nil, errors.New(expression.Cause(err)) // not err: it may hold values
	}
	return out, nil
}

// text is a compiled expression that gives a string.
type text struct{ condition }

// compileText type-checks an expression that gives a string. It may be constant.
func compileText(source string, input protoreflect.MessageDescriptor) (*text, error) {
	c, err := compileSource(source, input, wantText)
	if err != nil {
		return nil, err
	}
	return &text{condition: *c}, nil
}

// wantText also takes what shows only when it is evaluated: members of tctx.
func wantText(t *types.Type) error {
	if t.Kind() != types.StringKind && t.Kind() != types.DynKind {
		return fmt.Errorf("want a string, not %s", cel.FormatCELType(t))
	}
	return nil
}

// value evaluates it, as holds does. What it gives is sent to others for each call, and may
// come from the request: it has the bound of a rule's texts.
func (t *text) value(ctx context.Context, call *Call, message proto.Message) (string, error) {
	if t == nil {
		return "", errNoCall
	}
	out, err := t.eval(ctx, call, message)
	if err != nil {
		return "", err
	}
	switch s, ok := out.(types.String); {
	case !ok:
		return "", errors.New("is no string")
	case s == "":
		return "", errors.New("is empty") // and names nothing
	case len(s) > syntax.MaxText:
		return "", fmt.Errorf("is longer than %d bytes", syntax.MaxText)
	default:
		return string(s), nil
	}
}
