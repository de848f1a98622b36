package policy

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
)

// reader reads typed values out of YAML nodes. What has another type becomes a
// problem and reads as the zero value, so that reading goes on.
type reader struct {
	problems
	service  *Service  // nil: any
	env      *expr.Env // of the file's declarations
	programs map[expression]compiled
	cost     uint64 // of the expressions of the rule being read
}

// document returns the top node of the one YAML document in text; nil after a
// problem.
func (r *reader) document(text []byte) *yaml.Node {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.addAt(0, "", "the file is empty")
		return nil
	case err != nil:
		r.addAt(0, "", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		r.addAt(0, "", "more than one document")
		return nil
	}
	if r.aliased(&doc) {
		return nil
	}
	return doc.Content[0]
}

// aliased reports anchors, aliases and merge keys: with them a small file can mean
// a huge one, and a rule can hold what nobody sees at its place.
func (r *reader) aliased(n *yaml.Node) bool {
	if n.Anchor != "" || n.Kind == yaml.AliasNode || n.ShortTag() == "!!merge" {
		r.add(n, "", "anchors, aliases and merge keys are not allowed")
		return true
	}
	return slices.ContainsFunc(n.Content, r.aliased)
}

// member is one key and value of a mapping.
type member struct {
	key   *yaml.Node
	value *yaml.Node
}

// mapping returns the members of the mapping n, without those whose key is not
// text or was there before.
func (r *reader) mapping(n *yaml.Node, field string) []member {
	if n.Kind != yaml.MappingNode {
		r.add(n, field, "want a mapping, not %s", kind(n))
		return nil
	}
	seen := make(map[string]int, len(n.Content)/2)
	members := make([]member, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.ShortTag() != "!!str" {
			r.add(key, field, "want text as key, not %s", kind(key))
			continue
		}
		if line, dup := seen[key.Value]; dup {
			r.add(key, field, "duplicate key %q, first in line %d", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		members = append(members, member{key: key, value: n.Content[i+1]})
	}
	return members
}

// sequence returns the elements of the sequence n.
func (r *reader) sequence(n *yaml.Node, field string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		r.add(n, field, "want a list, not %s", kind(n))
		return nil
	}
	return n.Content
}

// text returns the text n, which may not be empty.
func (r *reader) text(n *yaml.Node, field string) string {
	switch {
	case isNumber(n):
		r.add(n, field, "want text, not a number (quote it to make it text)")
		return ""
	case n.ShortTag() != "!!str":
		r.add(n, field, "want text, not %s", kind(n))
		return ""
	case n.Value == "":
		r.add(n, field, "is empty")
	}
	return n.Value
}

// texts returns the elements of a list of different texts that check accepts. An
// empty list is a problem: leaving the key away says the same and says it once.
func (r *reader) texts(n *yaml.Node, field string, check func(string) error) []string {
	elements := r.sequence(n, field)
	if n.Kind == yaml.SequenceNode && len(elements) == 0 {
		r.add(n, field, "the list is empty")
	}
	seen := make(set, len(elements))
	values := make([]string, 0, len(elements))
	for _, e := range elements {
		value := r.text(e, field)
		if value == "" {
			continue
		}
		if seen.has(value) {
			r.add(e, field, "%q is there twice", value)
			continue
		}
		seen[value] = struct{}{}
		if err := check(value); err != nil {
			r.add(e, field, "%q: %v", value, err)
			continue
		}
		values = append(values, value)
	}
	return values
}

func (r *reader) boolean(n *yaml.Node, field string) bool {
	var value bool
	if n.ShortTag() != "!!bool" || n.Decode(&value) != nil {
		r.add(n, field, "want true or false, not %s", kind(n))
		return false
	}
	return value
}

func isNumber(n *yaml.Node) bool { return n.ShortTag() == "!!int" || n.ShortTag() == "!!float" }

// kind names what n is, in words for the writer of the file.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return scalarKind(n.ShortTag())
	}
}

func scalarKind(tag string) string {
	switch tag {
	case "!!null":
		return "nothing"
	case "!!str":
		return "text"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	default:
		return "a " + strings.TrimPrefix(tag, "!!")
	}
}
