package server

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// maxRated is how many callers one generation of rates knows.
	maxRated = 16384
	// refusalInterval is the least time between two records of what one caller was refused
	// because of its limits.
	refusalInterval = time.Second
)

// allowance is what one caller may take, and what is known of its refusals.
type allowance struct {
	bucket   *rate.Limiter
	reported time.Time // the last refusal with a record
	omitted  int       // refusals without one since then
}

// rates are a token bucket for each caller. A bucket is forgotten only when it must be
// full again, so that nobody gets a new one by being forgotten; callers for whom there is
// no capacity left share one. Safe for concurrent use.
type rates struct {
	limit rate.Limit
	burst int
	fill  time.Duration // that an empty bucket needs to be full

	mu     sync.Mutex
	turned time.Time
	// recent have been used since turned, older in the fill before it.
	recent, older map[string]*allowance
	overflow      *allowance
	capacity      int // of recent
}

func newRates(perSecond float64, burst, capacity int, now time.Time) *rates {
	limit := rate.Limit(perSecond)
	fill := time.Duration(math.MaxInt64 / 2) // of which the double is a time too
	if seconds := float64(burst) / perSecond; seconds < fill.Seconds()/2 {
		fill = time.Duration(seconds*float64(time.Second)) + time.Second
	}
	return &rates{
		limit:    limit,
		burst:    burst,
		fill:     fill,
		turned:   now,
		recent:   make(map[string]*allowance),
		overflow: &allowance{bucket: rate.NewLimiter(limit, burst)},
		capacity: capacity,
	}
}

// allow takes one from the caller's bucket, unless it is empty.
func (r *rates) allow(caller string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of(caller, now).bucket.AllowN(now, 1)
}

// report says whether a refusal of the caller is to be recorded, and if so, how many were
// not since the last that was. One in refusalInterval is: a flood that is refused must not
// fill the disk instead.
func (r *rates) report(caller string, now time.Time) (omitted int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.of(caller, now)
	if past := now.Sub(a.reported); past >= 0 && past < refusalInterval {
		a.omitted++
		return 0, false
	}
	omitted, a.omitted, a.reported = a.omitted, 0, now
	return omitted, true
}

// of returns the caller's allowance. The lock is held.
func (r *rates) of(caller string, now time.Time) *allowance {
	switch past := now.Sub(r.turned); {
	case past >= 2*r.fill:
		r.older, r.recent, r.turned = nil, make(map[string]*allowance), now
	case past >= r.fill:
		r.older, r.recent, r.turned = r.recent, make(map[string]*allowance), now
	}
	if found, ok := r.recent[caller]; ok {
		return found
	}
	if len(r.recent) >= r.capacity {
		return r.overflow
	}
	found, ok := r.older[caller]
	if !ok {
		found = &allowance{bucket: rate.NewLimiter(r.limit, r.burst)}
	}
	r.recent[caller] = found
	return found
}

// limit bounds what one workload can take of the service, before anything is done for
// it. The seat that it takes is given back by finish.
func (s *Server) limit(a *attempt) error {
	caller := a.requester.ID.String()
	switch {
	case !s.rates.allow(caller, a.started):
		return s.beyond(a, "more exchanges per second than allowed")
	case !s.exchanges.Take(caller):
		return s.beyond(a, "more exchanges under way than allowed")
	}
	a.seated = true
	return nil
}

// beyond is the refusal of what is beyond a limit.
func (s *Server) beyond(a *attempt, what string) error {
	omitted, ok := s.rates.report(a.requester.ID.String(), a.started)
	a.omitted, a.unrecorded = omitted, !ok
	return trat.Errorf(trat.ReasonRateLimited, "", "%s; %d refusals before were not recorded", what, omitted)
}
