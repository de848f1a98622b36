package subject

import (
	"context"
	"sync"
)

// tasks are what must have ended before Issuers is closed. The zero value is ready.
type tasks struct {
	mu      sync.Mutex
	closed  bool
	next    int
	cancels map[int]context.CancelFunc
	running sync.WaitGroup
}

// begin registers a task that cancel ends. It reports false after close: the task must
// not begin. Otherwise done is to be called when it has ended.
func (t *tasks) begin(cancel context.CancelFunc) (done func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, false
	}
	if t.cancels == nil {
		t.cancels = make(map[int]context.CancelFunc)
	}
	id := t.next
	t.next++
	t.cancels[id] = cancel
	t.running.Add(1)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.cancels, id)
		t.running.Done()
	}, true
}

// close ends all tasks and waits until they have ended.
func (t *tasks) close() {
	t.mu.Lock()
	t.closed = true
	for _, cancel := range t.cancels {
		cancel()
	}
	t.mu.Unlock()
	t.running.Wait()
}
