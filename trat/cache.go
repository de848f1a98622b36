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

// cache remembers verified tokens. An entry stands for one exact text: it has the
// signing input and the SHA-256 of the signature, which together hold the whole token to
// account, cost less than a hash over all of it, and are no credential.
//
// It is a set-associative table of atomic pointers: a hit reads and writes nothing
// shared, so cores do not contend, and the size is bounded by construction. Only
// verified tokens get in, so nobody without a signing key can fill it.
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

// set returns the place of tokens with the given signature segment. Signatures are as
// good as random from their first bytes on; of base64, the multiplication brings all
// bits to the top.
func (c *cache) set(signature string) *cacheSet {
	var start [8]byte
	copy(start[:], signature)
	const golden = 0x9e3779b97f4a7c15
	return &c.sets[(binary.LittleEndian.Uint64(start[:])*golden>>32)&c.mask]
}

// get returns the entry of a token, or nil. The caller checks times and key as for a
// fresh token.
func (c *cache) get(token compact) *verified {
	set := c.set(token.signature)
	for i := range set {
		if e := set[i].Load(); e != nil && e.is(token) {
			return e
		}
	}
	return nil
}

// put remembers e in place of the same token, else of nothing, else of the entry
// that expires first. Of two goroutines that choose one place the last wins, and the
// other's token is verified once more.
func (c *cache) put(token compact, e *verified) {
	set := c.set(token.signature)
	victim := &set[0]
	var soonest *verified
	for i := range set {
		have := set[i].Load()
		if have == nil || have.is(token) {
			victim = &set[i]
			break
		}
		if soonest == nil || have.exp < soonest.exp {
			victim, soonest = &set[i], have
		}
	}
	victim.Store(e)
}
