package policy

import (
	"encoding/json"
	"errors"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

func (r *reader) requester(n *yaml.Node, field string) spiffecreds.Pattern {
	text := r.text(n, field)
	if text == "" {
		return spiffecreds.Pattern{}
	}
	pattern, err := spiffecreds.ParsePattern(text)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil { // without the name of a Go package
			err = cause
		}
		r.add(n, field, "want a SPIFFE ID such as spiffe://shop.test/gateway, not %q: %v", text, err)
	}
	return pattern
}

func (r *reader) scopes(n *yaml.Node, field string) map[string][]string {
	members := r.mapping(n, field)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		r.add(n, field, "the mapping is empty")
	}
	scopes := make(map[string][]string, len(members))
	for _, m := range members {
		if err := checkScope(m.key.Value); err != nil {
			r.add(m.key, field, "%q: %v", m.key.Value, err)
			continue
		}
		scopes[m.key.Value] = r.texts(m.value, field+"."+m.key.Value, checkScope)
	}
	return scopes
}

// claims reads the values of claims that the rule is for.
func (r *reader) claims(n *yaml.Node, field string) []claimSelector {
	members := r.mapping(n, field)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		r.add(n, field, "the mapping is empty")
	}
	claims := make([]claimSelector, 0, len(members))
	for _, m := range members {
		name, field := m.key.Value, field+"."+m.key.Value
		declared, ok := r.env.Declared(expr.Claims)[name]
		switch {
		case name == "iss":
			r.add(m.key, field, "use issuers")
		case name == "scope":
			r.add(m.key, field, "use scopes")
		case !ok:
			r.add(m.key, field, "is not declared")
		case !slices.Contains([]string{"string", "int", "bool"}, declared.String()):
			r.add(m.key, field, "is declared as %s; only a string, an int or a bool selects a rule (use when)", declared)
		default:
			claims = append(claims, claimSelector{name: name, allowed: r.claimValues(m.value, field, declared)})
		}
	}
	return claims
}

func (r *reader) claimValues(n *yaml.Node, field string, declared expr.Type) set {
	elements := r.sequence(n, field)
	if n.Kind == yaml.SequenceNode && len(elements) == 0 {
		r.add(n, field, "the list is empty")
	}
	values := make(set, len(elements))
	for _, e := range elements {
		if e.Kind != yaml.ScalarNode {
			r.add(e, field, "want %s, not %s", declared, kind(e))
			continue
		}
		text, err := json.Marshal(r.json(e, field))
		if err == nil {
			err = declared.Check(string(text))
		}
		if err != nil {
			r.add(e, field, "%v", err)
			continue
		}
		value, _ := canonical(string(text))
		if values.has(value) {
			r.add(e, field, "%s is there twice", text)
		}
		values[value] = struct{}{}
	}
	return values
}
