package expression

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Object returns an object as a map. Members are read when they are asked for, and of those
// that are null there are none. Integers keep every digit: what an int cannot hold is a
// uint. Reading cannot fail: the object was read before.
func Object(o trat.Object) ref.Val {
	var whole [1]trat.Value
	return newMap(&members{object: itself.AppendValues(whole[:0], o)[0]})
}

var itself = trat.NewPaths(nil)

// Member returns a value out of an object; null is a value by itself and in lists.
func Member(v trat.Value) ref.Val {
	raw := v.JSON()
	switch {
	case v.IsZero() || v.IsNull():
		return types.NullValue
	case v.IsObject():
		return newMap(&members{object: v})
	case v.IsArray():
		var elements []ref.Val
		for element := range v.Elements() {
			elements = append(elements, Member(element))
		}
		return newList(types.NewRefValList(types.DefaultTypeAdapter, elements))
	}
	if text, ok := v.Text(); ok {
		return types.String(text)
	}
	if b, ok := v.Bool(); ok {
		return types.Bool(b)
	}
	if n, err := Int(raw); err == nil {
		return n
	}
	if n, err := Uint(raw); err == nil {
		return n
	}
	n, _ := Double(raw) // numbers beyond a double are in no object
	return n
}

// members are those of a JSON object.
type members struct {
	object trat.Value
	// found are those that were asked for, which a macro does again and again.
	found []member
}

// member is what there is under a name; nil for nothing.
type member struct {
	name  string
	value ref.Val
}

// maxFound bounds how many members are remembered: more than most expressions name.
const maxFound = 16

func (m *members) find(key ref.Val) (ref.Val, bool) {
	want, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	for _, known := range m.found {
		if known.name == string(want) {
			return known.value, known.value != nil
		}
	}
	value := m.read(string(want))
	if len(m.found) < maxFound {
		m.found = append(m.found, member{name: string(want), value: value})
	}
	return value, value != nil
}

// read makes the value of a member; nil if there is none.
func (m *members) read(want string) ref.Val {
	for name, v := range m.object.Members() {
		if name == want {
			if v.IsNull() {
				return nil
			}
			return Member(v)
		}
	}
	return nil
}

func (m *members) count() int {
	n := 0
	for _, v := range m.object.Members() {
		if !v.IsNull() {
			n++
		}
	}
	return n
}

func (m *members) all() map[ref.Val]ref.Val {
	all := make(map[ref.Val]ref.Val)
	for name, v := range m.object.Members() {
		if !v.IsNull() {
			all[types.String(name)] = Member(v)
		}
	}
	return all
}
