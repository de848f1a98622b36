package callchain

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/grpc-trat/grpc-trat/trat"
)

// recorder signs nothing and remembers the groups.
type recorder struct {
	*queue
	mu     sync.Mutex
	groups []int
	// fail says what is wrong with the signature of the group with the given number.
	fail func(number int) error
	// takes is how long a signature takes.
	takes time.Duration
}

// newRecorder has a budget of 1000 per second of which 1 is saved.
func newRecorder(size int) *recorder {
	r := &recorder{fail: func(int) error { return nil }}
	r.queue = &queue{budget: rate.NewLimiter(1000, 1), clock: time.Now, size: size, sign: r.sign}
	return r
}

func (r *recorder) sign(links []*pending) {
	time.Sleep(r.takes)
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.fail(len(r.groups))
	r.groups = append(r.groups, len(links))
	for _, p := range links {
		if p.err = err; err == nil {
			p.seal = &seal{}
		}
	}
}

// sizes are those of the groups signed so far.
func (r *recorder) sizes() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int(nil), r.groups...)
}

// start has n callers come at once and returns where their errors arrive.
func (r *recorder) start(ctx context.Context, n int) <-chan error {
	errs := make(chan error, n)
	for range n {
		go func() { errs <- r.do(ctx, &pending{}) }()
	}
	synctest.Wait()
	return errs
}

// gather uses the budget up and has several callers inside, for a moment.
func (r *recorder) gather(t *testing.T) {
	t.Helper()
	r.takes = 10 * time.Microsecond
	errs := r.start(t.Context(), 2)
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	r.takes = 0
	r.mu.Lock()
	defer r.mu.Unlock()
	r.groups = nil
}

func wantSizes(t *testing.T, r *recorder, want ...int) {
	t.Helper()
	got := r.sizes()
	if len(got) != len(want) {
		t.Fatalf("groups of %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("groups of %v, want %v", got, want)
		}
	}
}

func TestLinkWithinTheBudgetDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(maxGroup)
		r.gather(t)
		for range 3 {
			time.Sleep(time.Millisecond) // one more signature in the budget
			start := time.Now()
			if err := r.do(t.Context(), &pending{}); err != nil || time.Since(start) != 0 {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
		}
		wantSizes(t, r, 1, 1, 1)
	})
}

func TestCallerWhoIsAloneDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(maxGroup)
		r.takes = 10 * time.Microsecond
		start := time.Now()
		for range 500 { // ten times what the budget permits
			if err := r.do(t.Context(), &pending{}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 500*r.takes {
			t.Errorf("500 signatures took %s, want %s", took, 500*r.takes)
		}
	})
}

// Two callers are made to wait for each other only now and then, to see whether they are
// still but two.
func TestTwoCallersSeldomWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(maxGroup)
		r.takes = 100 * time.Microsecond
		var calls, waits atomic.Int64
		var callers sync.WaitGroup
		end := time.Now().Add(time.Second)
		for i := range 2 {
			callers.Go(func() {
				own := rand.New(rand.NewPCG(3, uint64(i)))
				for time.Now().Before(end) {
					time.Sleep(time.Duration(own.Int64N(int64(600 * time.Microsecond))))
					start := time.Now()
					if err := r.do(t.Context(), &pending{}); err != nil {
						t.Error(err)
					}
					calls.Add(1)
					if time.Since(start) > r.takes {
						waits.Add(1)
					}
				}
			})
		}
		callers.Wait()
		if waits.Load() == 0 || waits.Load() > calls.Load()/8 {
			t.Errorf("%d of %d waited", waits.Load(), calls.Load())
		}
	})
}

// After others have gone, who is left does not wait for them for long.
func TestWaitThatBringsNobodyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(maxGroup)
		r.gather(t)
		waits := 0
		for range 100 {
			start := time.Now()
			if err := r.do(t.Context(), &pending{}); err != nil {
				t.Fatal(err)
			}
			if time.Since(start) > 0 {
				waits++
			}
		}
		if waits == 0 || waits > patience {
			t.Errorf("%d of 100 waited", waits)
		}
	})
}

func TestLinksBeyondTheBudgetShareASignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(maxGroup)
		r.gather(t)
		start := time.Now()
		errs := r.start(t.Context(), 20)
		wantSizes(t, r)
		for range 20 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		wantSizes(t, r, 20)
		if waited := time.Since(start); waited > time.Millisecond {
			t.Errorf("they waited %s for a signature of 1000 per second", waited)
		}
	})
}

func TestFullGroupsFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(4)
		r.gather(t)
		start := time.Now()
		errs := r.start(t.Context(), 10)
		for range 10 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		wantSizes(t, r, 4, 4, 2)
		if waited := time.Since(start); waited > 3*time.Millisecond {
			t.Errorf("three groups took %s at 1000 per second", waited)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(4)
		r.gather(t)
		errs := r.start(t.Context(), 4*waitingGroups+3)
		for range 3 {
			if err := <-errs; !errors.Is(err, trat.ReasonRateLimited) {
				t.Errorf("error = %v, want %s", err, trat.ReasonRateLimited)
			}
		}
		for range 4 * waitingGroups {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestSlowSignatureDoesNotHoldUpTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(4)
		r.gather(t)
		r.takes = 20 * time.Millisecond
		start := time.Now()
		errs := r.start(t.Context(), 12)
		for range 12 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took > r.takes+3*time.Millisecond {
			t.Errorf("three signatures took %s one after the other", took)
		}
	})
}

func TestFailedSignatureFailsItsGroupAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(4)
		r.gather(t)
		failure := errors.New("no key")
		r.fail = func(number int) error {
			if number == 1 {
				return failure
			}
			return nil
		}
		errs := r.start(t.Context(), 12)
		failed := 0
		for range 12 {
			if err := <-errs; errors.Is(err, failure) {
				failed++
			} else if err != nil {
				t.Error(err)
			}
		}
		if failed != 4 {
			t.Errorf("%d failed, want the 4 of the second group", failed)
		}
	})
}

func TestCallerWhoLeavesDisturbsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(4)
		r.gather(t)
		ctx, cancel := context.WithCancel(t.Context())
		staying := r.start(t.Context(), 3)
		leaving := r.start(ctx, 4) // one in the first group, three in the second
		alsoStaying := r.start(t.Context(), 2)
		cancel()
		synctest.Wait()
		for range 4 {
			wantCanceled(t, <-leaving)
		}
		wantSizes(t, r)
		for range 3 {
			if err := <-staying; err != nil {
				t.Error(err)
			}
		}
		for range 2 {
			if err := <-alsoStaying; err != nil {
				t.Error(err)
			}
		}
		wantSizes(t, r, 3, 1, 1)
	})
}

func wantCanceled(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) || !errors.Is(err, trat.ReasonDependencyUnavailable) {
		t.Errorf("error = %v, want one for the context", err)
	}
}

func TestLastToLeaveCancelsTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(4)
		r.gather(t)
		ctx, cancel := context.WithCancel(t.Context())
		errs := r.start(ctx, 6)
		cancel()
		for range 6 {
			wantCanceled(t, <-errs)
		}
		time.Sleep(time.Second)
		wantSizes(t, r)
		if r.turn != nil || r.waiting != 0 || len(r.groups) != 0 || len(r.queue.groups) != 0 {
			t.Errorf("%d wait in %d groups", r.waiting, len(r.queue.groups))
		}
		r.gather(t)
		again := r.start(t.Context(), 3)
		for range 3 {
			if err := <-again; err != nil {
				t.Error(err)
			}
		}
		wantSizes(t, r, 3)
	})
}

func TestGroupThatEmptiesIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(2)
		r.gather(t)
		ctx, cancel := context.WithCancel(t.Context())
		first := r.start(ctx, 2)
		second := r.start(t.Context(), 2)
		cancel()
		for range 2 {
			wantCanceled(t, <-first)
		}
		for range 2 {
			if err := <-second; err != nil {
				t.Error(err)
			}
		}
		wantSizes(t, r, 2)
	})
}

// The budget holds however many links come for each of its signatures.
func TestBudgetHoldsUnderLoad(t *testing.T) {
	for name, between := range map[string]time.Duration{
		"ten or more links a turn":   8 * time.Millisecond,
		"two or three links a turn":  44 * time.Millisecond,
		"not two links in each turn": 64 * time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRecorder(maxGroup)
				r.takes = 50 * time.Microsecond
				end := time.Now().Add(4 * time.Second)
				var callers sync.WaitGroup
				for i := range 64 {
					callers.Go(func() {
						own := rand.New(rand.NewPCG(1, uint64(i)))
						for time.Now().Before(end) {
							time.Sleep(time.Duration(own.Int64N(int64(between))))
							if err := r.do(t.Context(), &pending{}); err != nil {
								t.Error(err)
							}
						}
					})
				}
				callers.Wait()
				links, sizes := 0, r.sizes()
				for _, n := range sizes {
					links += n
				}
				if len(sizes) > 4*1050 {
					t.Errorf("%d signatures for %d links in 4 seconds, with a budget of 1000 a second", len(sizes), links)
				}
			})
		})
	}
}

// Callers come and leave at all moments; whoever stays gets a seal.
func TestQueueIsSafeForConcurrentUse(t *testing.T) {
	r := newRecorder(8)
	r.budget = rate.NewLimiter(20_000, 1)
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			own := rand.New(rand.NewPCG(2, uint64(i)))
			for range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(own.Int64N(int64(200*time.Microsecond))))
				p := &pending{}
				if err := r.do(ctx, p); err == nil && p.seal == nil {
					t.Error("neither seal nor error")
				} else if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	callers.Wait()
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	if r.waiting != 0 || len(r.queue.groups) != 0 {
		t.Errorf("%d wait in %d groups, and nobody is there", r.waiting, len(r.queue.groups))
	}
}
