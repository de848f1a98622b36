package subject

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-36.
func TestTheAnswersThatAreKeptAreBounded(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	text, err := trat.ParseObject(`{"active":true}`)
	if err != nil {
		t.Fatal(err)
	}
	key := func(n int) (d digest) {
		binary.BigEndian.PutUint64(d[:], uint64(n))
		return d
	}
	c := newAnswerCache()
	for n := range 2 * maxAnswers {
		c.put(key(n), text, now.Add(time.Second), now)
	}
	if len(c.entries) != maxAnswers || c.order.Len() != maxAnswers {
		t.Errorf("%d answers in order %d, want %d", len(c.entries), c.order.Len(), maxAnswers)
	}
	if _, ok := c.get(key(maxAnswers-1), now); ok {
		t.Error("the oldest answers are not the ones that go")
	}
	if got, ok := c.get(key(2*maxAnswers-1), now); !ok || got != text {
		t.Error("the newest answer is gone")
	}

	later := now.Add(time.Second)
	if _, ok := c.get(key(2*maxAnswers-1), later); ok {
		t.Error("an answer is used when its time has come")
	}
	c.put(key(0), text, later.Add(time.Second), later)
	if len(c.entries) != 1 || c.order.Len() != 1 {
		t.Errorf("%d answers, want only the one that is still good", len(c.entries))
	}
	c.put(key(0), text, later.Add(time.Minute), later)
	c.put(key(1), text, later, later)
	if len(c.entries) != 1 || c.order.Len() != 1 {
		t.Errorf("%d answers in order %d, want one", len(c.entries), c.order.Len())
	}
}
