package callchain

import (
	"fmt"
	"testing"
)

func TestNextSizeIsAnUpperBoundThatIsNear(t *testing.T) {
	for _, mode := range []Mode{ModePath, ModeHead} {
		w := newWorld(t)
		token := w.token("w0", Hash{1})
		next := func(i int, parent *Chain, group int) *call {
			return &call{
				from: w.workload(fmt.Sprint("w", i%3)), to: w.id(fmt.Sprint("w", (i+1)%3)), token: token, parent: parent,
				group: group, trace: Trace{TraceID: [16]byte{byte(i + 1)}, SpanID: [8]byte{1}}, mode: mode,
			}
		}
		var parent *Chain
		for i := range MaxLinks - 1 {
			var err error
			if parent, err = w.verify(next(i, parent, 1<<(2*i))); err != nil {
				t.Fatal(err)
			}
			bound := parent.NextSize()
			longest, shortest := len(w.encode(next(i+1, parent, maxGroup))), len(w.encode(next(i+1, parent, 1)))
			// A head call after a root could have gone on with the root, which is known.
			near := mode == ModePath || i > 0
			if longest > bound || near && longest+64 < bound {
				t.Errorf("%s, %d links before: at most %d bytes, and got %d", mode, i+1, bound, longest)
			}
			if shortest >= longest {
				t.Errorf("%s, %d links before: %d bytes in a group of one, %d in the largest", mode, i+1, shortest, longest)
			}
		}
	}
	if n := (*Chain)(nil).NextSize(); n != 0 {
		t.Errorf("no chain: %d", n)
	}
}

func BenchmarkNextSize(b *testing.B) {
	w := newWorld(b)
	chain := w.chain(w.token("w0", Hash{}), "w0", "w1", "w2", "w3", "w4", "w5", "w6")
	b.ReportAllocs()
	for b.Loop() {
		_ = chain.NextSize()
	}
}

func TestNextLinksAreThoseThatGoOn(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	chain := w.chain(token, "a", "b", "c")
	alone, err := w.verify(&call{from: w.workload("c"), to: w.id("d"), token: token, parent: chain, mode: ModeHead})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		chain *Chain
		want  int
	}{
		"no chain":                      {nil, 0},
		"all verified":                  {chain, 3},
		"the last link alone":           {alone, 1},
		"links that were not asked for": {w.madeUp(token, nil), 4},
	} {
		if got := tc.chain.NextLinks(); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}
