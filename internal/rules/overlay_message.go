package rules

import (
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
	"github.com/grpc-trat/grpc-trat/internal/yamlfile"
)

// message reads a mapping into a message, as protobuf's JSON would be read, but for what
// says nothing or can be misunderstood: null, an empty list, an enum by number. at is the
// field that the message is, "" for the rule.
func (r *overlayReader) message(n *yaml.Node, to protoreflect.Message, at string) {
	fields := to.Descriptor().Fields()
	for _, m := range r.Mapping(n, at) {
		field := fields.ByTextName(m.Key.Value)
		if field == nil {
			field = fields.ByJSONName(m.Key.Value)
		}
		if field == nil {
			r.Add(m.Key, joined(at, syntax.ShownKey(m.Key.Value)), "unknown key")
			continue
		}
		name := joined(at, string(field.Name()))
		if r.nodes[name] != nil {
			r.Add(m.Key, name, "is there twice, under both of its names")
			continue
		}
		r.nodes[name] = m.Value
		if !field.IsList() {
			r.single(m.Value, to, field, name)
			continue
		}
		elements := r.Sequence(m.Value, name)
		if m.Value.Kind == yaml.SequenceNode && len(elements) == 0 {
			r.Add(m.Value, name, "the list is empty")
		}
		r.list(elements, to.Mutable(field).List(), field, name)
	}
}

// list reads the elements of a list; those of rules are texts and messages.
func (r *overlayReader) list(elements []*yaml.Node, to protoreflect.List, field protoreflect.FieldDescriptor, name string) {
	for i, e := range elements {
		at := name + "[" + strconv.Itoa(i) + "]"
		r.nodes[at] = e
		if field.Message() != nil {
			r.message(e, to.AppendMutable().Message(), at)
			continue
		}
		to.Append(protoreflect.ValueOfString(r.Text(e, at)))
	}
}

// single reads the value of a field that is no list.
func (r *overlayReader) single(n *yaml.Node, to protoreflect.Message, field protoreflect.FieldDescriptor, name string) {
	switch field.Kind() {
	case protoreflect.MessageKind:
		if field.Message() == (*durationpb.Duration)(nil).ProtoReflect().Descriptor() {
			to.Set(field, protoreflect.ValueOfMessage(r.duration(n, name).ProtoReflect()))
			return
		}
		r.message(n, to.Mutable(field).Message(), name)
	case protoreflect.EnumKind:
		text := r.Text(n, name)
		value := field.Enum().Values().ByName(protoreflect.Name(text))
		if text == "" {
			return
		}
		if value == nil || value.Number() == 0 {
			r.Add(n, name, "want the name of a value of %s", field.Enum().FullName())
			return
		}
		to.Set(field, protoreflect.ValueOfEnum(value.Number()))
	case protoreflect.BoolKind:
		value := r.Boolean(n, name)
		if !value && yamlfile.IsBoolean(n) && name == "chain.strict_trace" {
			r.Add(n, name, "false demands nothing: leave the key away")
		}
		to.Set(field, protoreflect.ValueOfBool(value))
	case protoreflect.Uint32Kind:
		to.Set(field, protoreflect.ValueOfUint32(r.count(n, name)))
	default:
		to.Set(field, protoreflect.ValueOfString(r.Text(n, name)))
	}
}

// duration reads a length of time as protobuf's JSON has it, "2.5s".
func (r *overlayReader) duration(n *yaml.Node, name string) *durationpb.Duration {
	d := new(durationpb.Duration)
	text := r.Text(n, name)
	if text != "" && protojson.Unmarshal([]byte(strconv.Quote(text)), d) != nil {
		r.Add(n, name, `want seconds, such as "90s" or "2.5s"`)
		return durationpb.New(1) // so that it is not found to be 0 as well
	}
	return d
}

// count reads a number that is not 0.
func (r *overlayReader) count(n *yaml.Node, name string) uint32 {
	if !yamlfile.IsNumber(n) {
		r.Add(n, name, "want a number, not %s", yamlfile.Kind(n))
		return 1
	}
	number, ok := r.JSON(n, name).(int64)
	if !ok || number < 1 || number > math.MaxUint32 {
		r.Add(n, name, "want a whole number of at least 1")
		return 1
	}
	return uint32(number)
}

// joined is a field in another.
func joined(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}
