package trat

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
)

const (
	digestSize       = sha256.Size
	defaultCacheSize = 8192
	maxCacheSize     = 1 << 20
	cacheWays        = 4
)

// cache remembers verified tokens by their SHA-256. It is a set-associative table of
// atomic pointers: a hit reads and writes nothing shared, so cores do not contend,
// and the size is bounded by construction. Only verified tokens get in, so nobody
// without a signing key can fill it.
type cache struct {
	sets []cacheSet // as many as a power of two
	mask uint64     // that less one
}

type cacheSet [cacheWays]atomic.Pointer[verified]

// newCache returns a cache of at least the given number of entries.
func newCache(entries int) *cache {
	sets := 1
	for sets*cacheWays < entries {
		sets *= 2
	}
	return &cache{sets: make([]cacheSet, sets), mask: uint64(sets - 1)} //nolint:gosec // sets is positive
}

func (c *cache) set(digest *[digestSize]byte) *cacheSet {
	return &c.sets[binary.LittleEndian.Uint64(digest[:])&c.mask]
}

// get returns the entry with the given digest, or nil. The caller checks times and
// key as for a fresh token.
func (c *cache) get(digest *[digestSize]byte) *verified {
	set := c.set(digest)
	for i := range set {
		if e := set[i].Load(); e != nil && e.digest == *digest {
			return e
		}
	}
	return nil
}

// put remembers e in place of the same token, else of nothing, else of the entry
// that expires first. Of two goroutines that choose one place the last wins, and the
// other's token is verified once more.
func (c *cache) put(e *verified) {
	set := c.set(&e.digest)
	victim := &set[0]
	var soonest *verified
	for i := range set {
		have := set[i].Load()
		if have == nil || have.digest == e.digest {
			victim = &set[i]
			break
		}
		if soonest == nil || have.exp < soonest.exp {
			victim, soonest = &set[i], have
		}
	}
	victim.Store(e)
}
