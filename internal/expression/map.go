package expression

import (
	"errors"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// entries are what a lazyMap is made of.
type entries interface {
	// find returns the value of a key, false if there is none; then with an error if the key
	// cannot be looked up.
	find(key ref.Val) (ref.Val, bool)
	// count is how many there are.
	count() int
	// all returns all of them. It is asked when a map is walked or compared.
	all() map[ref.Val]ref.Val
}

// lazyMap is a map whose values are made when they are asked for: of most maps, an
// expression asks for one. It is for one evaluation.
type lazyMap struct {
	entries
	whole traits.Mapper
	size  int // one more than it has; 0: nobody has asked
}

var _ traits.Mapper = (*lazyMap)(nil)

func newMap(e entries) *lazyMap { return &lazyMap{entries: e} }

func (m *lazyMap) made() traits.Mapper {
	if m.whole == nil {
		m.whole = types.NewRefValMap(types.DefaultTypeAdapter, m.all())
	}
	return m.whole
}

// count is that of the entries, which are counted once.
func (m *lazyMap) count() int {
	if m.size == 0 {
		m.size = m.entries.count() + 1
	}
	return m.size - 1
}

// Find implements traits.Mapper.
func (m *lazyMap) Find(key ref.Val) (ref.Val, bool) { return m.find(key) }

// Get implements traits.Indexer.
func (m *lazyMap) Get(key ref.Val) ref.Val {
	v, ok := m.find(key)
	if ok || types.IsError(v) {
		return v
	}
	return types.ValOrErr(key, "no such key")
}

// Contains implements traits.Container.
func (m *lazyMap) Contains(key ref.Val) ref.Val {
	v, ok := m.find(key)
	if types.IsError(v) {
		return v
	}
	return types.Bool(ok)
}

// Size implements traits.Sizer.
func (m *lazyMap) Size() ref.Val { return types.Int(m.count()) }

// Iterator implements traits.Iterable.
func (m *lazyMap) Iterator() traits.Iterator { return m.made().Iterator() }

// Equal implements ref.Val. Maps of different sizes need not be made.
func (m *lazyMap) Equal(other ref.Val) ref.Val {
	if o, ok := other.(traits.Mapper); ok && count(o) != count(m) {
		return types.False
	}
	return m.made().Equal(other)
}

// Type implements ref.Val.
func (m *lazyMap) Type() ref.Type {
	if m.count() > MaxElements {
		return unwalkedMap
	}
	return types.MapType
}

// Value implements ref.Val.
func (m *lazyMap) Value() any { return m }

var errNoConversion = errors.New("a map is not converted")

// ConvertToNative implements ref.Val.
func (m *lazyMap) ConvertToNative(reflect.Type) (any, error) { return nil, errNoConversion }

// ConvertToType implements ref.Val.
func (m *lazyMap) ConvertToType(ref.Type) ref.Val { return types.WrapErr(errNoConversion) }
