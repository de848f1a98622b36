package callchain

import (
	"crypto/sha256"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// On one core nobody else runs while a signature is made, so callers must not have to meet
// by chance. Time is real here: it is the scheduler that is asked.
func TestCallersOnOneCoreShareSignatures(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const callers, each = 64, 200
	var signatures atomic.Int64
	q := &queue{budget: rate.NewLimiter(500, 5), clock: time.Now, size: maxGroup, sign: func(links []*pending) {
		signatures.Add(1)
		work(100)
		for _, p := range links {
			p.seal = &seal{}
		}
	}}
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range each {
				if err := q.do(t.Context(), &pending{}); err != nil {
					t.Error(err)
				}
				for range 4 { // as a call changes goroutines
					work(20)
					runtime.Gosched()
				}
			}
		})
	}
	group.Wait()
	if n := signatures.Load(); n > callers*each/4 {
		t.Errorf("%d signatures for %d links", n, callers*each)
	}
}

// work takes a core's time, a few hundred nanoseconds for each unit.
func work(units int) {
	var sum [32]byte
	for range units {
		sum = sha256.Sum256(sum[:])
	}
}
