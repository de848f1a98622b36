package policy

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/internal/yamlfile"
	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// maxMembers bounds the members of tctx, and of rctx, that one rule makes.
const maxMembers = 64

// maxConstant is about what a token of trat.MaxSize has room for, in bytes: base64url makes
// four of three.
const maxConstant = trat.MaxSize / 4 * 3

// constructions reads tctx or rctx: how each of its members comes about.
func (r *reader) constructions(n *yaml.Node, claim string, replacement bool) []construction {
	members := r.Mapping(n, claim)
	switch {
	case n.Kind == yaml.MappingNode && len(n.Content) == 0:
		r.Add(n, claim, "the mapping is empty")
	case len(members) > maxMembers:
		r.Add(n, claim, "has more than %d members", maxMembers)
		return nil
	}
	var list []construction
	for _, m := range members {
		field := claim + "." + m.Key.Value
		if err := checkKey(m.Key.Value); err != nil {
			r.Add(m.Key, claim, "%q: %v", m.Key.Value, err)
			continue
		}
		c := construction{claim: claim, name: m.Key.Value}
		if m.Value.Kind == yaml.MappingNode {
			r.construction(&c, m.Value, field, replacement)
		} else {
			r.plainCopy(&c, m.Value, field)
		}
		r.checkSource(c.from, m.Value, field, replacement)
		c.shape = r.shapeOf(&c)
		list = append(list, c)
	}
	return list
}

// plainCopy reads the short form: a path, with "optional" before it if it is.
func (r *reader) plainCopy(c *construction, n *yaml.Node, field string) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		r.Add(n, field, "want a path such as details.sku, or a mapping with from, compute or value, not %s", yamlfile.Kind(n))
		return
	}
	text := r.Text(n, field)
	if text == "" {
		return
	}
	text, c.optional = strings.CutPrefix(text, "optional ")
	c.from = r.path(n, field, text)
}

func (r *reader) construction(c *construction, n *yaml.Node, field string, replacement bool) {
	ways := 0
	for _, m := range r.Mapping(n, field) {
		key := field + "." + m.Key.Value
		switch m.Key.Value {
		case "from":
			ways++
			if text := r.Text(m.Value, key); text != "" {
				c.from = r.path(m.Value, key, text)
			}
		case "compute":
			ways++
			c.compute = r.expression(m.Value, key, expr.Value, replacement)
		case "value":
			ways++
			c.value = r.constant(m.Value, key)
		case "optional":
			c.optional = r.Boolean(m.Value, key)
		case "pseudonym":
			c.pseudonym = r.Boolean(m.Value, key)
		default:
			r.Add(m.Key, key, "unknown key")
		}
	}
	if ways != 1 {
		r.Add(n, field, "want exactly one of from, compute and value")
		return
	}
	switch {
	case c.value != nil && c.optional:
		r.Add(n, field+".optional", "a constant is always there")
	case c.value != nil && c.pseudonym:
		r.Add(n, field+".pseudonym", "a constant is no secret")
	case c.pseudonym && c.from != nil && len(c.from.nested) == 0 && !r.env.Declared(c.from.source)[c.from.name].Text():
		r.Add(n, field+".pseudonym", "only text has a pseudonym")
	case c.pseudonym && c.compute != nil && !c.compute.Text():
		r.Add(n, field+".pseudonym", "only text has a pseudonym")
	}
}

// constant reads a value that a token can hold.
func (r *reader) constant(n *yaml.Node, field string) any {
	value := r.JSON(n, field)
	if n.ShortTag() == "!!null" {
		r.Add(n, field, "is nothing")
	}
	if value == nil {
		return nil
	}
	switch o, err := trat.NewObject(map[string]any{"": value}); {
	case err != nil:
		r.Add(n, field, "cannot be in a token: %v", err)
	case len(o.JSON()) > maxConstant:
		r.Add(n, field, "is larger than a token can be")
	}
	return value
}

func (r *reader) checkSource(from *path, n *yaml.Node, field string, replacement bool) {
	if from != nil && from.source == expr.Claims && replacement {
		r.Add(n, field, "a transaction token has no claims to copy; what its contexts hold is kept")
	}
}
