package server

import (
	"crypto/sha256"
	"strconv"
	"testing"
	"time"
)

// Covers TTS-43.
func TestAnswersAreBounded(t *testing.T) {
	const room = 10
	now := time.Unix(1_800_000_000, 0)
	s := newAnswers(room)
	digest := sha256.Sum256(nil)
	issue := func(id int, now time.Time) {
		f, first, err := s.join(repeatKey{"a", strconv.Itoa(id)}, digest, now)
		if err != nil || !first {
			t.Fatalf("request %d: first %t, %v", id, first, err)
		}
		s.settle(f, &answer{record: Record{Expiry: now.Add(time.Minute)}}, now)
	}
	for id := range 3 * room {
		issue(id, now)
	}
	if len(s.flights) != room || len(s.settled) != room {
		t.Errorf("%d answers, %d of them in order; want %d", len(s.flights), len(s.settled), room)
	}
	issue(0, now) // long forgotten
	if _, first, err := s.join(repeatKey{"a", strconv.Itoa(3*room - 1)}, digest, now); first || err != nil {
		t.Errorf("the newest is forgotten: %v", err)
	}
	f, _, err := s.join(repeatKey{"b", ""}, digest, now.Add(RepeatWindow))
	if err != nil {
		t.Fatal(err)
	}
	if s.settle(f, nil, now); len(s.flights) != 0 || len(s.settled) != 0 {
		t.Errorf("%d answers after their window", len(s.flights))
	}
}

// A clock that is put back keeps an answer longer in memory, and gives it no longer.
func TestForgettingAnAnswerLeavesItsSuccessor(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := newAnswers(1)
	key, digest := repeatKey{"a", "1"}, sha256.Sum256(nil)
	f, _, _ := s.join(key, digest, now)
	s.settle(f, &answer{record: Record{Expiry: now}}, now) // its token has ended
	next, first, err := s.join(key, digest, now)
	if !first || err != nil {
		t.Fatalf("first %t, %v", first, err)
	}
	if _, _, err := s.join(repeatKey{"a", "2"}, digest, now.Add(RepeatWindow)); err != nil { // forgets f
		t.Fatal(err)
	}
	if s.flights[key] != next {
		t.Error("the flight of the same key is gone")
	}
}
