package callchain

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

func testLeaves(n int) [][32]byte {
	leaves := make([][32]byte, n)
	for i := range leaves {
		leaves[i] = leafNode(sha256.Sum256(binary.BigEndian.AppendUint16(nil, uint16(i))))
	}
	return leaves
}

func TestEveryPathLeadsToTheRoot(t *testing.T) {
	for n := 1; n <= maxGroup; n += 1 + n/7 {
		checkTree(t, n)
	}
	checkTree(t, maxGroup-1)
	checkTree(t, maxGroup)
}

func checkTree(t *testing.T, n int) {
	t.Helper()
	leaves := testLeaves(n)
	group := newTree(leaves)
	for i, leaf := range leaves {
		p := group.path(i)
		if !p.wellFormed() {
			t.Fatalf("%d of %d: path of %d levels is not well-formed", i, n, p.levels())
		}
		if p.root(leaf) != group.root {
			t.Fatalf("%d of %d: path does not end at the root", i, n)
		}
		if other := leaves[(i+1)%n]; n > 1 && p.root(other) == group.root {
			t.Fatalf("%d of %d: path fits another leaf", i, n)
		}
	}
}

func TestRootOfOneIsItsLeafNode(t *testing.T) {
	leaf := testLeaves(1)[0]
	group := newTree([][32]byte{leaf})
	if group.root != leaf || group.path(0).levels() != 0 {
		t.Error("a group of one has levels")
	}
}

func TestOddNodeMovesUpUnchanged(t *testing.T) {
	leaves := testLeaves(3)
	n := func(sum [32]byte) *node { return (*node)(sum[:nodeSize]) }
	want := innerNode(n(innerNode(n(leaves[0]), n(leaves[1]))), n(leaves[2]))
	group := newTree(leaves)
	if group.root != want {
		t.Error("the third of three leaves is not the right child of the root")
	}
	if p := group.path(2); p.shape != 1<<12|1 {
		t.Errorf("shape of its path = %#04x, want one level with the sibling on the left", p.shape)
	}
}

func TestPathHasOneSpelling(t *testing.T) {
	for name, p := range map[string]treePath{
		"more levels than nodes":      {shape: 2 << 12, nodes: make([]byte, nodeSize)},
		"more nodes than levels":      {shape: 1 << 12, nodes: make([]byte, 2*nodeSize)},
		"part of a node":              {shape: 1 << 12, nodes: make([]byte, nodeSize-1)},
		"direction beyond its levels": {shape: 1<<12 | 2, nodes: make([]byte, nodeSize)},
		"direction without levels":    {shape: 1},
		"bit that is none":            {shape: 10<<12 | 1<<10, nodes: make([]byte, 10*nodeSize)},
		"too many levels":             {shape: 11 << 12, nodes: make([]byte, 11*nodeSize)},
	} {
		if p.wellFormed() {
			t.Errorf("%s: well-formed", name)
		}
	}
}

func FuzzTreePath(f *testing.F) {
	group := newTree(testLeaves(7))
	for i := range 7 {
		p := group.path(i)
		f.Add(uint16(i), p.shape, p.nodes)
	}
	leaves := testLeaves(7)
	f.Fuzz(func(t *testing.T, index, shape uint16, nodes []byte) {
		p := treePath{shape: shape, nodes: nodes}
		if !p.wellFormed() {
			return
		}
		leaf := leaves[int(index)%len(leaves)]
		want := group.path(int(index) % len(leaves))
		same := want.shape == shape && bytes.Equal(want.nodes, nodes)
		if got := p.root(leaf) == group.root; got != same {
			t.Errorf("path leads to the root: %v, is the leaf's own: %v", got, same)
		}
	})
}
