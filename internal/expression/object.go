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
	return newMap(members{itself.AppendValues(whole[:0], o)[0]})
}

var itself = trat.NewPaths(nil)

// Member returns a value out of an object; null is a value by itself and in lists.
func Member(v trat.Value) ref.Val {
	raw := v.JSON()
	switch {
	case v.IsZero() || v.IsNull():
		return types.NullValue
	case v.IsObject():
		return newMap(members{v})
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
type members struct{ object trat.Value }

func (m members) find(key ref.Val) (ref.Val, bool) {
	want, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	for name, v := range m.object.Members() {
		if name == string(want) {
			if v.IsNull() {
				return nil, false
			}
			return Member(v), true
		}
	}
	return nil, false
}

func (m members) count() int {
	n := 0
	for _, v := range m.object.Members() {
		if !v.IsNull() {
			n++
		}
	}
	return n
}

func (m members) all() map[ref.Val]ref.Val {
	all := make(map[ref.Val]ref.Val)
	for name, v := range m.object.Members() {
		if !v.IsNull() {
			all[types.String(name)] = Member(v)
		}
	}
	return all
}
