package policy

import (
	"encoding/json"
	"strings"

	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// form is a set of kinds of JSON values; numbers without a fraction are a kind of their own.
type form uint8

const (
	formBool form = 1 << iota
	formInteger
	formFraction
	formText
	formList
	formObject

	formNumber   = formInteger | formFraction
	formAnything = formBool | formNumber | formText | formList | formObject
)

// shape is what is known of a JSON value before it is made.
type shape struct {
	form     form
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
	return shape{form: formAnything, name: "any value"} // nested, or a problem that has been said
}

// forms are those of the values of declared types. An integer that is declared as a double
// is a fraction by chance.
var forms = map[string]form{
	"string":    formText,
	"bool":      formBool,
	"int":       formInteger,
	"uint":      formInteger,
	"double":    formFraction,
	"timestamp": formText | formInteger,
	"map":       formObject,
	"any":       formAnything,
}

func shapeOfType(t expr.Type) shape {
	s := shape{form: forms[t.String()], name: "of type " + t.String()}
	if element, ok := t.Element(); ok {
		s.form, s.elements = formList, []shape{shapeOfType(element)}
	}
	return s
}

// shapeOfValue takes what the reader makes of YAML.
func shapeOfValue(value any) shape {
	s := shape{value: value}
	switch v := value.(type) {
	case string:
		s.form, s.name = formText, "a text"
	case bool:
		s.form, s.name = formBool, "true or false"
	case []any:
		s.form, s.name = formList, "a list"
		for _, element := range v {
			s.elements = append(s.elements, shapeOfValue(element))
		}
	case map[string]any:
		s.form, s.name = formObject, "an object"
	case nil:
		s.name = "nothing"
	default:
		s.form, s.name = formFraction, "a number"
		if text, err := json.Marshal(v); err == nil && !strings.ContainsAny(string(text), ".eE") {
			s.form, s.name = formInteger, "an integer"
		}
	}
	return s
}

// at returns what is at a path of names inside s, false if nothing is; "" is s itself.
func (s shape) at(path string) (shape, bool) {
	if path == "" {
		return s, s.form != 0
	}
	if s.form&formObject == 0 {
		return shape{}, false
	}
	members, constant := s.value.(map[string]any)
	if !constant {
		return shape{form: formAnything, name: "any value"}, true
	}
	name, rest, _ := strings.Cut(path, ".")
	return shapeOfValue(members[name]).at(rest)
}

// meets says whether one value can have both shapes.
func (s shape) meets(other shape) bool {
	common := s.form & other.form
	if common != formList {
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
	switch field := shapeOfField(bound.Field); bound.Bound {
	case binding.BoundList:
		return member.meets(shape{form: formList, elements: []shape{field}})
	case binding.BoundElement:
		return member.meets(shapeOfSingular(bound.Field))
	default:
		return member.meets(field)
	}
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
