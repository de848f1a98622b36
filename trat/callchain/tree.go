package callchain

import (
	"crypto/sha256"
	"math/bits"
)

const (
	// nodeSize is how much of a node's hash travels: 192 bits.
	nodeSize = 24
	// maxGroup is how many links can share a signature.
	maxGroup = 1 << MaxGroupLevels
)

// The first byte of what is hashed keeps leaf nodes and inner nodes apart.
const (
	leafPrefix  = 0x00
	innerPrefix = 0x01
)

// node is a node of a group's tree as its parent sees it: the front of its hash.
type node [nodeSize]byte

// leafNode is the node of a link in the tree of its group. It is also the root of a group
// of one.
func leafNode(h Hash) [32]byte {
	var b [1 + len(h)]byte
	b[0] = leafPrefix
	copy(b[1:], h[:])
	return sha256.Sum256(b[:])
}

func innerNode(left, right *node) [32]byte {
	var b [1 + 2*nodeSize]byte
	b[0] = innerPrefix
	copy(b[1:], left[:])
	copy(b[1+nodeSize:], right[:])
	return sha256.Sum256(b[:])
}

// treePath leads from a leaf node to the root: the siblings on the way, from the leaf up.
type treePath struct {
	// shape is what travels before the nodes: the number of levels in the top four bits;
	// bit i is set where sibling i is on the left.
	shape uint16
	nodes []byte // nodeSize for each level
}

// levels is the number of siblings on the way.
func (p treePath) levels() int { return int(p.shape >> 12) }

// wellFormed reports whether there are as many nodes as the shape says, no more than
// MaxGroupLevels, and no bit that says nothing: one path has one spelling.
func (p treePath) wellFormed() bool {
	n := p.levels()
	return n <= MaxGroupLevels && len(p.nodes) == n*nodeSize && (p.shape&^(15<<12))>>n == 0
}

// root is where the path of a well-formed p ends that begins at leaf.
func (p treePath) root(leaf [32]byte) [32]byte {
	for i := range p.levels() {
		own, sibling := node(leaf[:nodeSize]), node(p.nodes[i*nodeSize:])
		if p.shape>>i&1 == 1 {
			leaf = innerNode(&sibling, &own)
		} else {
			leaf = innerNode(&own, &sibling)
		}
	}
	return leaf
}

// tree is the hash tree of a group. Where a level has an odd number of nodes, the last one
// moves up as it is.
type tree struct {
	// nodes has the levels below the root one after the other, beginning with the leaves.
	nodes  []node
	leaves int
	root   [32]byte
}

// newTree returns the tree of 1 to maxGroup links.
func newTree(leaves [][32]byte) *tree {
	t := &tree{leaves: len(leaves), root: leaves[0]}
	if t.leaves == 1 {
		return t
	}
	t.nodes = make([]node, 0, 2*t.leaves+MaxGroupLevels)
	for i := range leaves {
		t.nodes = append(t.nodes, node(leaves[i][:nodeSize]))
	}
	level := t.nodes
	for len(level) > 1 {
		start := len(t.nodes)
		for i := 0; i+1 < len(level); i += 2 {
			t.root = innerNode(&level[i], &level[i+1])
			t.nodes = append(t.nodes, node(t.root[:nodeSize]))
		}
		if len(level)%2 == 1 {
			t.nodes = append(t.nodes, level[len(level)-1])
		}
		level = t.nodes[start:]
	}
	return t
}

// path returns the path of the leaf at index.
func (t *tree) path(index int) treePath {
	if t.leaves == 1 {
		return treePath{}
	}
	p := treePath{nodes: make([]byte, 0, bits.Len(uint(t.leaves-1))*nodeSize)}
	level, levels := t.nodes, 0
	for width := t.leaves; width > 1; width = (width + 1) / 2 {
		if sibling := index ^ 1; sibling < width {
			p.nodes = append(p.nodes, level[sibling][:]...)
			if sibling < index {
				p.shape |= 1 << levels
			}
			levels++
		}
		level = level[width:]
		index /= 2
	}
	p.shape |= uint16(levels) << 12
	return p
}
