package policy

import (
	"encoding/json"
	"errors"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/internal/yamlfile"
	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

func (r *reader) requester(n *yaml.Node, field string) spiffecreds.Pattern {
	text := r.Text(n, field)
	if text == "" {
		return spiffecreds.Pattern{}
	}
	pattern, err := spiffecreds.ParsePattern(text)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil { // without the name of a Go package
			err = cause
		}
		r.Add(n, field, "want a SPIFFE ID such as spiffe://shop.test/gateway, not %q: %v", text, err)
	}
	return pattern
}

func (r *reader) scopes(n *yaml.Node, field string) map[string][]string {
	members := r.Mapping(n, field)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		r.Add(n, field, "the mapping is empty")
	}
	scopes := make(map[string][]string, len(members))
	for _, m := range members {
		if err := checkScope(m.Key.Value); err != nil {
			r.Add(m.Key, field, "%q: %v", m.Key.Value, err)
			continue
		}
		scopes[m.Key.Value] = r.Texts(m.Value, field+"."+m.Key.Value, checkScope)
	}
	return scopes
}

// claims reads the values of claims that the rule is for.
func (r *reader) claims(n *yaml.Node, field string) []claimSelector {
	members := r.Mapping(n, field)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		r.Add(n, field, "the mapping is empty")
	}
	claims := make([]claimSelector, 0, len(members))
	for _, m := range members {
		name, field := m.Key.Value, field+"."+m.Key.Value
		declared, ok := r.env.Declared(expr.Claims)[name]
		switch {
		case name == "iss":
			r.Add(m.Key, field, "use issuers")
		case name == "scope":
			r.Add(m.Key, field, "use scopes")
		case !ok:
			r.Add(m.Key, field, "is not declared")
		case !slices.Contains([]string{"string", "int", "bool"}, declared.String()):
			r.Add(m.Key, field, "is declared as %s; only a string, an int or a bool selects a rule (use when)", declared)
		default:
			claims = append(claims, claimSelector{name: name, allowed: r.claimValues(m.Value, field, declared)})
		}
	}
	return claims
}

func (r *reader) claimValues(n *yaml.Node, field string, declared expr.Type) set {
	elements := r.Sequence(n, field)
	if n.Kind == yaml.SequenceNode && len(elements) == 0 {
		r.Add(n, field, "the list is empty")
	}
	values := make(set, len(elements))
	for _, e := range elements {
		if e.Kind != yaml.ScalarNode {
			r.Add(e, field, "want %s, not %s", declared, yamlfile.Kind(e))
			continue
		}
		text, err := json.Marshal(r.JSON(e, field))
		if err == nil {
			err = declared.Check(string(text))
		}
		if err != nil {
			r.Add(e, field, "%v", err)
			continue
		}
		value, _ := canonical(string(text))
		if values.has(value) {
			r.Add(e, field, "%s is there twice", text)
		}
		values[value] = struct{}{}
	}
	return values
}
