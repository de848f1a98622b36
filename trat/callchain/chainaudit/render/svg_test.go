package render

import (
	"fmt"
	"strings"
	"testing"
)

// chainOf is a tree of n boxes in a row.
func chainOf(n int) []*node {
	first := &node{name: "/start", mark: markStart}
	last := first
	for i := range n - 1 {
		next := &node{hop: i + 1, name: fmt.Sprintf("/workload-with-a-long-name-%d", i), service: "SomeService", method: "SomeMethod", mark: markGood}
		last.calls = []*node{next}
		last = next
	}
	return []*node{first}
}

// bush is a tree in which every workload calls two others.
func bush(hop *int, levels int) *node {
	n := &node{hop: *hop, name: "/w", method: "M", mark: markGood}
	*hop++
	for range min(levels, 2) {
		n.calls = append(n.calls, bush(hop, levels-1))
	}
	return n
}

func TestPicturesFitAndNoBoxIsOnAnother(t *testing.T) {
	zero := 0
	trees := map[string][]*node{"bush": {bush(&zero, 5)}, "two": {bush(new(int), 2), bush(new(int), 1)}}
	for _, n := range []int{1, 2, 5, 6, 20, 61} {
		trees[fmt.Sprint(n)] = chainOf(n)
	}
	for name, report := range examples() {
		for _, transaction := range report.Transactions {
			tree := newTree(transaction)
			trees[name] = tree.nodes(tree.pick())
		}
	}
	for name, nodes := range trees {
		for _, s := range []shape{wideShape(nodes), narrowShape()} {
			p := draw(nodes, s, func(hop int) string { return fmt.Sprint("#", hop) })
			limit := wideWidth
			if s.indented {
				limit = narrowWidth
			}
			if p.Width > limit {
				t.Errorf("%s, %s: %d pixels wide", name, s.class, p.Width)
			}
			for i, a := range p.Boxes {
				if a.X < 0 || a.Y < 0 || a.X+a.Width > p.Width || a.Y+a.Height > p.Height {
					t.Errorf("%s, %s: %s is outside", name, s.class, a.Name)
				}
				for _, b := range p.Boxes[:i] {
					if a.X < b.X+b.Width && b.X < a.X+a.Width && a.Y < b.Y+b.Height && b.Y < a.Y+a.Height {
						t.Errorf("%s, %s: %s is on %s", name, s.class, a.Name, b.Name)
					}
				}
			}
			if want := count(nodes); len(p.Boxes) != want+again(p) || len(p.Arrows) != want-len(nodes) {
				t.Errorf("%s, %s: %d boxes, of which %d again, and %d arrows for %d workloads",
					name, s.class, len(p.Boxes), again(p), len(p.Arrows), want)
			}
		}
	}
}

func count(nodes []*node) int {
	n := len(nodes)
	for _, c := range nodes {
		n += count(c.calls)
	}
	return n
}

func again(p *picture) (n int) {
	for _, b := range p.Boxes {
		if b.Again {
			n++
		}
	}
	return n
}

func TestClippedNamesKeepWhatTellsThemApart(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{clipStart("/orders", 10), "/orders"},
		{clipStart("/ns/prod/sa/orders", 10), "…/orders"},
		{clipStart("/ns/prod/a-very-long-name", 10), "…long-name"},
		{clipEnd("ReserveAllOrNothing", 10), "ReserveAl…"},
		{clipEnd("ä"+strings.Repeat("ö", 9), 10), "ä" + strings.Repeat("ö", 9)},
		{clipEnd("x", 0), "…"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
