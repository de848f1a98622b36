package server_test

import (
	"context"
	"sync"

	"github.com/grpc-trat/grpc-trat/authzen"
)

// pdp is a policy decision point that says what it was told to, and remembers what it was
// asked.
type pdp struct {
	mu     sync.Mutex
	asked  []authzen.Request
	answer func(ctx context.Context) (bool, error)
}

func (p *pdp) Evaluate(ctx context.Context, r authzen.Request) (bool, error) {
	p.mu.Lock()
	p.asked = append(p.asked, r)
	answer := p.answer
	p.mu.Unlock()
	if answer == nil {
		return true, nil
	}
	return answer(ctx)
}
