package interceptors

import (
	"crypto/sha256"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// maxAnyDepth is how many google.protobuf.Any one inside another are looked into. Each
// costs a copy of what is in it.
const maxAnyDepth = 4

// requestHash is the SHA-256 of a request message, encoded deterministically, after what
// handlers do not see was taken out of it: with that anybody could make an equal request
// look new. Unknown fields do not count, at any depth, nor which NaN one is, nor the sign of
// a zero. A google.protobuf.Any counts as the message that is in it, if this program knows
// its type, and else as bytes.
func requestHash(req proto.Message) ([sha256.Size]byte, error) {
	if !isNormal(req.ProtoReflect()) {
		req = proto.Clone(req) // the handler's message is not ours to change
		normalize(req.ProtoReflect(), maxAnyDepth)
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("request hash: %w", err)
	}
	return sha256.Sum256(encoded), nil
}

// isNormal reports whether there is nothing for normalize to do.
func isNormal(m protoreflect.Message) bool {
	normal := len(m.GetUnknown()) == 0 && !isAny(m)
	if normal {
		eachValue(m, func(fd protoreflect.FieldDescriptor, v protoreflect.Value) (protoreflect.Value, bool) {
			if fd.Message() != nil {
				normal = isNormal(v.Message())
			} else {
				normal = !isOddFloat(v.Float())
			}
			return protoreflect.Value{}, normal
		})
	}
	return normal
}

// normalize makes messages that handlers take for equal have one encoding.
func normalize(m protoreflect.Message, anyDepth int) {
	m.SetUnknown(nil)
	if isAny(m) {
		normalizeAny(m, anyDepth)
		return
	}
	eachValue(m, func(fd protoreflect.FieldDescriptor, v protoreflect.Value) (plain protoreflect.Value, more bool) {
		switch {
		case fd.Message() != nil:
			normalize(v.Message(), anyDepth)
		case isOddFloat(v.Float()):
			plain = plainFloat(fd.Kind(), v.Float())
		}
		return plain, true
	})
}

// normalizeAny normalizes the message in m, and the name of its type, of which only what
// follows the last slash counts.
func normalizeAny(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	url, value := fields.ByName("type_url"), fields.ByName("value")
	if depth == 0 {
		return
	}
	t, err := protoregistry.GlobalTypes.FindMessageByURL(m.Get(url).String())
	if err != nil {
		return
	}
	inside := t.New()
	if proto.Unmarshal(m.Get(value).Bytes(), inside.Interface()) != nil {
		return
	}
	normalize(inside, depth-1)
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(inside.Interface())
	if err != nil {
		return
	}
	m.Set(url, protoreflect.ValueOfString("/"+string(t.Descriptor().FullName())))
	m.Set(value, protoreflect.ValueOfBytes(encoded))
}

// isAny reports whether m is a google.protobuf.Any, of whatever Go type.
func isAny(m protoreflect.Message) bool {
	const anyFields = 2
	d := m.Descriptor()
	return d.FullName() == "google.protobuf.Any" && d.Fields().Len() == anyFields
}

// isOddFloat reports whether other bits stand for the same number.
func isOddFloat(f float64) bool { return math.IsNaN(f) || f == 0 && math.Signbit(f) }

func plainFloat(kind protoreflect.Kind, f float64) protoreflect.Value {
	if f == 0 {
		f = 0 // without a sign
	} else {
		f = math.NaN()
	}
	if kind == protoreflect.FloatKind {
		return protoreflect.ValueOfFloat32(float32(f))
	}
	return protoreflect.ValueOfFloat64(f)
}

// eachValue calls f for each message and each floating-point number that a field of m
// holds, in lists and maps too, with the field that says what it is, until f says that it
// wants no more. A valid Value that f returns takes the place of the one it got.
func eachValue(m protoreflect.Message, f func(protoreflect.FieldDescriptor, protoreflect.Value) (plain protoreflect.Value, more bool)) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		var plain protoreflect.Value
		more := true
		switch {
		case fd.IsMap():
			if !concerns(fd.MapValue()) {
				break
			}
			v.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
				if plain, more = f(fd.MapValue(), value); plain.IsValid() {
					v.Map().Set(key, plain)
				}
				return more
			})
		case !concerns(fd):
		case fd.IsList():
			for i := 0; more && i < v.List().Len(); i++ {
				if plain, more = f(fd, v.List().Get(i)); plain.IsValid() {
					v.List().Set(i, plain)
				}
			}
		default:
			if plain, more = f(fd, v); plain.IsValid() {
				m.Set(fd, plain)
			}
		}
		return more
	})
}

// concerns reports whether eachValue gives values of this field.
func concerns(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil || fd.Kind() == protoreflect.FloatKind || fd.Kind() == protoreflect.DoubleKind
}
