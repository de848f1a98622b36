package policy

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
)

// maxDeclared bounds the members that one source declares.
const maxDeclared = 256

// declarations reads the names and types of the members of claims, details or context.
func (r *reader) declarations(n *yaml.Node, source expr.Source) map[string]expr.Type {
	members := r.Mapping(n, string(source))
	if len(members) > maxDeclared {
		r.Add(n, string(source), "declares more than %d members", maxDeclared)
		return nil
	}
	declared := make(map[string]expr.Type, len(members))
	for _, m := range members {
		name, field := m.Key.Value, string(source)+"."+m.Key.Value
		if err := checkKey(name); err != nil {
			r.Add(m.Key, string(source), "%q: %v", name, err)
			continue
		}
		text := r.Text(m.Value, field)
		if text == "" {
			continue
		}
		t, err := expr.ParseType(text)
		if err != nil {
			r.Add(m.Value, field, "%v", err)
			continue
		}
		if registered, ok := expr.Registered(name); ok && source == expr.Claims {
			r.Add(m.Key, field, "needs no declaration: it is a registered claim of type %s", registered)
			continue
		}
		declared[name] = t
	}
	return declared
}

// path reads a path such as details.customer.id. Its second part is a declared member; a
// member whose name has dots in it is found too.
func (r *reader) path(n *yaml.Node, field, text string) *path {
	first, rest, ok := strings.Cut(text, ".")
	source := expr.Source(first)
	if !ok || !slices.Contains([]expr.Source{expr.Claims, expr.Details, expr.Context}, source) {
		r.Add(n, field, "want claims., details. or context. and a member, not %q", text)
		return nil
	}
	declared := r.env.Declared(source)
	name := rest
	for {
		if t, ok := declared[name]; ok {
			if name != rest && !t.Nested() {
				r.Add(n, field, "%s.%s is declared as %s, which has no members", source, name, t)
				return nil
			}
			break
		}
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			member, _, _ := strings.Cut(rest, ".")
			r.Add(n, field, "%s.%s is not declared", source, member)
			return nil
		}
		name = name[:dot]
	}
	p := &path{source: source, name: name}
	if name != rest {
		p.nested = strings.Split(rest[len(name)+1:], ".")
	}
	return p
}
