package policy

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// wildcard stands for any one path segment. It cannot be a segment of a SPIFFE ID,
// so it has a place among them.
const wildcard = "*"

// index finds the rules of a requester without looking at those of others: a tree
// over the segments of their requesters, the trust domain first. The zero index is
// empty.
type index struct {
	root node
}

type node struct {
	children map[string]*node
	rules    []*rule
}

func (x *index) add(r *rule) {
	n := &x.root
	for _, segment := range r.requester.segments {
		child := n.children[segment]
		if child == nil {
			child = &node{}
			if n.children == nil {
				n.children = make(map[string]*node)
			}
			n.children[segment] = child
		}
		n = child
	}
	n.rules = append(n.rules, r)
}

// match returns the rules whose requester selects id.
func (x *index) match(id spiffeid.ID) []*rule {
	if id.IsZero() {
		return nil
	}
	var found []*rule
	for r := range x.overlapping(segments(id.String())) {
		// The tree narrows down; the matcher has the last word.
		if r.requester.matches(id) == nil {
			found = append(found, r)
		}
	}
	return found
}

// overlapping yields the rules that select some workload which pattern selects
// too. A pattern without wildcard is one workload.
func (x *index) overlapping(pattern []string) iter.Seq[*rule] {
	return func(yield func(*rule) bool) { x.root.walk(pattern, yield) }
}

func (n *node) walk(pattern []string, yield func(*rule) bool) bool {
	if len(pattern) == 0 {
		for _, r := range n.rules {
			if !yield(r) {
				return false
			}
		}
		return true
	}
	next := []string{pattern[0], wildcard}
	if pattern[0] == wildcard {
		next = slices.Sorted(maps.Keys(n.children))
	}
	for _, segment := range next {
		if child := n.children[segment]; child != nil && !child.walk(pattern[1:], yield) {
			return false
		}
	}
	return true
}

// segments splits a SPIFFE ID, or a pattern of one, into trust domain and path
// segments.
func segments(id string) []string {
	return strings.Split(strings.TrimPrefix(id, "spiffe://"), "/")
}
