package replay

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"time"
)

// dropsPerMark is how many expired keys one Mark drops at most while there is room. More
// than one, so that they go faster than new ones come; few, so that no call pays for
// a second's worth of them.
const dropsPerMark = 8

// keyID stands for a key.
type keyID [16]byte

// tag is what an index knows a key by.
func (id *keyID) tag() uint32 { return binary.LittleEndian.Uint32(id[4:]) }

// shard is one part of a Memory, complete in itself.
type shard struct {
	mu       sync.Mutex
	limit    int
	entries  entries
	index    index // of the entries that are in use
	accounts accounts
	// seconds lists the entries in use by the second of their expiry, soonest first.
	seconds []second
	// forgotten is the latest expiry of any key dropped so far. A key that expires
	// no later may be one of those: without it, a clock that is set back would
	// make dropped keys fresh again.
	forgotten int64
}

// second lists entries that expire in one second of time.
type second struct {
	time  int64
	first uint32
}

func (s *shard) init(limit int) {
	s.limit = limit
	s.index.init()
	s.accounts.init()
	s.forgotten = math.MinInt64
}

func (s *shard) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.used
}

func (s *shard) mark(owner string, id keyID, expires, at time.Time) (fresh bool, err error) {
	expiry, now := nanoseconds(expires), nanoseconds(at)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now, dropsPerMark)
	if s.live(&id, now) {
		return false, nil
	}
	if expiry <= now || expiry <= s.forgotten {
		return false, ErrExpired
	}
	account, err := s.admit(owner)
	if err != nil {
		s.forget(now, math.MaxInt)
		if account, err = s.admit(owner); err != nil {
			return false, err
		}
	}
	n, e := s.entries.take()
	*e = entry{id: id, expiry: expiry, account: account}
	s.index.add(slot{tag: id.tag(), number: n})
	second := s.second(expiry)
	e.next, second.first = second.first, n
	return true, nil
}

// live reports whether a key is held that has not expired. It is live at the very instant
// of its expiry. One that has expired may be there beside it, until its second is over.
func (s *shard) live(id *keyID, now int64) bool {
	tag := id.tag()
	for i := s.index.home(tag); s.index.slots[i].number != 0; i = s.index.following(i) {
		if s.index.slots[i].tag != tag {
			continue
		}
		if e := s.entries.at(s.index.slots[i].number); e.id == *id && e.expiry >= now {
			return true
		}
	}
	return false
}

// admit charges the owner for one more key, if there is room for one.
func (s *shard) admit(owner string) (account uint32, err error) {
	room := s.limit - s.index.used
	if room <= 0 {
		return 0, ErrFull
	}
	account, ok := s.accounts.charge(owner, room)
	if !ok {
		return 0, ErrShare
	}
	return account, nil
}

// second returns the list for keys that expire then.
func (s *shard) second(expiry int64) *second {
	at := secondOf(expiry)
	i, found := slices.BinarySearchFunc(s.seconds, at, func(s second, at int64) int { return cmp.Compare(s.time, at) })
	if !found {
		s.seconds = slices.Insert(s.seconds, i, second{time: at})
	}
	return &s.seconds[i]
}

// forget drops up to limit keys of seconds before that of now.
func (s *shard) forget(now int64, limit int) {
	passed := 0
	for ; passed < len(s.seconds) && s.seconds[passed].time < secondOf(now); passed++ {
		list := &s.seconds[passed]
		for ; list.first != 0 && limit > 0; limit-- {
			n := list.first
			e := s.entries.at(n)
			list.first = e.next
			s.forgotten = max(s.forgotten, e.expiry)
			s.index.remove(slot{tag: e.id.tag(), number: n})
			s.accounts.credit(e.account)
			s.entries.giveBack(n)
		}
		if list.first != 0 {
			break
		}
	}
	s.seconds = slices.Delete(s.seconds, 0, passed)
}

// nanoseconds returns t in nanoseconds since 1970; times before 1678 and after 2261, which
// have no such number, are the first and the last one.
func nanoseconds(t time.Time) int64 {
	switch s := t.Unix(); {
	case s <= math.MinInt64/int64(time.Second):
		return math.MinInt64
	case s >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

func secondOf(nanoseconds int64) int64 { return nanoseconds / int64(time.Second) }
