package rules

import (
	"encoding/base64"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpc-trat/grpc-trat/internal/expression"
	"github.com/grpc-trat/grpc-trat/trat"
)

// memberReader reads a member of tctx as the value that a relation sees; ok is false when it
// is of another type. A value is what the same member would be equal to without a relation:
// there is one notion of how a value stands in JSON.
type memberReader func(trat.Value) (value any, ok bool)

// fieldReader reads what a field may be, with the form of the field.
func fieldReader(field protoreflect.FieldDescriptor, form form) memberReader {
	if field.IsMap() {
		return checkedReader(readMap(field), form, expression.Reader(field))
	}
	if !field.IsList() {
		return checkedReader(readSingular(field), form, expression.Reader(field))
	}
	// The form of a list checks its elements, and so does that of each element.
	element, err := elementReader(field)
	if err != nil {
		return func(trat.Value) (any, bool) { return nil, false }
	}
	return listReader(element)
}

// elementReader reads what one element of a repeated field may be.
func elementReader(field protoreflect.FieldDescriptor) (memberReader, error) {
	form, err := newForms().singular(field)
	if err != nil {
		return nil, err
	}
	return checkedReader(readSingular(field), form, expression.ElementReader(field)), nil
}

func checkedReader(parse func(trat.Value) (protoreflect.Value, bool), form form, read expression.Read) memberReader {
	return func(member trat.Value) (any, bool) {
		v, ok := parse(member)
		if !ok || !form.equals(v, member) {
			return nil, false
		}
		value, err := read(v)
		return value, err == nil
	}
}

// listReader reads lists.
func listReader(element memberReader) memberReader {
	return func(member trat.Value) (any, bool) {
		if !member.IsArray() {
			return nil, false
		}
		var values []ref.Val
		for e := range member.Elements() {
			v, ok := element(e)
			if !ok {
				return nil, false
			}
			values = append(values, expression.Of(v))
		}
		return types.NewRefValList(types.DefaultTypeAdapter, values), true
	}
}

// readSingular parses one value of a field, not strictly: the form is.
func readSingular(field protoreflect.FieldDescriptor) func(trat.Value) (protoreflect.Value, bool) {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return func(member trat.Value) (protoreflect.Value, bool) {
			b, ok := member.Bool()
			return protoreflect.ValueOfBool(b), ok
		}
	case protoreflect.StringKind:
		return func(member trat.Value) (protoreflect.Value, bool) {
			text, ok := member.Text()
			return protoreflect.ValueOfString(text), ok
		}
	case protoreflect.BytesKind:
		return func(member trat.Value) (protoreflect.Value, bool) {
			text, _ := member.Text()
			content, err := base64.StdEncoding.DecodeString(text)
			return protoreflect.ValueOfBytes(content), err == nil
		}
	case protoreflect.EnumKind:
		return readEnum(field.Enum())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return readMessage(field.Message())
	default:
		return readNumber(field.Kind())
	}
}

func readNumber(kind protoreflect.Kind) func(trat.Value) (protoreflect.Value, bool) {
	parse := func(text string) (protoreflect.Value, error) {
		switch kind {
		case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
			n, err := strconv.ParseInt(text, 10, 32)
			return protoreflect.ValueOfInt32(int32(n)), err
		case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
			n, err := strconv.ParseUint(text, 10, 32)
			return protoreflect.ValueOfUint32(uint32(n)), err
		case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
			n, err := strconv.ParseUint(text, 10, 64)
			return protoreflect.ValueOfUint64(n), err
		case protoreflect.FloatKind:
			f, err := strconv.ParseFloat(text, 32)
			return protoreflect.ValueOfFloat32(float32(f)), err
		case protoreflect.DoubleKind:
			f, err := strconv.ParseFloat(text, 64)
			return protoreflect.ValueOfFloat64(f), err
		default:
			n, err := strconv.ParseInt(text, 10, 64)
			return protoreflect.ValueOfInt64(n), err
		}
	}
	return func(member trat.Value) (protoreflect.Value, bool) {
		text, ok := member.Number()
		if !ok {
			text, _ = member.Text() // as protojson writes what has 64 bits, or is infinite
		}
		v, err := parse(text)
		return v, err == nil
	}
}

func readEnum(enum protoreflect.EnumDescriptor) func(trat.Value) (protoreflect.Value, bool) {
	return func(member trat.Value) (protoreflect.Value, bool) {
		if name, ok := member.Text(); ok {
			value := enum.Values().ByName(protoreflect.Name(name))
			if value == nil {
				return protoreflect.Value{}, false
			}
			return protoreflect.ValueOfEnum(value.Number()), true
		}
		text, _ := member.Number()
		n, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)), err == nil
	}
}

// memberJSON reads messages. Members are not larger than an object, and not deeper.
var memberJSON = protojson.UnmarshalOptions{AllowPartial: true, RecursionLimit: trat.MaxDepth}

func readMessage(message protoreflect.MessageDescriptor) func(trat.Value) (protoreflect.Value, bool) {
	return func(member trat.Value) (protoreflect.Value, bool) {
		m := dynamicpb.NewMessage(message)
		err := memberJSON.Unmarshal([]byte(member.JSON()), m)
		return protoreflect.ValueOfMessage(m), err == nil
	}
}

// readMap reads a map field, in a message that has nothing else.
func readMap(field protoreflect.FieldDescriptor) func(trat.Value) (protoreflect.Value, bool) {
	return func(member trat.Value) (protoreflect.Value, bool) {
		m := dynamicpb.NewMessage(field.ContainingMessage())
		err := memberJSON.Unmarshal([]byte(`{`+strconv.Quote(string(field.Name()))+`:`+member.JSON()+`}`), m)
		return m.Get(field), err == nil
	}
}
