package interceptors

import (
	"crypto/sha256"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// requestHash is the SHA-256 of a request message without its unknown fields, encoded
// deterministically. Unknown fields do not count, at any depth: with them anybody could
// make an equal request look new. What is inside a google.protobuf.Any counts as bytes.
func requestHash(req proto.Message) ([sha256.Size]byte, error) {
	if hasUnknown(req.ProtoReflect()) {
		req = proto.Clone(req) // the handler's message is not ours to change
		dropUnknown(req.ProtoReflect())
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("request hash: %w", err)
	}
	return sha256.Sum256(encoded), nil
}

// hasUnknown reports whether m, or a message inside it, has unknown fields.
func hasUnknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	if !found {
		eachMessage(m, func(inner protoreflect.Message) bool {
			found = hasUnknown(inner)
			return !found
		})
	}
	return found
}

// dropUnknown removes the unknown fields of m and of every message inside it.
func dropUnknown(m protoreflect.Message) {
	m.SetUnknown(nil)
	eachMessage(m, func(inner protoreflect.Message) bool {
		dropUnknown(inner)
		return true
	})
}

// eachMessage calls f for each message that a field of m holds, in lists and maps too,
// until f returns false.
func eachMessage(m protoreflect.Message, f func(protoreflect.Message) bool) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		more := true
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() == nil {
				break
			}
			v.Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
				more = f(value.Message())
				return more
			})
		case fd.Message() == nil:
		case fd.IsList():
			for i := 0; more && i < v.List().Len(); i++ {
				more = f(v.List().Get(i).Message())
			}
		default:
			more = f(v.Message())
		}
		return more
	})
}
