package expr

import (
	"maps"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/grpc-trat/grpc-trat/internal/expression"
)

// MaxSource is the longest expression, in bytes.
const MaxSource = expression.MaxSource

// Declarations are the members of claims, details and context that expressions may use.
type Declarations struct {
	Claims, Details, Context map[string]Type
}

// registered are the claims that need no declaration (RFC 7519, RFC 8693, RFC 9068, OpenID
// Connect Core).
var registered = map[string]string{
	"iss": "string", "sub": "string", "aud": "any", "exp": "timestamp", "iat": "timestamp", "nbf": "timestamp",
	"jti": "string", "scope": "string", "client_id": "string", "azp": "string", "acr": "string",
	"amr": "list(string)", "auth_time": "timestamp", "sid": "string",
}

// Registered returns the type of a claim that needs no declaration.
func Registered(claim string) (Type, bool) {
	name, ok := registered[claim]
	if !ok {
		return Type{}, false
	}
	return parseType(name)
}

// Env compiles the expressions of one set of declarations. It is safe for concurrent use.
type Env struct {
	declared     Declarations
	environments func() (environments, error) // made when there is an expression
}

// environments are what there is in each kind of rule.
type environments struct {
	issuance, replacement *cel.Env
}

// NewEnv makes an Env. The registered claims are added to the declared ones.
func NewEnv(d Declarations) *Env {
	claims := make(map[string]Type, len(registered)+len(d.Claims))
	for name := range registered {
		claims[name], _ = Registered(name)
	}
	maps.Copy(claims, d.Claims)
	d.Claims = claims
	return &Env{declared: d, environments: sync.OnceValues(func() (environments, error) { return newEnvironments(d) })}
}

func newEnvironments(d Declarations) (environments, error) {
	base, err := expression.NewEnv(
		newProvider(d),
		cel.Variable(nowVar, types.TimestampType),
		cel.Variable(requesterVar, types.StringType),
		cel.Variable(scopeVar, texts),
		cel.Variable(subjectVar, types.NewObjectType(subjectType)),
		cel.Variable(detailsVar, types.NewObjectType(detailsType)),
		cel.Variable(contextVar, types.NewObjectType(contextType)),
	)
	if err != nil {
		return environments{}, err
	}
	issuance, err := base.Extend(cel.Variable(claimsVar, types.NewObjectType(claimsType)))
	if err != nil {
		return environments{}, err
	}
	replacement, err := base.Extend(cel.Variable(transactionVar, types.NewObjectType(transactionType)))
	return environments{issuance: issuance, replacement: replacement}, err
}

// Declared returns the members of a source that expressions may use. It is not to be
// changed.
func (e *Env) Declared(s Source) map[string]Type {
	switch s {
	case Claims:
		return e.declared.Claims
	case Details:
		return e.declared.Details
	case Context:
		return e.declared.Context
	}
	return nil
}
