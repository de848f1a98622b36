package server

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/grpc-trat/grpc-trat/trat"
)

// maxRated is how many callers one generation of rates knows.
const maxRated = 16384

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
	recent, older map[string]*rate.Limiter
	overflow      *rate.Limiter
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
		recent:   make(map[string]*rate.Limiter),
		overflow: rate.NewLimiter(limit, burst),
		capacity: capacity,
	}
}

// allow takes one from the caller's bucket, unless it is empty.
func (r *rates) allow(caller string, now time.Time) bool {
	return r.bucket(caller, now).AllowN(now, 1)
}

func (r *rates) bucket(caller string, now time.Time) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch past := now.Sub(r.turned); {
	case past >= 2*r.fill:
		r.older, r.recent, r.turned = nil, make(map[string]*rate.Limiter), now
	case past >= r.fill:
		r.older, r.recent, r.turned = r.recent, make(map[string]*rate.Limiter), now
	}
	if bucket, ok := r.recent[caller]; ok {
		return bucket
	}
	if len(r.recent) >= r.capacity {
		return r.overflow
	}
	bucket, ok := r.older[caller]
	if !ok {
		bucket = rate.NewLimiter(r.limit, r.burst)
	}
	r.recent[caller] = bucket
	return bucket
}

// limit bounds what one workload can take of the service, before anything is done for
// it. The seat that it takes is given back by finish.
func (s *Server) limit(a *attempt) error {
	caller := a.requester.ID.String()
	if !s.rates.allow(caller, a.started) {
		return trat.Errorf(trat.ReasonRateLimited, "", "more exchanges per second than allowed")
	}
	if !s.exchanges.take(caller) {
		return trat.Errorf(trat.ReasonRateLimited, "", "more exchanges under way than allowed")
	}
	a.seated = true
	return nil
}
