package expr

import (
	"maps"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// MaxSource is the longest expression, in bytes.
const MaxSource = 4096

// Bounds of the form of an expression.
const (
	maxDepth   = 64
	maxNodes   = 2000
	maxNesting = 2 // of macros that walk lists
)

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

// functions is what expressions may call. It is written out, so that a new version of the
// library brings nothing new.
var functions = []string{
	operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.NotStrictlyFalse,
	operators.Equals, operators.NotEquals,
	operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
	operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate,
	operators.Index, operators.In, overloads.Size,
	overloads.TypeConvertBool, overloads.TypeConvertInt, overloads.TypeConvertUint, overloads.TypeConvertDouble,
	overloads.TypeConvertString, overloads.TypeConvertTimestamp, overloads.TypeConvertDuration,
	overloads.Contains, overloads.StartsWith, overloads.EndsWith, overloads.Matches,
}

// timeFunctions are called without a time zone: names of zones are looked up in files.
var timeFunctions = map[string][]string{
	overloads.TimeGetFullYear:     {overloads.TimestampToYear},
	overloads.TimeGetMonth:        {overloads.TimestampToMonth},
	overloads.TimeGetDate:         {overloads.TimestampToDayOfMonthOneBased},
	overloads.TimeGetDayOfWeek:    {overloads.TimestampToDayOfWeek},
	overloads.TimeGetHours:        {overloads.TimestampToHours, overloads.DurationToHours},
	overloads.TimeGetMinutes:      {overloads.TimestampToMinutes, overloads.DurationToMinutes},
	overloads.TimeGetSeconds:      {overloads.TimestampToSeconds, overloads.DurationToSeconds},
	overloads.TimeGetMilliseconds: {overloads.DurationToMilliseconds},
}

func library() *env.LibrarySubset {
	subset := env.NewLibrarySubset()
	subset.IncludeMacros = []string{operators.Has, operators.All, operators.Exists, operators.ExistsOne, operators.Map, operators.Filter}
	for _, name := range functions {
		subset.IncludeFunctions = append(subset.IncludeFunctions, &env.Function{Name: name})
	}
	for name, ids := range timeFunctions {
		f := &env.Function{Name: name}
		for _, id := range ids {
			f.Overloads = append(f.Overloads, &env.Overload{ID: id})
		}
		subset.IncludeFunctions = append(subset.IncludeFunctions, f)
	}
	return subset
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
	p := newProvider(d)
	base, err := cel.NewCustomEnv(
		cel.CustomTypeProvider(p),
		cel.CustomTypeAdapter(p),
		cel.StdLib(cel.StdLibSubset(library())),
		cel.EnableIdentifierEscapeSyntax(),
		cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(MaxSource),
		cel.ParserRecursionLimit(maxDepth),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ASTValidators(
			cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(),
			cel.ValidateComprehensionNestingLimit(maxNesting),
		),
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
