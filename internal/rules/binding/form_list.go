package binding

import (
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
)

// listForm is an array of as many elements, in the same order.
type listForm struct{ elements form }

func (f listForm) equals(value protoreflect.Value, member trat.Value) bool {
	if !member.IsArray() {
		return false
	}
	list := value.List()
	i := 0
	for said := range member.Elements() {
		if i == list.Len() || !f.elements.equals(list.Get(i), said) {
			return false
		}
		i++
	}
	return i == list.Len()
}

func (f listForm) write(w *jsonWriter, value protoreflect.Value) error {
	if err := w.open('['); err != nil {
		return err
	}
	list := value.List()
	for i := range list.Len() {
		if err := w.next(); err != nil {
			return err
		}
		if err := f.elements.write(w, list.Get(i)); err != nil {
			return err
		}
	}
	return w.close(']')
}

// mapForm is an object with a member for each entry, and no other. Each key has one name,
// so that two members cannot be one entry.
type mapForm struct {
	key    protoreflect.Kind
	values form
}

func (f mapForm) equals(value protoreflect.Value, member trat.Value) bool {
	if !member.IsObject() {
		return false
	}
	entries := value.Map()
	count := 0
	for name, said := range member.Members() {
		key, ok := f.readKey(name)
		if !ok || !entries.Has(key) || !f.values.equals(entries.Get(key), said) {
			return false
		}
		count++
	}
	return count == entries.Len()
}

func (f mapForm) write(w *jsonWriter, value protoreflect.Value) error {
	if err := w.open('{'); err != nil {
		return err
	}
	entries := value.Map()
	// A name has at least one byte more with what is around it.
	if err := w.room(entries.Len()); err != nil {
		return err
	}
	keys := make([]protoreflect.MapKey, 0, entries.Len())
	for key := range entries.Range {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		if err := w.next(); err != nil {
			return err
		}
		if err := w.name(key.String()); err != nil {
			return err
		}
		if err := f.values.write(w, entries.Get(key)); err != nil {
			return err
		}
	}
	return w.close('}')
}

// readKey reads a key as protojson writes it, and no other spelling of it.
func (f mapForm) readKey(name string) (protoreflect.MapKey, bool) {
	var value protoreflect.Value
	var err error
	switch f.key {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(name).MapKey(), true
	case protoreflect.BoolKind:
		value = protoreflect.ValueOfBool(name == "true")
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		var n int64
		n, err = strconv.ParseInt(name, 10, 32)
		value = protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		var n int64
		n, err = strconv.ParseInt(name, 10, 64)
		value = protoreflect.ValueOfInt64(n)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		var n uint64
		n, err = strconv.ParseUint(name, 10, 32)
		value = protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		var n uint64
		n, err = strconv.ParseUint(name, 10, 64)
		value = protoreflect.ValueOfUint64(n)
	default:
		return protoreflect.MapKey{}, false
	}
	key := value.MapKey()
	return key, err == nil && key.String() == name
}
