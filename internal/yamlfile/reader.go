package yamlfile

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Reader reads typed values out of YAML nodes. What has another type becomes a problem and
// reads as the zero value, so that reading goes on. The zero Reader is ready for use.
type Reader struct{ problems }

// Document returns the top node of the one YAML document in text; nil after a
// problem.
func (r *Reader) Document(text []byte) *yaml.Node {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.AddAt(0, "", "the file is empty")
		return nil
	case err != nil:
		r.AddAt(0, "", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		r.AddAt(0, "", "more than one document")
		return nil
	}
	if r.aliased(&doc) {
		return nil
	}
	return doc.Content[0]
}

// aliased reports anchors, aliases and merge keys: with them a small file can mean
// a huge one, and a rule can hold what nobody sees at its place.
func (r *Reader) aliased(n *yaml.Node) bool {
	if n.Anchor != "" || n.Kind == yaml.AliasNode || n.ShortTag() == "!!merge" {
		r.Add(n, "", "anchors, aliases and merge keys are not allowed")
		return true
	}
	return slices.ContainsFunc(n.Content, r.aliased)
}

// Member is one key and value of a mapping.
type Member struct{ Key, Value *yaml.Node }

// Mapping returns the members of the mapping n, without those whose key is not
// text or was there before.
func (r *Reader) Mapping(n *yaml.Node, field string) []Member {
	if n.Kind != yaml.MappingNode {
		r.Add(n, field, "want a mapping, not %s", Kind(n))
		return nil
	}
	seen := make(map[string]int, len(n.Content)/2)
	members := make([]Member, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.ShortTag() != "!!str" {
			r.Add(key, field, "want text as key, not %s", Kind(key))
			continue
		}
		if line, dup := seen[key.Value]; dup {
			r.Add(key, field, "duplicate key %q, first in line %d", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		members = append(members, Member{Key: key, Value: n.Content[i+1]})
	}
	return members
}

// Sequence returns the elements of the sequence n.
func (r *Reader) Sequence(n *yaml.Node, field string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		r.Add(n, field, "want a list, not %s", Kind(n))
		return nil
	}
	return n.Content
}

// Text returns the text n, which may not be empty.
func (r *Reader) Text(n *yaml.Node, field string) string {
	switch {
	case IsNumber(n):
		r.Add(n, field, "want text, not a number (quote it to make it text)")
		return ""
	case n.ShortTag() != "!!str":
		r.Add(n, field, "want text, not %s", Kind(n))
		return ""
	case n.Value == "":
		r.Add(n, field, "is empty")
	}
	return n.Value
}

// Texts returns the elements of a list of different texts that check accepts. An
// empty list is a problem: leaving the key away says the same and says it once.
func (r *Reader) Texts(n *yaml.Node, field string, check func(string) error) []string {
	elements := r.Sequence(n, field)
	if n.Kind == yaml.SequenceNode && len(elements) == 0 {
		r.Add(n, field, "the list is empty")
	}
	seen := make(map[string]bool, len(elements))
	values := make([]string, 0, len(elements))
	for _, e := range elements {
		value := r.Text(e, field)
		if value == "" {
			continue
		}
		if seen[value] {
			r.Add(e, field, "%q is there twice", value)
			continue
		}
		seen[value] = true
		if err := check(value); err != nil {
			r.Add(e, field, "%q: %v", value, err)
			continue
		}
		values = append(values, value)
	}
	return values
}

// Boolean returns the truth value n.
func (r *Reader) Boolean(n *yaml.Node, field string) bool {
	var value bool
	if !IsBoolean(n) || n.Decode(&value) != nil {
		r.Add(n, field, "want true or false, not %s", Kind(n))
		return false
	}
	return value
}

// IsBoolean says whether n is true or false, however it is spelled.
func IsBoolean(n *yaml.Node) bool { return n.ShortTag() == "!!bool" }

// IsNumber says whether n is a number.
func IsNumber(n *yaml.Node) bool { return n.ShortTag() == "!!int" || n.ShortTag() == "!!float" }

// Kind names what n is, in words for the writer of the file.
func Kind(n *yaml.Node) string {
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
