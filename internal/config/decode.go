package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decoder fills structs from YAML nodes. What yaml.v3 itself would do is not enough:
// its errors do not name the key, it turns numbers into text, and it stops early.
type decoder struct {
	problems
	lines  map[string]int // of each key that is there
	unread bool           // there is no document with keys at all
}

// document decodes the one document in text into the struct that v points to.
func (d *decoder) document(text []byte, v any) {
	d.unread = true
	if len(text) > MaxSize {
		d.add(0, "", "longer than %d bytes", MaxSize)
		return
	}
	in := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	switch err := in.Decode(&doc); {
	case errors.Is(err, io.EOF):
		d.add(0, "", "the file is empty")
		return
	case err != nil:
		d.add(0, "", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	if err := in.Decode(&second); !errors.Is(err, io.EOF) {
		d.add(0, "", "more than one document")
		return
	}
	top := doc.Content[0]
	d.unread = top.Kind != yaml.MappingNode
	d.value(top, "", reflect.ValueOf(v).Elem())
}

var durationType = reflect.TypeFor[time.Duration]()

// value decodes n into v; field is n's path. An anchor or alias is a problem: a
// configuration says things once, where they are.
func (d *decoder) value(n *yaml.Node, field string, v reflect.Value) {
	d.lines[field] = n.Line
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.add(n.Line, field, "anchors and aliases are not allowed")
		return
	}
	switch {
	case v.Type() == durationType:
		d.duration(n, field, v)
	case v.Kind() == reflect.Struct:
		d.mapping(n, field, v)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, field, v.Elem())
	case v.Kind() == reflect.Slice:
		d.sequence(n, field, v)
	case v.Kind() == reflect.String:
		if !d.scalar(n, field, "!!str", "text") {
			return
		}
		if n.Value == "" {
			d.add(n.Line, field, "is empty")
		}
		v.SetString(n.Value)
	case v.Kind() == reflect.Bool:
		if d.scalar(n, field, "!!bool", "true or false") {
			d.decode(n, field, v)
		}
	case v.Kind() == reflect.Int, v.Kind() == reflect.Int64:
		if d.scalar(n, field, "!!int", "a whole number") {
			d.decode(n, field, v)
		}
	case v.Kind() == reflect.Float64:
		if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float") {
			d.decode(n, field, v)
			return
		}
		d.add(n.Line, field, "want a number, not %s", kind(n))
	default:
		panic(fmt.Sprintf("config: no way to decode a %s", v.Type())) // a mistake in type file
	}
}

func (d *decoder) mapping(n *yaml.Node, field string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.add(n.Line, field, "want keys and values, not %s", kind(n))
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := key.Value
		if field != "" {
			name = field + "." + key.Value
		}
		member := memberOf(v, key.Value)
		switch {
		case key.Kind != yaml.ScalarNode || !member.IsValid():
			d.add(key.Line, name, "unknown key")
		case seen[name]:
			d.add(key.Line, name, "is there twice")
		default:
			seen[name] = true
			d.value(value, name, member)
		}
	}
}

// memberOf returns the field of struct v with the tag `yaml:"name"`.
func memberOf(v reflect.Value, name string) reflect.Value {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

func (d *decoder) sequence(n *yaml.Node, field string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.add(n.Line, field, "want a list, not %s", kind(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, element := range n.Content {
		d.value(element, fmt.Sprintf("%s[%d]", field, i), v.Index(i))
	}
}

func (d *decoder) scalar(n *yaml.Node, field, tag, want string) bool {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == tag {
		return true
	}
	d.add(n.Line, field, "want %s, not %s", want, kind(n))
	return false
}

func (d *decoder) decode(n *yaml.Node, field string, v reflect.Value) {
	if err := n.Decode(v.Addr().Interface()); err != nil {
		d.add(n.Line, field, "is out of range")
	}
}

func (d *decoder) duration(n *yaml.Node, field string, v reflect.Value) {
	if !d.scalar(n, field, "!!str", "a duration such as 30s") {
		return
	}
	value, err := time.ParseDuration(n.Value)
	if err != nil {
		d.add(n.Line, field, "want a duration such as 30s")
		return
	}
	v.SetInt(int64(value))
}

// kind names what n is, in words for the writer of the file.
func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys and values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "nothing"
	case n.ShortTag() == "!!str":
		return "text"
	case n.ShortTag() == "!!bool":
		return "true or false"
	case n.ShortTag() == "!!int", n.ShortTag() == "!!float":
		return "a number"
	default:
		return "that"
	}
}
