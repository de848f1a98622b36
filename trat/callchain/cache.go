package callchain

import (
	"encoding/binary"
	"sync/atomic"
)

const cacheWays = 4

// cache remembers what was verified, by a SHA-256. It is a set-associative table of atomic
// pointers: a hit writes nothing that cores share, and the size is bounded by construction.
// Nothing gets in that no key of the trust domain has signed. A nil cache is empty and
// remains so.
type cache[V any] struct {
	sets []cacheSet[V] // as many as a power of two
	mask uint64        // that less one
}

type cacheSet[V any] [cacheWays]atomic.Pointer[cacheEntry[V]]

type cacheEntry[V any] struct {
	key   [32]byte
	value V
	// until decides which entry makes room: the one that is of no use first.
	until int64
}

// newCache returns a cache of at least the given number of entries.
func newCache[V any](entries int) *cache[V] {
	if entries == 0 {
		return nil
	}
	sets := 1
	for sets*cacheWays < entries {
		sets *= 2
	}
	return &cache[V]{sets: make([]cacheSet[V], sets), mask: uint64(sets - 1)} //nolint:gosec // sets is positive
}

func (c *cache[V]) set(key *[32]byte) *cacheSet[V] {
	return &c.sets[binary.LittleEndian.Uint64(key[:])&c.mask]
}

func (c *cache[V]) get(key [32]byte) (value V, ok bool) {
	if c == nil {
		return value, false
	}
	set := c.set(&key)
	for i := range set {
		if e := set[i].Load(); e != nil && e.key == key {
			return e.value, true
		}
	}
	return value, false
}

// put remembers value in place of the same key's, else of none, else of the one that is of
// no use first. Of two goroutines that choose one place the last wins, and what the other
// had verified is verified once more.
func (c *cache[V]) put(key [32]byte, value V, until int64) {
	if c == nil {
		return
	}
	set := c.set(&key)
	victim := &set[0]
	var soonest *cacheEntry[V]
	for i := range set {
		have := set[i].Load()
		if have == nil || have.key == key {
			victim = &set[i]
			break
		}
		if soonest == nil || have.until < soonest.until {
			victim, soonest = &set[i], have
		}
	}
	victim.Store(&cacheEntry[V]{key: key, value: value, until: until})
}
