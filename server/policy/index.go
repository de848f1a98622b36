package policy

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

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
	for _, segment := range r.requester.Segments() {
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
	for r := range x.overlapping(strings.Split(id.TrustDomain().Name()+id.Path(), "/")) {
		// The tree narrows down; the pattern has the last word.
		if r.requester.Match(id) {
			found = append(found, r)
		}
	}
	return found
}

// overlapping yields the rules that select some workload which a pattern of these
// segments selects too. Without wildcard they are one workload.
func (x *index) overlapping(segments []string) iter.Seq[*rule] {
	return func(yield func(*rule) bool) { x.root.walk(segments, yield) }
}

func (n *node) walk(segments []string, yield func(*rule) bool) bool {
	if len(segments) == 0 {
		for _, r := range n.rules {
			if !yield(r) {
				return false
			}
		}
		return true
	}
	next := []string{segments[0], spiffecreds.AnySegment}
	if segments[0] == spiffecreds.AnySegment {
		next = slices.Sorted(maps.Keys(n.children))
	}
	for _, segment := range next {
		if child := n.children[segment]; child != nil && !child.walk(segments[1:], yield) {
			return false
		}
	}
	return true
}
