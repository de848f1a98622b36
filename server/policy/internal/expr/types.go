package expr

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types"

	"github.com/grpc-trat/grpc-trat/internal/expression"
)

// Bounds of declarations and of the values that expressions see.
const (
	// MaxText is the longest string, in bytes: objects are not longer.
	MaxText = expression.MaxText
	// MaxElements is the largest list or map.
	MaxElements = expression.MaxElements

	maxTypeText = 64
)

// Type is the declared type of a member: string, int, uint, double, bool, timestamp,
// list(T), map or any. A timestamp is RFC 3339 text, or a number of seconds as in JWTs. A
// map has values of any type, and any is any type but null. The zero Type is no type.
type Type struct {
	name    string
	cel     *types.Type
	element *Type // of a list
}

var scalars = map[string]*types.Type{
	"string":    types.StringType,
	"int":       types.IntType,
	"uint":      types.UintType,
	"double":    types.DoubleType,
	"bool":      types.BoolType,
	"timestamp": types.TimestampType,
	"map":       types.NewMapType(types.StringType, types.DynType),
	"any":       types.DynType,
}

// ParseType reads the name of a type.
func ParseType(text string) (Type, error) {
	if len(text) <= maxTypeText {
		if t, ok := parseType(text); ok {
			return t, nil
		}
	}
	return Type{}, fmt.Errorf("want string, int, uint, double, bool, timestamp, list(T), map or any")
}

func parseType(text string) (Type, bool) {
	if inner, ok := strings.CutPrefix(text, "list("); ok && strings.HasSuffix(inner, ")") {
		element, ok := parseType(strings.TrimSuffix(inner, ")"))
		if !ok {
			return Type{}, false
		}
		return Type{name: text, cel: types.NewListType(element.cel), element: &element}, true
	}
	scalar, ok := scalars[text]
	return Type{name: text, cel: scalar}, ok
}

// String returns the name.
func (t Type) String() string { return t.name }

// Nested says whether values of the type may have members.
func (t Type) Nested() bool { return t.name == "map" || t.name == "any" }

// Text says whether a value of the type may be a string.
func (t Type) Text() bool { return t.name == "string" || t.name == "any" }
