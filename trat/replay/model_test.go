package replay_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/replay"
)

// model is what a Memory must do, said the simple way: all keys and their expiries, by owner.
type model struct {
	limit int
	live  map[string]time.Time
	owner map[string]string
}

// unforgettable counts the keys that no Mark at that time may have dropped, and those of
// them that owner has.
func (m *model) unforgettable(now time.Time, owner string) (all, own int) {
	for key, expiry := range m.live {
		if expiry.Before(now) {
			continue
		}
		all++
		if m.owner[key] == owner {
			own++
		}
	}
	return all, own
}

// Keys come back, expire, expire in the same second, are marked again, and owners are
// greedy: what the store says is what a list of all keys says.
//
// Covers RTY-02, RTY-04.
func TestMemoryDecidesAsAListOfAllKeysWould(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			store, clock := newMemory(t, 60)
			m := &model{limit: 60, live: map[string]time.Time{}, owner: map[string]string{}}
			for range 5000 {
				clock.now = clock.now.Add(time.Duration(random.IntN(300)) * time.Millisecond)
				key, owner := fmt.Sprint("key", random.IntN(200)), fmt.Sprint("owner", random.IntN(3))
				expiry := clock.now.Add(time.Duration(random.IntN(10_000)-500) * time.Millisecond)
				fresh, err := store.Mark(t.Context(), owner, key, expiry)
				m.judge(t, clock.now, owner, key, expiry, fresh, err)
				if fresh {
					m.live[key], m.owner[key] = expiry, owner
				}
			}
		})
	}
}

func (m *model) judge(t *testing.T, now time.Time, owner, key string, expiry time.Time, fresh bool, err error) {
	t.Helper()
	known, found := m.live[key]
	seen := found && !known.Before(now)
	all, own := m.unforgettable(now, owner)
	// Those of the present second that have expired may be held still, so room is short a
	// little before the model's is.
	const slack = 20
	switch {
	case fresh && seen:
		t.Fatalf("%s is fresh again before its expiry", key)
	case fresh && !expiry.After(now):
		t.Fatalf("%s is fresh after its expiry", key)
	case fresh && own >= m.limit-all:
		t.Fatalf("%s got a key beyond its share", owner)
	case !fresh && err == nil && !seen:
		t.Fatalf("%s is taken for seen", key)
	case errors.Is(err, replay.ErrExpired) && expiry.After(now):
		t.Fatalf("%s has not expired", key)
	case errors.Is(err, replay.ErrFull) && all < m.limit-slack:
		t.Fatalf("full with %d of %d keys", all, m.limit)
	case errors.Is(err, replay.ErrShare) && own < m.limit-all-slack:
		t.Fatalf("%s has no more than its share: %d of %d", owner, own, all)
	}
}

// In a store of several parts each is full by itself; together they take nearly all.
//
// Covers RTY-02.
func TestPartsOfALargeMemoryFillEvenly(t *testing.T) {
	const limit = 100_000
	store, clock := newMemory(t, limit)
	taken := 0
	for {
		n := fmt.Sprint(taken)
		fresh, err := store.Mark(t.Context(), n, n, start.Add(time.Minute))
		if errors.Is(err, replay.ErrFull) {
			break
		}
		if !fresh {
			t.Fatalf("Mark = false, %v", err)
		}
		taken++
	}
	if taken < limit*93/100 || taken > limit {
		t.Errorf("full with %d keys, want nearly %d", taken, limit)
	}
	for i := range taken {
		if n := fmt.Sprint(i); mark(t, store, n, start.Add(time.Hour)) {
			t.Fatalf("key %d was forgotten", i)
		}
	}

	clock.now = start.Add(2 * time.Minute)
	for i := range taken {
		if n := fmt.Sprint(i); !mark(t, store, n, clock.now.Add(time.Minute)) {
			t.Fatalf("key %d is remembered after its expiry", i)
		}
	}
	if got := store.Len(); got > limit {
		t.Errorf("Len = %d, want at most %d", got, limit)
	}
}
