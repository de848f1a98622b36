package trat

import "slices"

// Paths are places in objects, prepared so that all of them are found in one pass. It is
// immutable and safe for concurrent use.
type Paths struct {
	root  pathNode
	count int
}

// pathNode is a name on the way of some path, or the root. There are few below each one,
// so that they are compared one by one.
type pathNode struct {
	name  string
	ends  []int // the paths that end here
	below []*pathNode
}

// NewPaths prepares paths of member names. A path without names is the object itself.
func NewPaths(paths ...[]string) *Paths {
	p := &Paths{count: len(paths)}
	for i, path := range paths {
		n := &p.root
		for _, name := range path {
			next := n.child(name)
			if next == nil {
				next = &pathNode{name: name}
				n.below = append(n.below, next)
			}
			n = next
		}
		n.ends = append(n.ends, i)
	}
	return p
}

// AppendValues appends to dst, for each path in the order of NewPaths, the value of o at
// it, the zero Value where there is none. It allocates for dst only, but for names with
// escapes.
func (p *Paths) AppendValues(dst []Value, o Object) []Value {
	start := len(dst)
	dst = slices.Grow(dst, p.count)[:start+p.count]
	values := dst[start:]
	clear(values)
	if o.text != "" {
		p.root.find(o.text, 0, values)
	}
	return dst
}

func (n *pathNode) child(name string) *pathNode {
	for _, c := range n.below {
		if c.name == name {
			return c
		}
	}
	return nil
}

// find puts the value at i, and those below it, where they belong, and returns the index
// after it.
func (n *pathNode) find(text string, i int, values []Value) int {
	start := i
	if text[i] != '{' || len(n.below) == 0 {
		i = afterValue(text, i)
	} else {
		for i++; text[i] != '}'; i = afterComma(text, i) {
			var name string
			name, i = nameAt(text, i)
			if next := n.child(name); next != nil {
				i = next.find(text, i, values)
			} else {
				i = afterValue(text, i)
			}
		}
		i++
	}
	for _, path := range n.ends {
		values[path] = Value{text: text[start:i]}
	}
	return i
}
