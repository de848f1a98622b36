package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// maxDrawn is how many hops of one transaction are drawn and listed on a page.
const maxDrawn = 60

// pick returns the hops of t that are shown on a page: those with something to say first,
// always with those that led to them.
func (t *tree) pick() map[*row]bool {
	picked := make(map[*row]bool)
	take := func(r *row) {
		var line []*row
		for ; r != nil && !picked[r]; r = r.parent {
			line = append(line, r)
		}
		// Towards the leaf, so that what does not fit is at the end of the line.
		for _, r := range slices.Backward(line) {
			if len(picked) < maxDrawn {
				picked[r] = true
			}
		}
	}
	// The gravest first, and at the end those without findings.
	for severity := chainaudit.SeverityAlarm; severity >= 0; severity-- {
		for _, r := range t.rows {
			if len(picked) == maxDrawn {
				return picked
			}
			if min(r.worst, chainaudit.SeverityAlarm) == severity {
				take(r)
			}
		}
	}
	return picked
}

// nodes returns what is drawn of t.
func (t *tree) nodes(picked map[*row]bool) []*node {
	var roots []*node
	for _, s := range t.starts {
		n := &node{name: t.name(s.id), mark: markStart, caption: "started here", title: visible(s.id) + " began the transaction"}
		if !s.known {
			n.caption, n.missing = "how it got here is unknown", true
			n.title = "how the transaction got to " + visible(s.id) + " is unknown"
		}
		n.calls = t.below(s.calls, picked)
		roots = append(roots, n)
	}
	return roots
}

func (t *tree) below(rows []*row, picked map[*row]bool) []*node {
	var nodes []*node
	omitted := 0
	for _, r := range rows {
		if !picked[r] {
			omitted += r.size()
			continue
		}
		n := &node{
			hop: r.number, name: t.name(r.Callee), mark: markOf(r.gravity()), missing: r.missing(),
			caption: t.verdict(r), title: t.describe(r), calls: t.below(r.calls, picked),
		}
		n.service, n.method = splitMethod(r.Method)
		if domain := domainOf(r.Callee); domain != "" && domain != t.domain {
			n.remark = "in " + visible(domain)
		}
		if r.stray() {
			n.remark = "by " + t.name(r.Caller)
		}
		if d, ok := t.after(r); ok {
			n.after = since(d)
		}
		nodes = append(nodes, n)
	}
	if omitted > 0 {
		nodes = append(nodes, &node{
			name: plural(omitted, "more hop"), mark: markMore, caption: "not drawn",
			title: plural(omitted, "more hop") + " that are not drawn",
		})
	}
	return nodes
}

// size counts r and what it led to.
func (r *row) size() int {
	n := 1
	for _, c := range r.calls {
		n += c.size()
	}
	return n
}

// describe says all about r in a sentence.
func (t *tree) describe(r *row) string {
	parts := []string{fmt.Sprintf("Hop %d: %s called %s of %s", r.number, visible(orElse(r.Caller, "somebody")),
		visible(orElse(r.Method, "a method")), visible(orElse(r.Callee, "somebody"))), t.verdict(r)}
	for _, f := range t.by(r) {
		parts = append(parts, word(f.Severity)+": "+visible(string(f.Kind)))
	}
	return strings.Join(parts, "; ")
}
