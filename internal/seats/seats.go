// Package seats shares out what callers hold for long, so that none of them can hold all.
package seats

import "sync"

// Seats are places that callers hold for long. A caller may hold at most as many as
// there are free: so one alone gets half of them, n greedy ones an n+1st part each, and
// as much is left for those who come later. Safe for concurrent use.
type Seats struct {
	mu   sync.Mutex
	free int
	held map[string]int // by caller; none is zero
}

// New returns n seats, all of them free.
func New(n int) *Seats { return &Seats{free: n, held: make(map[string]int)} }

// Take gives caller a seat, unless it has its share.
func (s *Seats) Take(caller string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[caller] >= s.free {
		return false
	}
	s.free--
	s.held[caller]++
	return true
}

// Leave takes one of caller's seats back.
func (s *Seats) Leave(caller string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	if s.held[caller]--; s.held[caller] == 0 {
		delete(s.held, caller)
	}
}
