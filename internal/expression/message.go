package expression

import (
	"errors"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var (
	errNoMessage = errors.New("is no message of the type that the expression was compiled for")
	errNoTime    = errors.New("a timestamp or duration is out of range")
	errWhole     = errors.New("a message is not a value by itself")
)

// message is a message where CEL wants a value: an element of a list or map. Fields are all
// that expressions may ask of one; types.Type makes sure of that.
type message struct{ protoreflect.Message }

// Value implements ref.Val.
func (m message) Value() any { return m.Message }

// Type implements ref.Val.
func (m message) Type() ref.Type { return types.NewObjectType(string(m.Descriptor().FullName())) }

// Equal implements ref.Val.
func (m message) Equal(ref.Val) ref.Val { return types.WrapErr(errWhole) }

// ConvertToNative implements ref.Val.
func (m message) ConvertToNative(reflect.Type) (any, error) { return nil, errWhole }

// ConvertToType implements ref.Val.
func (m message) ConvertToType(ref.Type) ref.Val { return types.WrapErr(errWhole) }

// Read is how the values of one kind of field, or of its elements, become CEL's: into a
// ref.Val, or a protoreflect.Message of which fields can be selected.
type Read func(protoreflect.Value) (any, error)

// Reader returns how the values of a field are read.
func Reader(fd protoreflect.FieldDescriptor) Read {
	switch {
	case fd.IsList():
		element := ElementReader(fd)
		return func(v protoreflect.Value) (any, error) {
			return newList(types.NewProtoList(elements{element}, v.List())), nil
		}
	case fd.IsMap():
		key, value := fd.MapKey().Kind(), ElementReader(fd.MapValue())
		return func(v protoreflect.Value) (any, error) {
			return newMap(mapEntries{Map: v.Map(), key: key, value: value}), nil
		}
	}
	return ElementReader(fd)
}

// ElementReader returns how the values of a field are read, or of one element if it is
// repeated.
func ElementReader(fd protoreflect.FieldDescriptor) Read {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return MessageReader(fd.Message())
	case protoreflect.EnumKind:
		return func(v protoreflect.Value) (any, error) { return types.Int(v.Enum()), nil }
	default:
		return func(v protoreflect.Value) (any, error) { return scalar(v), nil }
	}
}

// MessageReader returns how messages of a type are read.
func MessageReader(md protoreflect.MessageDescriptor) Read {
	if known, ok := wellKnown[md.FullName()]; ok {
		return func(v protoreflect.Value) (any, error) { return known(v.Message()) }
	}
	return func(v protoreflect.Value) (any, error) { return v.Message(), nil }
}

func scalar(v protoreflect.Value) ref.Val {
	switch v := v.Interface().(type) {
	case bool:
		return types.Bool(v)
	case int32:
		return types.Int(v)
	case int64:
		return types.Int(v)
	case uint32:
		return types.Uint(v)
	case uint64:
		return types.Uint(v)
	case float32:
		return types.Double(v)
	case float64:
		return types.Double(v)
	case string:
		return types.String(v)
	case []byte:
		return types.Bytes(v)
	}
	return types.NullValue
}

// elements makes values of what is in a list or map.
type elements struct{ read Read }

// NativeToValue implements types.Adapter. What cannot be read is null: CEL takes an error
// inside a list for equal to anything.
func (e elements) NativeToValue(v any) ref.Val {
	if made, ok := v.(ref.Val); ok {
		return made
	}
	return e.value(protoreflect.ValueOf(v))
}

func (e elements) value(v protoreflect.Value) ref.Val {
	read, err := e.read(v)
	if err != nil {
		return types.NullValue
	}
	return Of(read)
}

// Of returns what a Read has returned as an element of lists and maps.
func Of(v any) ref.Val {
	switch v := v.(type) {
	case ref.Val:
		return v
	case protoreflect.Message:
		return message{v}
	}
	return types.NullValue
}
