package chainaudit

import "sync"

// noted holds findings of no one transaction, up to a limit for each severity: what anybody
// can make many of does not take the room of what is grave. What there is no room for is
// counted. Safe for concurrent use.
type noted struct {
	limit int

	mu     sync.Mutex
	kept   [SeverityAlarm + 1][]Finding
	unkept map[noteKind]int64
}

// noteKind is what is known of a finding that was not kept.
type noteKind struct {
	kind     Kind
	severity Severity
}

func (n *noted) add(f Finding) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if kept := &n.kept[f.Severity]; len(*kept) < n.limit {
		*kept = append(*kept, f)
		return
	}
	if n.unkept == nil {
		n.unkept = make(map[noteKind]int64)
	}
	n.unkept[noteKind{f.Kind, f.Severity}]++
}
