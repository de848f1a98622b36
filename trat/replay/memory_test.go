package replay_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
	"github.com/grpc-trat/grpc-trat/trat/replay/replaytest"
)

var start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// testClock is a clock that a test moves. It is for one goroutine.
type testClock struct{ now time.Time }

func (c *testClock) Now() time.Time { return c.now }

func newMemory(t *testing.T, limit int) (*replay.Memory, *testClock) {
	t.Helper()
	clock := &testClock{now: start}
	store, err := replay.NewMemory(limit, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	return store, clock
}

// mark marks a key that is its own owner, so that shares do not matter.
func mark(t *testing.T, store replay.Store, key string, expiry time.Time) bool {
	t.Helper()
	fresh, err := store.Mark(t.Context(), key, key, expiry)
	if err != nil {
		t.Fatalf("Mark(%q): %v", key, err)
	}
	return fresh
}

// Of one part, and of several.
//
// Covers TTS-15, RTY-02, RTY-04.
func TestMemoryKeepsTheContractOfStore(t *testing.T) {
	for _, limit := range []int{1000, 100_000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			replaytest.Run(t, func(t *testing.T) (replay.Store, trat.Clock) {
				store, clock := newMemory(t, limit)
				return store, clock.Now
			})
		})
	}
}

func TestMemoryNeedsRoom(t *testing.T) {
	for _, limit := range []int{0, -1} {
		if _, err := replay.NewMemory(limit, nil); err == nil {
			t.Errorf("NewMemory(%d) = nil error", limit)
		}
	}
}

func TestMemoryTakesTheWallClockByDefault(t *testing.T) {
	store, err := replay.NewMemory(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !mark(t, store, "a", time.Now().Add(time.Hour)) {
		t.Error("first mark is not fresh")
	}
}

func TestMemoryRemembersAKeyThroughItsExpiry(t *testing.T) {
	store, clock := newMemory(t, 10)
	expiry := start.Add(time.Minute)
	mark(t, store, "a", expiry)
	clock.now = expiry
	if mark(t, store, "a", expiry.Add(time.Minute)) {
		t.Error("key is fresh at the instant of its expiry")
	}
	clock.now = expiry.Add(time.Nanosecond)
	if !mark(t, store, "a", expiry.Add(time.Minute)) {
		t.Error("key is not fresh after its expiry")
	}
}

func TestMemoryNeverForgetsALiveKey(t *testing.T) {
	const limit = 100
	store, clock := newMemory(t, limit)
	for i := range limit {
		// The last one marked expires first.
		mark(t, store, fmt.Sprint(i), start.Add(time.Duration(limit-i)*time.Minute))
	}
	if fresh, err := store.Mark(t.Context(), "owner", "one more", start.Add(time.Hour)); fresh || !errors.Is(err, replay.ErrFull) {
		t.Fatalf("Mark on a full store = %v, %v, want false and ErrFull", fresh, err)
	}
	for i := range limit {
		if mark(t, store, fmt.Sprint(i), start.Add(time.Hour)) {
			t.Fatalf("key %d was forgotten", i)
		}
	}

	clock.now = start.Add(2*time.Minute + time.Second)
	if !mark(t, store, "one more", start.Add(time.Hour)) {
		t.Error("expired keys make no room")
	}
	if got := store.Len(); got != limit-1 {
		t.Errorf("Len = %d, want %d: two keys expired, one came", got, limit-1)
	}
}

func TestMemoryIsNotFooledByAClockSetBack(t *testing.T) {
	store, clock := newMemory(t, 10)
	expiry := start.Add(time.Minute)
	mark(t, store, "a", expiry)
	clock.now = start.Add(time.Hour)
	mark(t, store, "b", start.Add(2*time.Hour)) // drops "a"

	clock.now = start
	if fresh, err := store.Mark(t.Context(), "a", "a", expiry); fresh || !errors.Is(err, replay.ErrExpired) {
		t.Errorf("Mark of a dropped key after the clock was set back = %v, %v, want false and ErrExpired", fresh, err)
	}
	if !mark(t, store, "c", expiry.Add(time.Second)) {
		t.Error("a key that cannot have been dropped is refused")
	}
}

func TestOneOwnerCannotFillTheStoreForOthers(t *testing.T) {
	const limit = 100
	store, clock := newMemory(t, limit)
	flood := func(owner string) (marked int) {
		for i := range limit + 1 {
			fresh, err := store.Mark(t.Context(), owner, fmt.Sprint(owner, i), start.Add(time.Minute))
			switch {
			case fresh:
				marked++
			case !errors.Is(err, replay.ErrShare):
				t.Fatalf("%s: Mark = %v, %v, want ErrShare", owner, fresh, err)
			}
		}
		return marked
	}
	for _, greedy := range []struct {
		owner string
		want  int
	}{{"rogue", 50}, {"another rogue", 25}} {
		if got := flood(greedy.owner); got != greedy.want {
			t.Errorf("%s marked %d keys, want %d", greedy.owner, got, greedy.want)
		}
	}
	for i := range 10 {
		if fresh, err := store.Mark(t.Context(), "gateway", fmt.Sprint("gateway", i), start.Add(time.Minute)); !fresh {
			t.Fatalf("an owner with its first %d keys is refused: %v", i+1, err)
		}
	}
	if fresh, err := store.Mark(t.Context(), "gateway", "rogue0", start.Add(time.Minute)); fresh || err != nil {
		t.Errorf("the key of another owner = %v, %v, want seen", fresh, err)
	}

	clock.now = start.Add(time.Minute + time.Second) // everything is forgotten
	for i := range limit / 2 {
		if fresh, err := store.Mark(t.Context(), "rogue", fmt.Sprint("later", i), start.Add(time.Hour)); !fresh {
			t.Fatalf("expired keys still count against their owner: %v", err)
		}
	}
}
