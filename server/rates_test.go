package server

import (
	"fmt"
	"math"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// drain empties caller's bucket and returns how much there was.
func drain(r *rates, caller string, now time.Time) (n int) {
	for r.allow(caller, now) {
		n++
	}
	return n
}

// Covers ERR-09.
func TestBucketIsNotRefilledByBeingForgotten(t *testing.T) {
	const perSecond, burst = 1, 10
	for step := range 40 {
		r := newRates(perSecond, burst, 100, noon)
		if n := drain(r, "a", noon.Add(7*time.Second)); n != burst {
			t.Fatalf("%d at first", n)
		}
		at := noon.Add(7*time.Second + time.Duration(step)*time.Second)
		r.allow("b", at) // which may turn the generations
		if n, want := drain(r, "a", at), min(step, burst); n != want {
			t.Errorf("%d after %d seconds, want %d", n, step, want)
		}
	}
}

// Covers ERR-09.
func TestCallersBeyondTheRoomShareOneBucket(t *testing.T) {
	const burst, capacity = 10, 50
	r := newRates(1, burst, capacity, noon)
	total := 0
	for i := range 1000 {
		total += drain(r, fmt.Sprint(i), noon)
	}
	if want := (capacity + 1) * burst; total != want {
		t.Errorf("1000 callers took %d, want %d", total, want)
	}
	if n := drain(r, "0", noon); n != 0 {
		t.Errorf("the first caller took %d again", n)
	}
	for turn := range 5 {
		now := noon.Add(time.Duration(turn) * r.fill)
		for i := range 1000 {
			r.allow(fmt.Sprint(turn, i), now)
		}
		if n := len(r.recent) + len(r.older); n > 2*capacity {
			t.Fatalf("%d buckets, want at most %d", n, 2*capacity)
		}
	}
}

// Covers ERR-09.
func TestBucketThatIsNeverFullAgainIsALimitToo(t *testing.T) {
	const burst = 10
	for _, perSecond := range []float64{1e-300, 1e-9, burst / (math.MaxInt64 / 4 / 1e9)} {
		r := newRates(perSecond, burst, 100, noon)
		n := 0
		for i := range 100 * burst {
			if r.allow("a", noon.Add(time.Duration(i)*time.Hour/burst)) {
				n++
			}
		}
		if n != burst || r.fill <= 0 {
			t.Errorf("%g per second: %d of a bucket of %d, which fills in %s", perSecond, n, burst, r.fill)
		}
	}
}
