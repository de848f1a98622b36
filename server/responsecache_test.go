package server

import (
	"crypto/sha256"
	"strconv"
	"testing"
	"time"
)

// Covers TTS-43.
func TestCachedResponsesAreBounded(t *testing.T) {
	const capacity = 10
	now := time.Unix(1_800_000_000, 0)
	c := newResponseCache(capacity)
	digest := sha256.Sum256(nil)
	issue := func(requester string, id int, now time.Time) {
		e, first, err := c.begin(requestKey{requester, strconv.Itoa(id)}, digest, now)
		if err != nil || !first {
			t.Fatalf("request %d: first %t, %v", id, first, err)
		}
		c.complete(e, &cachedResponse{record: Record{Expiry: now.Add(time.Minute)}}, now)
	}
	want := func(n int) {
		t.Helper()
		own := 0
		for _, list := range c.byRequester {
			own += list.Len()
		}
		if len(c.entries) != n || c.completed.Len() != n || own != n {
			t.Errorf("%d responses, %d of them in order, %d of somebody; want %d", len(c.entries), c.completed.Len(), own, n)
		}
	}
	for requester := range 3 * capacity {
		issue(strconv.Itoa(requester), 0, now)
	}
	want(capacity)
	now = now.Add(IdempotencyWindow)
	for id := range 3 * capacity {
		issue("a", id, now)
	}
	want(capacity / 2) // its share
	issue("a", 0, now) // long forgotten
	if _, first, err := c.begin(requestKey{"a", strconv.Itoa(3*capacity - 1)}, digest, now); first || err != nil {
		t.Errorf("the newest is forgotten: %v", err)
	}
	e, _, err := c.begin(requestKey{"b", ""}, digest, now.Add(IdempotencyWindow))
	if err != nil {
		t.Fatal(err)
	}
	c.complete(e, nil, now)
	want(0)
}

// Covers TTS-43.
func TestNobodyEvictsTheResponsesOfOthers(t *testing.T) {
	const capacity = 64
	now := time.Unix(1_800_000_000, 0)
	c := newResponseCache(capacity)
	digest := sha256.Sum256(nil)
	ask := func(requester string, id int) (first bool) {
		e, first, err := c.begin(requestKey{requester, strconv.Itoa(id)}, digest, now)
		if err != nil {
			t.Fatal(err)
		}
		if first {
			c.complete(e, &cachedResponse{record: Record{Expiry: now.Add(time.Minute)}}, now)
		}
		return first
	}
	ask("honest", 1)
	for id := range 10 * capacity {
		for _, rogue := range []string{"b", "c", "d"} {
			ask(rogue, id)
		}
	}
	if ask("honest", 1) {
		t.Error("the response is forgotten")
	}
	if ask("honest", 2); ask("honest", 1) {
		t.Error("there is no room for another")
	}
}

// A clock that is put back keeps a response longer in memory, and gives it no longer.
func TestEvictingAResponseLeavesItsSuccessor(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	c := newResponseCache(1)
	key, digest := requestKey{"a", "1"}, sha256.Sum256(nil)
	e, _, _ := c.begin(key, digest, now)
	c.complete(e, &cachedResponse{record: Record{Expiry: now}}, now) // its token has ended
	next, first, err := c.begin(key, digest, now)
	if !first || err != nil {
		t.Fatalf("first %t, %v", first, err)
	}
	if _, _, err := c.begin(requestKey{"a", "2"}, digest, now.Add(IdempotencyWindow)); err != nil { // forgets e
		t.Fatal(err)
	}
	if c.entries[key] != next {
		t.Error("the entry of the same key is gone")
	}
}
