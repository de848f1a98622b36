package binding

import (
	"encoding/base64"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Read reads a member of tctx as a value; ok is false when it is none.
type Read func(member trat.Value) (value protoreflect.Value, ok bool)

// Reader returns what reads members as values of a field, those of a list as elements of it:
// each as the value that it would be equal to if it were bound, and nothing else. So there
// is one notion of how a value stands in JSON. It fails for a field that cannot be bound.
func Reader(field protoreflect.FieldDescriptor) (Read, error) {
	parse, formOf := parseSingular(field), newForms().singular
	if field.IsMap() {
		parse, formOf = parseMap(field), newForms().of
	}
	form, err := formOf(field)
	if err != nil {
		return nil, err
	}
	return func(member trat.Value) (protoreflect.Value, bool) {
		v, ok := parse(member)
		return v, ok && form.equals(v, member)
	}, nil
}

// parseSingular parses one value of a field, not strictly: the form is.
func parseSingular(field protoreflect.FieldDescriptor) Read {
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
		return parseEnum(field.Enum())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return parseMessage(field.Message())
	default:
		return parseNumber(field.Kind())
	}
}

func parseNumber(kind protoreflect.Kind) func(trat.Value) (protoreflect.Value, bool) {
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

func parseEnum(enum protoreflect.EnumDescriptor) func(trat.Value) (protoreflect.Value, bool) {
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

func parseMessage(message protoreflect.MessageDescriptor) func(trat.Value) (protoreflect.Value, bool) {
	return func(member trat.Value) (protoreflect.Value, bool) {
		m := dynamicpb.NewMessage(message)
		err := memberJSON.Unmarshal([]byte(member.JSON()), m)
		return protoreflect.ValueOfMessage(m), err == nil
	}
}

// parseMap parses a map field, in a message that has nothing else.
func parseMap(field protoreflect.FieldDescriptor) func(trat.Value) (protoreflect.Value, bool) {
	return func(member trat.Value) (protoreflect.Value, bool) {
		m := dynamicpb.NewMessage(field.ContainingMessage())
		err := memberJSON.Unmarshal([]byte(`{`+strconv.Quote(string(field.Name()))+`:`+member.JSON()+`}`), m)
		return m.Get(field), err == nil
	}
}
