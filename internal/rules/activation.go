package rules

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/expression"
)

// Names of the variables of conditions.
const (
	requestVar = "request"
	tctxVar    = "tctx"
	rctxVar    = "rctx"
	scopeVar   = "scope"
	subVar     = "sub"
	reqWlVar   = "req_wl"
	peerVar    = "peer"
	chainVar   = "chain"
	nowVar     = "now"
)

var (
	texts  = types.NewListType(types.StringType)
	object = types.NewMapType(types.StringType, types.DynType)
)

// callEnv is the environment of conditions about calls with the given request type.
func callEnv(input protoreflect.MessageDescriptor) (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Variable(tctxVar, object),
		cel.Variable(rctxVar, object),
		cel.Variable(scopeVar, texts),
		cel.Variable(subVar, types.StringType),
		cel.Variable(reqWlVar, types.StringType),
		cel.Variable(peerVar, types.StringType),
		cel.Variable(chainVar, texts),
		cel.Variable(nowVar, types.TimestampType),
	}
	if input == nil {
		return expression.NewEnv(expression.NewMessages(nil), options...)
	}
	// Enums can be named from the request's package on.
	options = append(options, cel.Variable(requestVar, expression.MessageType(input)), cel.Container(string(input.ParentFile().Package())))
	return expression.NewEnv(expression.NewMessages(input), options...)
}

// activation is the variables of one evaluation. What the expression does not name is not
// made, and what it names is made once: inside of macros it is asked for each time.
type activation struct {
	call    *Call
	request protoreflect.Message // nil: there is none
	read    expression.Read      // how it is read

	tctx, rctx, scope, chain ref.Val // nil: not made yet
}

// once makes a variable.
func once(known *ref.Val, variable func() ref.Val) (any, bool) {
	if *known == nil {
		*known = variable()
	}
	return *known, true
}

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	switch token := a.call.Token; name {
	case requestVar:
		return a.message()
	case tctxVar:
		return once(&a.tctx, func() ref.Val { return expression.Object(token.TransactionContext()) })
	case rctxVar:
		return once(&a.rctx, func() ref.Val { return expression.Object(token.RequestContext()) })
	case scopeVar:
		return once(&a.scope, a.scopes)
	case subVar:
		return types.String(token.Subject()), true
	case reqWlVar:
		return types.String(token.RequestingWorkload()), true
	case peerVar:
		return types.String(a.call.Peer.String()), true
	case chainVar:
		return once(&a.chain, a.issuers)
	case nowVar:
		return types.Timestamp{Time: a.call.Now.UTC()}, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (a *activation) Parent() cel.Activation { return nil }

func (a *activation) message() (any, bool) {
	if a.request == nil {
		return nil, false
	}
	value, err := a.read(protoreflect.ValueOfMessage(a.request))
	if err != nil {
		return types.WrapErr(err), true
	}
	return value, true
}

func (a *activation) scopes() ref.Val {
	var tokens []string
	for token := range a.call.Token.Scope().Tokens() {
		tokens = append(tokens, token)
	}
	return types.NewStringList(types.DefaultTypeAdapter, tokens)
}

// issuers is who signed the verified links, the root first.
func (a *activation) issuers() ref.Val {
	issuers := make([]string, 0, a.call.Chain.Len())
	for link := range a.call.Chain.Links() {
		issuers = append(issuers, link.Issuer().String())
	}
	return types.NewStringList(types.DefaultTypeAdapter, issuers)
}
