package binding

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// randomizer fills messages, so that each value has a form in JSON.
type randomizer struct{ *rand.Rand }

// message fills m; below depth 0 with scalars only.
func (r randomizer) message(m protoreflect.Message, depth int) {
	name := m.Descriptor().FullName()
	fields := m.Descriptor().Fields()
	switch name {
	case "google.protobuf.Timestamp":
		m.Set(fields.ByNumber(1), protoreflect.ValueOfInt64(r.Int64N(maxTimestamp-minTimestamp)+minTimestamp))
		m.Set(fields.ByNumber(2), protoreflect.ValueOfInt32(r.Int32N(1e9)))
		return
	case "google.protobuf.Duration":
		sign := int64(1 - 2*r.IntN(2))
		m.Set(fields.ByNumber(1), protoreflect.ValueOfInt64(sign*r.Int64N(maxDuration)))
		m.Set(fields.ByNumber(2), protoreflect.ValueOfInt32(int32(sign)*r.Int32N(1e9)))
		return
	case "google.protobuf.FieldMask":
		for range r.IntN(3) {
			m.Mutable(fields.ByNumber(1)).List().Append(protoreflect.ValueOfString([]string{"a", "order_id", "a.b_c.d2"}[r.IntN(3)]))
		}
		return
	case valueName:
		r.jsonValue(m, depth)
		return
	}
	for i := range fields.Len() {
		if r.IntN(3) > 0 {
			r.field(m, fields.Get(i), depth)
		}
	}
}

func (r randomizer) jsonValue(m protoreflect.Message, depth int) {
	kinds := int(valueKinds) - 1
	if depth <= 0 {
		kinds -= 2 // neither objects nor arrays
	}
	field := m.Descriptor().Fields().ByNumber(protoreflect.FieldNumber(1 + r.IntN(kinds)))
	switch {
	case field.Number() == valueNull:
		m.Set(field, protoreflect.ValueOfEnum(0))
	case field.Number() == valueNumber:
		m.Set(field, protoreflect.ValueOfFloat64(math.Round(r.NormFloat64()*100)/4))
	default:
		r.field(m, field, depth)
	}
}

// field sets a field of m.
func (r randomizer) field(m protoreflect.Message, field protoreflect.FieldDescriptor, depth int) {
	switch {
	case field.Message() != nil && depth <= 0:
	case field.IsMap():
		entries := m.Mutable(field).Map()
		for range r.IntN(4) {
			value := entries.NewValue()
			r.fill(&value, field.MapValue(), depth)
			entries.Set(r.scalar(field.MapKey()).MapKey(), value)
		}
	case field.IsList():
		list := m.Mutable(field).List()
		for range r.IntN(4) {
			value := list.NewElement()
			r.fill(&value, field, depth)
			list.Append(value)
		}
	default:
		value := m.NewField(field)
		r.fill(&value, field, depth)
		m.Set(field, value)
	}
}

func (r randomizer) fill(value *protoreflect.Value, field protoreflect.FieldDescriptor, depth int) {
	if field.Message() != nil {
		r.message(value.Message(), depth-1)
		return
	}
	*value = r.scalar(field)
}

func (r randomizer) scalar(field protoreflect.FieldDescriptor) protoreflect.Value {
	// Small and large ones alike.
	number := r.Int64() >> (r.IntN(4) * 20)
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(r.IntN(5)))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(number))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(number))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(number)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(number))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(math.Float32frombits(r.Uint32() &^ (1 << 23))) // neither infinite nor NaN
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(math.Float64frombits(r.Uint64() &^ (1 << 52)))
	case protoreflect.BytesKind:
		content := make([]byte, r.IntN(10))
		for i := range content {
			content[i] = byte(r.IntN(256))
		}
		return protoreflect.ValueOfBytes(content)
	default:
		var text strings.Builder
		for range r.IntN(6) {
			text.WriteString([]string{"a", "\"", "\\", "\x01", "\u00e9", "e\u0301", "\U0001d4b3", " ", "<"}[r.IntN(9)])
		}
		return protoreflect.ValueOfString(text.String())
	}
}

// change is one change to a message of some type.
type change struct {
	what  string
	apply func(protoreflect.Message)
}

// changesOf returns the changes to m: to each field, and to what is unknown.
func changesOf(m protoreflect.Message) []change {
	changes := []change{{"an unknown field", func(m protoreflect.Message) { withUnknown(m.Interface()) }}}
	for i := range m.Descriptor().Fields().Len() {
		changes = append(changes, changesOfField(m, m.Descriptor().Fields().Get(i))...)
	}
	return changes
}

// changesOfField returns the changes to a field of m and to what is in it.
func changesOfField(m protoreflect.Message, field protoreflect.FieldDescriptor) (changes []change) {
	add := func(what string, apply func(protoreflect.Message)) {
		changes = append(changes, change{string(field.Name()) + ": " + what, apply})
	}
	if m.Has(field) {
		add("unset", func(m protoreflect.Message) { m.Clear(field) })
	} else if field.HasPresence() {
		add("set", func(m protoreflect.Message) { m.Set(field, m.NewField(field)) })
		return changes
	}
	switch {
	case field.IsList():
		changesOfList(m.Get(field).List(), field, add)
	case field.IsMap():
		changesOfMap(m.Get(field).Map(), field, add)
	case field.Message() != nil:
		for _, c := range changesOf(m.Get(field).Message()) {
			add(c.what, func(m protoreflect.Message) { c.apply(m.Mutable(field).Message()) })
		}
	default:
		for _, other := range others(m.Get(field)) {
			add("changed", func(m protoreflect.Message) { m.Set(field, other) })
		}
	}
	return changes
}

func changesOfList(list protoreflect.List, field protoreflect.FieldDescriptor, add func(string, func(protoreflect.Message))) {
	add("appended", func(m protoreflect.Message) { l := m.Mutable(field).List(); l.Append(l.NewElement()) })
	if n := list.Len(); n > 0 {
		add("shortened", func(m protoreflect.Message) { m.Mutable(field).List().Truncate(n - 1) })
	}
	for i := range list.Len() {
		if i > 0 && !list.Get(i).Equal(list.Get(i-1)) {
			add("reordered", func(m protoreflect.Message) {
				l := m.Mutable(field).List()
				one, other := l.Get(i-1), l.Get(i)
				l.Set(i, one)
				l.Set(i-1, other)
			})
		}
		at := fmt.Sprintf("[%d] ", i)
		if field.Message() != nil {
			for _, c := range changesOf(list.Get(i).Message()) {
				add(at+c.what, func(m protoreflect.Message) { c.apply(m.Mutable(field).List().Get(i).Message()) })
			}
			continue
		}
		for _, other := range others(list.Get(i)) {
			add(at+"changed", func(m protoreflect.Message) { m.Mutable(field).List().Set(i, other) })
		}
	}
}

func changesOfMap(entries protoreflect.Map, field protoreflect.FieldDescriptor, add func(string, func(protoreflect.Message))) {
	fresh := func() protoreflect.MapKey {
		candidate := field.MapKey().Default()
		for entries.Has(candidate.MapKey()) {
			candidate = others(candidate)[0]
			if field.MapKey().Kind() == protoreflect.BoolKind && entries.Len() == 2 {
				break // there is no third one
			}
		}
		return candidate.MapKey()
	}()
	isFresh := !entries.Has(fresh)
	if isFresh {
		add("added", func(m protoreflect.Message) {
			e := m.Mutable(field).Map()
			e.Set(fresh, e.NewValue())
		})
	}
	for key, value := range entries.Range {
		add("removed", func(m protoreflect.Message) { m.Mutable(field).Map().Clear(key) })
		if isFresh {
			add("renamed", func(m protoreflect.Message) {
				e := m.Mutable(field).Map()
				value := e.Get(key)
				e.Clear(key)
				e.Set(fresh, value)
			})
		}
		if field.MapValue().Message() != nil {
			for _, c := range changesOf(value.Message()) {
				add("value "+c.what, func(m protoreflect.Message) { c.apply(m.Mutable(field).Map().Mutable(key).Message()) })
			}
			continue
		}
		for _, other := range others(value) {
			add("value changed", func(m protoreflect.Message) { m.Mutable(field).Map().Set(key, other) })
		}
	}
}

// others returns values of a scalar field that are not value, near it and far.
func others(value protoreflect.Value) []protoreflect.Value {
	of := func(values ...any) (list []protoreflect.Value) {
		for _, v := range values {
			list = append(list, protoreflect.ValueOf(v))
		}
		return list
	}
	switch v := value.Interface().(type) {
	case bool:
		return of(!v)
	case int32:
		return of(v+1, -v-1, v^math.MinInt32)
	case uint32:
		return of(v+1, ^v)
	case int64:
		return of(v+1, -v-1, v^1<<53, v^1<<32)
	case uint64:
		return of(v+1, ^v, v^1<<63)
	case float32:
		return of(math.Nextafter32(v, 0), -v, float32(math.NaN()), float32(math.Inf(1)))[btoi(v == 0):]
	case float64:
		return of(math.Nextafter(v, 0), -v, math.NaN(), math.Inf(-1))[btoi(v == 0):]
	case []byte:
		return of(append(append([]byte(nil), v...), 0))
	case protoreflect.EnumNumber:
		return of(v+1, protoreflect.EnumNumber(99))
	default:
		return of(value.String()+"x", value.String()+"\u0301", value.String()+"\x00")
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
