package server

import "sync"

// seats are places that callers hold for long. A caller may hold at most as many as
// there are free: so one alone gets half of them, n greedy ones an n+1st part each, and
// as much is left for those who come later. Safe for concurrent use.
type seats struct {
	mu   sync.Mutex
	free int
	held map[string]int // by caller; none is zero
}

func newSeats(n int) *seats { return &seats{free: n, held: make(map[string]int)} }

// take gives caller a seat, unless it has its share.
func (s *seats) take(caller string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[caller] >= s.free {
		return false
	}
	s.free--
	s.held[caller]++
	return true
}

// leave takes one of caller's seats back.
func (s *seats) leave(caller string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	if s.held[caller]--; s.held[caller] == 0 {
		delete(s.held, caller)
	}
}
