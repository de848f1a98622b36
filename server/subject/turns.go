package subject

import (
	"context"
	"sync"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// turns bound how many questions are asked at once. One requester has half of them at
// most, so that a flood of its tokens is its own problem. Safe for concurrent use.
type turns struct {
	all chan struct{} // holds one element per question

	mu     sync.Mutex
	shares map[spiffeid.ID]*share // of those who ask or wait
}

// share is what one requester has of the turns.
type share struct {
	taken chan struct{} // holds one element per question
	users int           // questions that are asked or wait
}

func newTurns(most int) *turns {
	return &turns{all: make(chan struct{}, most), shares: make(map[spiffeid.ID]*share)}
}

// take waits for a turn until ctx ends, whose error it returns then. Otherwise leave is to
// be called after the answer.
func (t *turns) take(ctx context.Context, requester spiffeid.ID) (leave func(), err error) {
	own := t.join(requester)
	select {
	case own.taken <- struct{}{}:
	case <-ctx.Done():
		t.part(requester, own)
		return nil, ctx.Err()
	}
	giveBack := func() {
		<-own.taken
		t.part(requester, own)
	}
	select {
	case t.all <- struct{}{}:
		return func() { <-t.all; giveBack() }, nil
	case <-ctx.Done():
		giveBack()
		return nil, ctx.Err()
	}
}

func (t *turns) join(requester spiffeid.ID) *share {
	t.mu.Lock()
	defer t.mu.Unlock()
	own, ok := t.shares[requester]
	if !ok {
		own = &share{taken: make(chan struct{}, cap(t.all)/2)}
		t.shares[requester] = own
	}
	own.users++
	return own
}

func (t *turns) part(requester spiffeid.ID, own *share) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(t.shares, requester)
	}
}
