package yamlfile

import (
	"math"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Object returns the JSON object that the mapping n stands for.
func (r *Reader) Object(n *yaml.Node, field string) trat.Object {
	members, ok := r.JSON(n, field).(map[string]any)
	if !ok {
		if n.Kind != yaml.MappingNode {
			r.Add(n, field, "want a mapping, not %s", Kind(n))
		}
		return trat.Object{}
	}
	o, err := trat.NewObject(members)
	if err != nil {
		r.Add(n, field, "cannot be a JSON object: %v", err)
	}
	return o
}

// JSON returns what n stands for, ready for encoding/json: with every digit of an
// integer. Nil is null, or what was a problem.
func (r *Reader) JSON(n *yaml.Node, field string) any {
	switch n.Kind {
	case yaml.MappingNode:
		members := make(map[string]any, len(n.Content)/2)
		for _, m := range r.Mapping(n, field) {
			members[m.Key.Value] = r.JSON(m.Value, field+"."+m.Key.Value)
		}
		return members
	case yaml.SequenceNode:
		elements := make([]any, len(n.Content))
		for i, e := range n.Content {
			elements[i] = r.JSON(e, field)
		}
		return elements
	default:
		return r.jsonScalar(n, field)
	}
}

func (r *Reader) jsonScalar(n *yaml.Node, field string) any {
	var (
		signed   int64
		unsigned uint64
		float    float64
		boolean  bool
	)
	switch tag := n.ShortTag(); {
	case tag == "!!null":
		return nil
	case tag == "!!str":
		return n.Value
	case tag == "!!bool" && n.Decode(&boolean) == nil:
		return boolean
	case tag == "!!int" && n.Decode(&signed) == nil:
		return signed
	case tag == "!!int" && n.Decode(&unsigned) == nil:
		return unsigned
	case tag == "!!float" && strings.ContainsAny(n.Value, ".eE") && n.Decode(&float) == nil && !math.IsInf(float, 0) && !math.IsNaN(float):
		// A float without any of these is an integer that 64 bits cannot hold.
		return float
	case tag == "!!int", tag == "!!float":
		r.Add(n, field, "is a number that JSON or 64 bits cannot hold")
	default:
		r.Add(n, field, "want text, a number, true or false, not %s (quote it to make it text)", Kind(n))
	}
	return nil
}
