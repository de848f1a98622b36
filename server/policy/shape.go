package policy

import (
	"encoding/json"
	"strings"

	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// shape is what is known of a JSON value before it is made.
type shape struct {
	kinds    binding.Kinds
	elements []shape // of a list, those that are known: one stands for all, or each is there
	value    any     // of a constant
	name     string  // in problems, with its article
}

// shapeOf returns what a construction makes.
func (r *reader) shapeOf(c *construction) shape {
	switch {
	case c.from != nil && len(c.from.nested) == 0:
		return shapeOfType(r.env.Declared(c.from.source)[c.from.name])
	case c.compute != nil:
		return shapeOfType(c.compute.Result())
	case c.value != nil:
		return shapeOfValue(c.value)
	}
	return shape{kinds: binding.AnyKinds, name: "any value"} // nested, or a problem that has been said
}

// kindsOf are the kinds of the values of declared types. An integer that is declared as a
// double is a fraction by chance.
var kindsOf = map[string]binding.Kinds{
	"string":    binding.Texts,
	"bool":      binding.Bools,
	"int":       binding.Integers,
	"uint":      binding.Integers,
	"double":    binding.Fractions,
	"timestamp": binding.Texts | binding.Integers,
	"map":       binding.Objects,
	"any":       binding.AnyKinds,
}

func shapeOfType(t expr.Type) shape {
	s := shape{kinds: kindsOf[t.String()], name: "of type " + t.String()}
	if element, ok := t.Element(); ok {
		s.kinds, s.elements = binding.Lists, []shape{shapeOfType(element)}
	}
	return s
}

// shapeOfValue takes what the reader makes of YAML.
func shapeOfValue(value any) shape {
	s := shape{value: value}
	switch v := value.(type) {
	case string:
		s.kinds, s.name = binding.Texts, "a text"
	case bool:
		s.kinds, s.name = binding.Bools, "true or false"
	case []any:
		s.kinds, s.name = binding.Lists, "a list"
		for _, element := range v {
			s.elements = append(s.elements, shapeOfValue(element))
		}
	case map[string]any:
		s.kinds, s.name = binding.Objects, "an object"
	case nil:
		s.name = "nothing"
	default:
		s.kinds, s.name = binding.Fractions, "a number"
		if text, err := json.Marshal(v); err == nil && !strings.ContainsAny(string(text), ".eE") {
			s.kinds, s.name = binding.Integers, "an integer"
		}
	}
	return s
}

// at returns what is at a path of names inside s, false if nothing is; "" is s itself.
func (s shape) at(path string) (shape, bool) {
	if path == "" {
		return s, s.kinds != 0
	}
	if s.kinds&binding.Objects == 0 {
		return shape{}, false
	}
	members, constant := s.value.(map[string]any)
	if !constant {
		return shape{kinds: binding.AnyKinds, name: "any value"}, true
	}
	name, rest, _ := strings.Cut(path, ".")
	return shapeOfValue(members[name]).at(rest)
}

// meets says whether one value can have both shapes.
func (s shape) meets(other shape) bool {
	common := s.kinds & other.kinds
	if common != binding.Lists {
		return common != 0
	}
	for _, one := range s.elements {
		for _, another := range other.elements {
			if !one.meets(another) {
				return false
			}
		}
	}
	return true
}

// fitsField says whether a member can be what a binding takes.
func fitsField(member shape, bound *binding.MemberType) bool {
	if member.value != nil {
		return takesConstant(bound, member.value)
	}
	return member.meets(shapeOfBound(bound.Shape))
}

// shapeOfBound takes what a binding can hold with.
func shapeOfBound(of binding.Shape) shape {
	s := shape{kinds: of.Kinds}
	if of.Elements != nil {
		s.elements = []shape{shapeOfBound(*of.Elements)}
	}
	return s
}

// takesConstant says whether a binding takes a constant. One that no TraT can hold is
// another problem.
func takesConstant(bound *binding.MemberType, value any) bool {
	const name = "constant"
	object, err := trat.NewObject(map[string]any{name: value})
	if err != nil {
		return true
	}
	var memory [1]trat.Value
	return bound.Takes(trat.NewPaths([]string{name}).AppendValues(memory[:0], object)[0])
}
