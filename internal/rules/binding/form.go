package binding

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

// form is how the values of one protobuf type stand in JSON: one description for comparing
// them with a member of tctx and for making that member.
//
// It is protobuf's own JSON mapping, but that 64-bit integers may be numbers, which is how
// they are made, and that each value has few spellings.
type form interface {
	// equals reports whether member, which is neither absent nor null but in lists, maps and
	// google.protobuf.Value, is value.
	equals(value protoreflect.Value, member trat.Value) bool
	// write writes value. The error says why it has no form, and no value.
	write(w *jsonWriter, value protoreflect.Value) error
	// shape is that of all members that some value is equal to.
	shape() Shape
}

// forms makes the forms of fields; those of messages once, for a message may contain itself.
type forms struct {
	messages map[protoreflect.MessageDescriptor]form
}

func newForms() *forms {
	return &forms{messages: make(map[protoreflect.MessageDescriptor]form)}
}

// of returns the form of a whole field.
func (f *forms) of(field protoreflect.FieldDescriptor) (form, error) {
	switch {
	case field.IsMap():
		values, err := f.singular(field.MapValue())
		return mapForm{key: field.MapKey().Kind(), values: values}, err
	case field.IsList():
		elements, err := f.singular(field)
		return listForm{elements: elements}, err
	default:
		return f.singular(field)
	}
}

// singular returns the form of one value of a field.
func (f *forms) singular(field protoreflect.FieldDescriptor) (form, error) {
	switch kind := field.Kind(); kind {
	case protoreflect.BoolKind:
		return boolForm{}, nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return integerForm{signed: true}, nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return integerForm{signed: true, wide: true}, nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return integerForm{}, nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return integerForm{wide: true}, nil
	case protoreflect.FloatKind:
		return realForm{bits: 32}, nil
	case protoreflect.DoubleKind:
		return realForm{bits: 64}, nil
	case protoreflect.StringKind:
		return stringForm{}, nil
	case protoreflect.BytesKind:
		return bytesForm{}, nil
	case protoreflect.EnumKind:
		return newEnumForm(field.Enum()), nil
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return f.message(field.Message())
	default:
		return nil, fmt.Errorf("%s cannot be bound: it is of no known kind", field.FullName())
	}
}

// message returns the form of a message type.
func (f *forms) message(message protoreflect.MessageDescriptor) (form, error) {
	if known, ok := f.messages[message]; ok {
		return known, nil
	}
	wellKnown, ok := wellKnownForms[message.FullName()]
	if !ok {
		return f.ordinary(message)
	}
	if !wellKnown.is(message) {
		return nil, fmt.Errorf("%s cannot be bound: it is not the well-known type", message.FullName())
	}
	return wellKnown.form(f, message)
}

// wellKnownForm is how the form of a well-known type is made, and of what kinds its fields
// are, from number 1 on.
type wellKnownForm struct {
	fields   []protoreflect.Kind
	repeated bool // they are lists or maps
	form     func(*forms, protoreflect.MessageDescriptor) (form, error)
}

// is reports whether a message has these fields and no others. A type that only has the
// name of a well-known one is no such type.
func (w *wellKnownForm) is(message protoreflect.MessageDescriptor) bool {
	for i, kind := range w.fields {
		field := message.Fields().ByNumber(protoreflect.FieldNumber(i + 1))
		if field == nil || field.Kind() != kind || (field.Cardinality() == protoreflect.Repeated) != w.repeated {
			return false
		}
	}
	return message.Fields().Len() == len(w.fields)
}

const (
	valueName  = "google.protobuf.Value"
	structName = "google.protobuf.Struct"
	listName   = "google.protobuf.ListValue"
)

var wellKnownForms map[protoreflect.FullName]wellKnownForm

func init() {
	only := func(kind protoreflect.Kind) wellKnownForm {
		return wellKnownForm{fields: []protoreflect.Kind{kind}, form: newOnlyFieldForm}
	}
	holder := wellKnownForm{fields: []protoreflect.Kind{protoreflect.MessageKind}, repeated: true, form: newOnlyFieldForm}
	seconds := []protoreflect.Kind{protoreflect.Int64Kind, protoreflect.Int32Kind}
	wellKnownForms = map[protoreflect.FullName]wellKnownForm{
		"google.protobuf.Any":         {fields: []protoreflect.Kind{protoreflect.StringKind, protoreflect.BytesKind}, form: refuseAny},
		"google.protobuf.BoolValue":   only(protoreflect.BoolKind),
		"google.protobuf.Int32Value":  only(protoreflect.Int32Kind),
		"google.protobuf.Int64Value":  only(protoreflect.Int64Kind),
		"google.protobuf.UInt32Value": only(protoreflect.Uint32Kind),
		"google.protobuf.UInt64Value": only(protoreflect.Uint64Kind),
		"google.protobuf.FloatValue":  only(protoreflect.FloatKind),
		"google.protobuf.DoubleValue": only(protoreflect.DoubleKind),
		"google.protobuf.StringValue": only(protoreflect.StringKind),
		"google.protobuf.BytesValue":  only(protoreflect.BytesKind),
		"google.protobuf.Timestamp":   {fields: seconds, form: newTimestampForm},
		"google.protobuf.Duration":    {fields: seconds, form: newDurationForm},
		"google.protobuf.FieldMask":   {fields: []protoreflect.Kind{protoreflect.StringKind}, repeated: true, form: newFieldMaskForm},
		structName:                    holder,
		listName:                      holder,
		valueName: {fields: []protoreflect.Kind{
			protoreflect.EnumKind, protoreflect.DoubleKind, protoreflect.StringKind,
			protoreflect.BoolKind, protoreflect.MessageKind, protoreflect.MessageKind,
		}, form: newValueForm},
	}
}

func refuseAny(_ *forms, message protoreflect.MessageDescriptor) (form, error) {
	return nil, fmt.Errorf("%s cannot be bound: its type is known only when it is there", message.FullName())
}

// isNullValue reports whether a field is a google.protobuf.Value that holds a null, which
// in a member of tctx is to be absent.
func isNullValue(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
	if field.Message() == nil || field.Cardinality() == protoreflect.Repeated || field.Message().FullName() != valueName {
		return false
	}
	message := value.Message()
	null := message.Descriptor().Fields().ByNumber(valueNull)
	return null != nil && null.Kind() == protoreflect.EnumKind && message.Has(null) && message.Get(null).Enum() == 0 && len(message.GetUnknown()) == 0
}

// isPlain reports whether message is of the type that it was compiled for and has nothing
// in it that this type does not know. What is unknown cannot be compared.
func isPlain(message protoreflect.Message, of protoreflect.MessageDescriptor) bool {
	return message.Descriptor() == of && len(message.GetUnknown()) == 0
}
