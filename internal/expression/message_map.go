package expression

import (
	"fmt"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var errLongKey = fmt.Errorf("a key of more than %d bytes is not looked up", MaxText)

// mapEntries are those of a map field.
type mapEntries struct {
	protoreflect.Map
	key   protoreflect.Kind
	value Read
}

func (m mapEntries) find(key ref.Val) (ref.Val, bool) {
	if text, ok := key.(types.String); ok && len(text) > MaxText {
		return types.WrapErr(errLongKey), false // finding it would cost what nothing counts
	}
	k, ok := mapKey(m.key, key)
	if !ok || !m.Has(k) {
		return nil, false
	}
	v, err := m.value(m.Get(k))
	if err != nil {
		return types.WrapErr(err), false
	}
	return Of(v), true
}

func (m mapEntries) count() int { return m.Len() }

func (m mapEntries) all() map[ref.Val]ref.Val {
	all := make(map[ref.Val]ref.Val, m.Len())
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		all[scalar(k.Value())] = elements{m.value}.value(v)
		return true
	})
	return all
}

func mapKey(kind protoreflect.Kind, v ref.Val) (protoreflect.MapKey, bool) {
	var (
		key protoreflect.Value
		ok  bool
	)
	switch v := v.(type) {
	case types.String:
		key, ok = protoreflect.ValueOfString(string(v)), kind == protoreflect.StringKind
	case types.Bool:
		key, ok = protoreflect.ValueOfBool(bool(v)), kind == protoreflect.BoolKind
	case types.Int:
		switch kind {
		case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
			key, ok = protoreflect.ValueOfInt64(int64(v)), true
		case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
			key, ok = protoreflect.ValueOfInt32(int32(v)), v == types.Int(int32(v)) //nolint:gosec // ok says whether it fits
		default:
		}
	case types.Uint:
		switch kind {
		case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
			key, ok = protoreflect.ValueOfUint64(uint64(v)), true
		case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
			key, ok = protoreflect.ValueOfUint32(uint32(v)), v == types.Uint(uint32(v)) //nolint:gosec // ok says whether it fits
		default:
		}
	}
	if !ok {
		return protoreflect.MapKey{}, false
	}
	return key.MapKey(), true
}
