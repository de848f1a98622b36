package replay

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

var _ Store = (*Memory)(nil)

// Memory is a Store for one process. It is safe for concurrent use, has no
// goroutine of its own and forgets everything when the process ends: after a
// restart a key may be fresh again until its expiry.
//
// An owner may hold at most as many keys as there is room for more. So one owner
// alone gets half of the store, n greedy ones get an n+1st part each, and as much
// is left for those who come later.
type Memory struct {
	limit int
	clock trat.Clock

	mu   sync.Mutex
	live map[string]struct{}
	held map[string]*account // by owner; none is empty
	// queue holds the keys of live, soonest expiry first.
	queue expiryQueue
	// forgotten is the latest expiry of any key dropped so far. A key that expires
	// no later may be one of those: without it, a clock that is set back would
	// make dropped keys fresh again.
	forgotten time.Time
}

// NewMemory returns an empty store of at most limit live keys; limit must be at
// least 1. A key takes about 200 bytes, an owner about as much. A nil clock means time.Now.
func NewMemory(limit int, clock trat.Clock) (*Memory, error) {
	if limit < 1 {
		return nil, fmt.Errorf("replay: limit %d is below 1", limit)
	}
	if clock == nil {
		clock = time.Now
	}
	return &Memory{limit: limit, clock: clock, live: make(map[string]struct{}), held: make(map[string]*account)}, nil
}

// Mark implements Store. Its errors are ErrKey, ErrExpired, ErrFull, ErrShare and
// those of ctx. It costs O(log n) amortised.
func (m *Memory) Mark(ctx context.Context, owner, key string, expiry time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := CheckKey(key); err != nil {
		return false, err
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	m.forget(now)
	if _, seen := m.live[key]; seen {
		return false, nil
	}
	if !expiry.After(now) || !expiry.After(m.forgotten) {
		return false, ErrExpired
	}
	room := m.limit - len(m.live)
	if room <= 0 {
		return false, ErrFull
	}
	a := m.held[owner]
	if a == nil {
		a = &account{owner: owner}
		m.held[owner] = a
	}
	if a.keys >= room {
		return false, ErrShare
	}
	a.keys++
	m.live[key] = struct{}{}
	heap.Push(&m.queue, entry{key: key, expiry: expiry, account: a})
	return true, nil
}

// Len returns the number of keys held. Keys whose expiry has passed count until
// the next Mark drops them.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.live)
}

// forget drops the keys that expired before now. A key is still live at the very
// instant of its expiry.
func (m *Memory) forget(now time.Time) {
	for len(m.queue) > 0 && m.queue[0].expiry.Before(now) {
		e := m.queue[0]
		heap.Pop(&m.queue)
		delete(m.live, e.key)
		if e.account.keys--; e.account.keys == 0 {
			delete(m.held, e.account.owner)
		}
		m.forgotten = e.expiry
	}
}

// CheckKey returns ErrKey unless key has an acceptable size. It is for
// implementations of Store.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKeySize {
		return ErrKey
	}
	return nil
}

// account counts the live keys of one owner.
type account struct {
	owner string
	keys  int
}

type entry struct {
	key     string
	expiry  time.Time
	account *account
}

// expiryQueue is a container/heap, soonest expiry first.
type expiryQueue []entry

func (q expiryQueue) Len() int           { return len(q) }
func (q expiryQueue) Less(i, j int) bool { return q[i].expiry.Before(q[j].expiry) }
func (q expiryQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

func (q *expiryQueue) Push(x any) {
	if e, ok := x.(entry); ok {
		*q = append(*q, e)
	}
}

func (q *expiryQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = entry{} // let the key's memory go
	*q = old[:len(old)-1]
	return last
}
