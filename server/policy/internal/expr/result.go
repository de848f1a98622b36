package expr

import "cel.dev/cel-go/common/types"

// Result returns the type of what the expression gives; any if that shows only when it runs.
func (p *Program) Result() Type { return typeOf(p.result) }

func typeOf(t *types.Type) Type {
	name := "any"
	switch t.Kind() {
	case types.BoolKind:
		name = "bool"
	case types.IntKind:
		name = "int"
	case types.UintKind:
		name = "uint"
	case types.DoubleKind:
		name = "double"
	case types.StringKind:
		name = "string"
	case types.TimestampKind:
		name = "timestamp"
	case types.ListKind:
		name = "list(" + typeOf(t.Parameters()[0]).name + ")"
	case types.MapKind:
		name = "map"
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
