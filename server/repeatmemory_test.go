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
	issue := func(requester string, id int, now time.Time) {
		f, first, err := s.join(repeatKey{requester, strconv.Itoa(id)}, digest, now)
		if err != nil || !first {
			t.Fatalf("request %d: first %t, %v", id, first, err)
		}
		s.settle(f, &answer{record: Record{Expiry: now.Add(time.Minute)}}, now)
	}
	want := func(n int) {
		t.Helper()
		own := 0
		for _, list := range s.own {
			own += list.Len()
		}
		if len(s.flights) != n || s.settled.Len() != n || own != n {
			t.Errorf("%d answers, %d of them in order, %d of somebody; want %d", len(s.flights), s.settled.Len(), own, n)
		}
	}
	for requester := range 3 * room {
		issue(strconv.Itoa(requester), 0, now)
	}
	want(room)
	now = now.Add(RepeatWindow)
	for id := range 3 * room {
		issue("a", id, now)
	}
	want(room / 2)     // its share
	issue("a", 0, now) // long forgotten
	if _, first, err := s.join(repeatKey{"a", strconv.Itoa(3*room - 1)}, digest, now); first || err != nil {
		t.Errorf("the newest is forgotten: %v", err)
	}
	f, _, err := s.join(repeatKey{"b", ""}, digest, now.Add(RepeatWindow))
	if err != nil {
		t.Fatal(err)
	}
	s.settle(f, nil, now)
	want(0)
}

// Covers TTS-43.
func TestNobodyDrivesTheAnswersOfOthersOut(t *testing.T) {
	const room = 64
	now := time.Unix(1_800_000_000, 0)
	s := newAnswers(room)
	digest := sha256.Sum256(nil)
	ask := func(requester string, id int) (first bool) {
		f, first, err := s.join(repeatKey{requester, strconv.Itoa(id)}, digest, now)
		if err != nil {
			t.Fatal(err)
		}
		if first {
			s.settle(f, &answer{record: Record{Expiry: now.Add(time.Minute)}}, now)
		}
		return first
	}
	ask("honest", 1)
	for id := range 10 * room {
		for _, rogue := range []string{"b", "c", "d"} {
			ask(rogue, id)
		}
	}
	if ask("honest", 1) {
		t.Error("the answer is forgotten")
	}
	if ask("honest", 2); ask("honest", 1) {
		t.Error("there is no room for another")
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
