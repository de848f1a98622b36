package binding

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

var (
	errUnknown   = errors.New("holds what its type does not know: an unknown field or an extension")
	errForeignIn = errors.New("holds a message of another type")
)

// messageForm is an object with a member for each populated field, under its proto name or
// its JSON name. A member that is null is absent, and one for a field without presence may
// say that it is zero.
type messageForm struct {
	message protoreflect.MessageDescriptor
	fields  []messageField // by their index in message
	byName  map[string]int
}

type messageField struct {
	descriptor protoreflect.FieldDescriptor
	form       form
}

// ordinary returns the form of a message that is no well-known type.
func (f *forms) ordinary(message protoreflect.MessageDescriptor) (form, error) {
	m := &messageForm{message: message, fields: make([]messageField, message.Fields().Len()), byName: make(map[string]int)}
	f.messages[message] = m
	for i := range m.fields {
		field := message.Fields().Get(i)
		inner, err := f.of(field)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field.FullName(), err)
		}
		m.fields[i] = messageField{descriptor: field, form: inner}
		for _, name := range [...]string{string(field.Name()), field.JSONName()} {
			if other, taken := m.byName[name]; taken && other != i {
				return nil, fmt.Errorf("%s cannot be bound: a member %q could be two fields of it", message.FullName(), name)
			}
			m.byName[name] = i
		}
	}
	return m, nil
}

func (f *messageForm) equals(value protoreflect.Value, member trat.Value) bool {
	message := value.Message()
	if !member.IsObject() || !isPlain(message, f.message) {
		return false
	}
	const usual = 64
	var memory [usual]bool
	seen := memory[:]
	if len(f.fields) > usual {
		seen = make([]bool, len(f.fields))
	}
	for name, said := range member.Members() {
		i, known := f.byName[name]
		if !known || seen[i] || !f.fields[i].equals(message, said) {
			return false
		}
		seen[i] = true
	}
	same := true
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		same = !field.IsExtension() && (seen[field.Index()] || isNullValue(field, value))
		return same
	})
	return same
}

// equals reports whether said is the field's value in message.
func (f *messageField) equals(message protoreflect.Message, said trat.Value) bool {
	populated := message.Has(f.descriptor)
	value := message.Get(f.descriptor)
	switch {
	case said.IsNull():
		return !populated || isNullValue(f.descriptor, value)
	case !populated && f.descriptor.HasPresence():
		return false
	}
	return f.form.equals(value, said)
}

func (f *messageForm) write(w *jsonWriter, value protoreflect.Value) error {
	message := value.Message()
	if err := checkPlain(message, f.message); err != nil {
		return err
	}
	populated := 0
	message.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool { populated++; return true })
	if err := w.open('{'); err != nil {
		return err
	}
	for i := range f.fields {
		field := &f.fields[i]
		if !message.Has(field.descriptor) {
			continue
		}
		populated--
		if err := w.next(); err != nil {
			return err
		}
		if err := w.name(string(field.descriptor.Name())); err != nil {
			return err
		}
		if err := field.form.write(w, message.Get(field.descriptor)); err != nil {
			return err
		}
	}
	if populated > 0 {
		return errUnknown // what is no field of it is an extension
	}
	return w.close('}')
}

// checkPlain is isPlain for whoever wants to know why not.
func checkPlain(message protoreflect.Message, of protoreflect.MessageDescriptor) error {
	switch {
	case message.Descriptor() != of:
		return errForeignIn
	case len(message.GetUnknown()) > 0:
		return errUnknown
	}
	return nil
}

// onlyFieldForm is a message that stands in JSON as the only field it has: wrappers, and
// Struct and ListValue.
type onlyFieldForm struct {
	message protoreflect.MessageDescriptor
	field   protoreflect.FieldDescriptor
	form    form
}

func newOnlyFieldForm(f *forms, message protoreflect.MessageDescriptor) (form, error) {
	only := &onlyFieldForm{message: message, field: message.Fields().ByNumber(1)}
	f.messages[message] = only
	inner, err := f.of(only.field)
	only.form = inner
	return only, err
}

func (f *onlyFieldForm) equals(value protoreflect.Value, member trat.Value) bool {
	message := value.Message()
	return isPlain(message, f.message) && f.form.equals(message.Get(f.field), member)
}

func (f *onlyFieldForm) write(w *jsonWriter, value protoreflect.Value) error {
	message := value.Message()
	if err := checkPlain(message, f.message); err != nil {
		return err
	}
	return f.form.write(w, message.Get(f.field))
}
