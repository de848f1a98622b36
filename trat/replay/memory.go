package replay

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

var _ Store = (*Memory)(nil)

const (
	// maxShards is how many parts a large store has.
	maxShards = 16
	// minShardKeys is the least room of a part. A store with less room for each is not
	// divided: keys spread evenly only when there are many.
	minShardKeys = 1024
	// seedSize leaves a hash as key, of 32 bytes, in one block of SHA-256.
	seedSize = 16
)

// Memory is a Store for one process. It is safe for concurrent use, has no
// goroutine of its own and forgets everything when the process ends: after a
// restart a key may be fresh again until its expiry.
//
// An owner may hold at most as many keys as there is room for more. So one owner
// alone gets half of the store, n greedy ones get an n+1st part each, and as much
// is left for those who come later.
//
// A store of 16384 keys or more consists of 16 parts that are locked, filled and shared out
// each by itself. The hash of a key says in which part it is, so the parts fill evenly, but
// not exactly: the first of them is full at about 97 % of 100,000 keys.
//
// A key is kept as 128 bits of a SHA-256 with a secret of the store, so that nobody can
// choose keys that crowd together. Of two keys that agree in all of those bits the second
// would be taken for seen, which refuses and never accepts.
type Memory struct {
	clock  trat.Clock
	seed   [seedSize]byte
	shards []shard
}

// NewMemory returns an empty store of at most limit live keys; limit must be at
// least 1. A key takes about 50 bytes whatever its length, an owner about 200 in each part;
// what has once been taken is kept for other keys.
// A nil clock means time.Now; it is read concurrently.
func NewMemory(limit int, clock trat.Clock) (*Memory, error) {
	if limit < 1 {
		return nil, fmt.Errorf("replay: limit %d is below 1", limit)
	}
	if clock == nil {
		clock = time.Now
	}
	n := 1
	if limit >= maxShards*minShardKeys {
		n = maxShards
	}
	m := &Memory{clock: clock, shards: make([]shard, n)}
	rand.Read(m.seed[:])
	for i := range m.shards {
		room := limit / n
		if i < limit%n {
			room++
		}
		m.shards[i].init(room)
	}
	return m, nil
}

// Mark implements Store. Its errors are ErrKey, ErrExpired, ErrFull, ErrShare and
// those of ctx. It costs O(1) amortised; expired keys are dropped by later calls, a few in
// each, and all that there are before a key is refused for want of room.
func (m *Memory) Mark(ctx context.Context, owner, key string, expiry time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := CheckKey(key); err != nil {
		return false, err
	}
	id := m.identify(key)
	s := &m.shards[int(id[0])%len(m.shards)]
	return s.mark(owner, id, expiry, m.clock())
}

// Len returns the number of keys held. Keys whose expiry has passed count until
// a Mark drops them.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		n += m.shards[i].len()
	}
	return n
}

// CheckKey returns ErrKey unless key has an acceptable size. It is for
// implementations of Store.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKeySize {
		return ErrKey
	}
	return nil
}

// identify returns what stands for a key in this store.
func (m *Memory) identify(key string) keyID {
	var seeded [seedSize + MaxKeySize]byte
	copy(seeded[:], m.seed[:])
	digest := sha256.Sum256(seeded[:seedSize+copy(seeded[seedSize:], key)])
	return keyID(digest[:])
}
