package expression

import (
	"errors"
	"fmt"
	"regexp"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

var errLongText = fmt.Errorf("a text of more than %d bytes is not matched", MaxText)

// patterns matches patterns that were compiled once, and no text that is too long: what it
// costs is known only afterwards.
var patterns = cel.OptimizeRegex(pattern(overloads.Matches), pattern(overloads.MatchesString))

func pattern(overload string) *interpreter.RegexOptimization {
	return &interpreter.RegexOptimization{
		Function:   overloads.Matches,
		OverloadID: overload,
		RegexIndex: 1,
		Factory: func(call interpreter.InterpretableCall, text string) (interpreter.InterpretableCall, error) {
			compiled, err := regexp.Compile(text)
			if err != nil {
				return nil, errors.New("is no regular expression")
			}
			match := func(args ...ref.Val) ref.Val { return match(compiled, args) }
			return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), match), nil
		},
	}
}

func match(compiled *regexp.Regexp, args []ref.Val) ref.Val {
	text, ok := args[0].(types.String)
	switch {
	case !ok:
		return types.MaybeNoSuchOverloadErr(args[0])
	case len(text) > MaxText:
		return types.WrapErr(errLongText)
	}
	return types.Bool(compiled.MatchString(string(text)))
}
