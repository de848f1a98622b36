package expression

import (
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

// Types is what CEL is told of the types of variables, and how their values become CEL's.
type Types interface {
	types.Provider
	types.Adapter
}

// NewEnv makes an environment with the functions, macros and bounds that all expressions
// have, and the given types and options: its variables.
func NewEnv(known Types, options ...cel.EnvOption) (*cel.Env, error) {
	return cel.NewCustomEnv(append([]cel.EnvOption{
		cel.CustomTypeProvider(known),
		cel.CustomTypeAdapter(known),
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
	}, options...)...)
}
