package expr

import "cel.dev/cel-go/common/types"

// Result returns the type of what the expression gives; any if that shows only when it runs.
func (p *Program) Result() Type { return typeOf(p.result) }

// names are those of types that have no parameters.
var names = map[types.Kind]string{
	types.BoolKind:      "bool",
	types.IntKind:       "int",
	types.UintKind:      "uint",
	types.DoubleKind:    "double",
	types.StringKind:    "string",
	types.TimestampKind: "timestamp",
	types.MapKind:       "map",
}

func typeOf(t *types.Type) Type {
	if t.Kind() == types.ListKind {
		element := typeOf(t.Parameters()[0])
		return Type{name: "list(" + element.name + ")", cel: t, element: &element}
	}
	name, ok := names[t.Kind()]
	if !ok {
		name = "any"
	}
	parsed, _ := parseType(name)
	return parsed
}

// Element returns the type of a list's elements, false for another type.
func (t Type) Element() (Type, bool) {
	if t.element == nil {
		return Type{}, false
	}
	return *t.element, true
}
