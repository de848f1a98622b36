package binding

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
)

// fieldPath is a field of a message, or of a singular message in it, looked up beforehand.
type fieldPath struct {
	name string                         // names joined by dots
	way  []protoreflect.FieldDescriptor // the messages that the field is in
	leaf protoreflect.FieldDescriptor
}

var errForeign = errors.New("is in a message of another type than the method's")

// resolveField looks up names joined by dots from input on.
func resolveField(input protoreflect.MessageDescriptor, name string) (fieldPath, error) {
	found := fieldPath{name: name}
	for message := input; ; {
		first, rest, more := strings.Cut(name, ".")
		field := message.Fields().ByName(protoreflect.Name(first))
		if field == nil {
			return fieldPath{}, fmt.Errorf("%s has no field %s", message.FullName(), syntax.Shown(first))
		}
		if !more {
			found.leaf = field
			return found, nil
		}
		if field.Message() == nil || field.Cardinality() == protoreflect.Repeated {
			return fieldPath{}, fmt.Errorf("%s is no singular message: what is in it cannot be named", field.FullName())
		}
		found.way = append(found.way, field)
		message, name = field.Message(), rest
	}
}

// FieldName is the full name of the field at a path of names from input on; one that is not
// there has the name that it would have in input.
func FieldName(input protoreflect.MessageDescriptor, path string) string {
	field, err := resolveField(input, path)
	if err != nil {
		return string(input.FullName()) + "." + path
	}
	return string(field.leaf.FullName())
}

// get returns the value of the field in message, and whether it is set. A field without
// presence is, if the message is there that it is in.
func (p *fieldPath) get(message protoreflect.Message) (value protoreflect.Value, set bool, err error) {
	message, err = p.parent(message)
	if message == nil || err != nil {
		return protoreflect.Value{}, false, err
	}
	if !p.leaf.HasPresence() {
		return message.Get(p.leaf), true, nil
	}
	if !message.Has(p.leaf) {
		return protoreflect.Value{}, false, nil
	}
	value = message.Get(p.leaf)
	return value, !isNullValue(p.leaf, value), nil
}

// isZero reports whether the field is not populated, which for one without presence is to
// have its zero value.
func (p *fieldPath) isZero(message protoreflect.Message) bool {
	message, err := p.parent(message)
	return err == nil && (message == nil || !message.Has(p.leaf))
}

// parent returns the message that the field is in; nil when it is not set.
func (p *fieldPath) parent(message protoreflect.Message) (protoreflect.Message, error) {
	for _, field := range p.way {
		if !message.Has(field) {
			return nil, nil
		}
		message = message.Get(field).Message()
		// Only a dynamic message can hold one of another descriptor, which panics when it is
		// asked for a field of this one.
		if message.Descriptor() != field.Message() {
			return nil, errForeign
		}
	}
	return message, nil
}
