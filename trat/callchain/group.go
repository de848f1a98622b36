package callchain

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// waitingGroups is how many full groups may wait for their turn.
	waitingGroups = 8
	// recently is for how long a caller in company, or a group that was worth its wait, counts.
	recently = 10 * time.Millisecond
	// worthwhile is how many links a group must have for the wait to have been worth it: a wait
	// of a millisecond for the signature of two callers costs more than it saves.
	worthwhile = 3
	// patience is how many smaller groups in a row are waited for, before nobody waits for as
	// long as pause. Of many callers on a slow machine some groups are small too, but not so
	// many in a row; there the budget must hold, or signing makes the machine slower yet.
	patience = 16
	pause    = 100 * time.Millisecond
)

var errQueueFull = trat.Errorf(trat.ReasonRateLimited, "", "too many links wait for a signature")

// pending is a link that is to be signed.
type pending struct {
	// link holds what the caller knows. What only the signature decides is added with it.
	link    *link
	parent  *Chain
	expires time.Time // of the TraT
	// index is the link's place in its group.
	index int
	// seal is what the link shares with its group, once it is signed; err is why it is not.
	seal *seal
	err  error
}

// complete adds what only the signature decides.
func (p *pending) complete(who credential, now time.Time, lifetime time.Duration) error {
	l := p.link
	l.issuer = who.svid.ID
	if l.issuer.TrustDomain() != l.audience.TrustDomain() {
		return &trat.Error{Reason: trat.ReasonEgressBlocked, Field: FieldIssuer, Err: errForeign}
	}
	if p.parent != nil && p.parent.Last().Audience() != l.issuer {
		return &trat.Error{Reason: trat.ReasonChainLinkInvalid, Field: FieldParent, Err: errOtherReceiver}
	}
	l.issuedAt = time.UnixMilli(now.UnixMilli()).UTC()
	l.lifetime = max(min(lifetime, p.expires.Sub(now).Truncate(time.Second)), time.Second)
	l.leafHash, l.leaf = who.hash, who.cert
	l.seal()
	return nil
}

// queue decides which links are signed alone and which together. A link that finds the
// budget of signatures not used up, and nobody waiting, is signed at once by its own
// goroutine. So is one whose caller is alone, or one of two, whatever the budget says: too
// few would come to share the signature. All others wait in groups, oldest first, and
// whenever the budget has another signature one group is signed, with everybody who has
// come by then.
//
// No goroutine lives longer than a call. While links wait there is a timer.
type queue struct {
	budget *rate.Limiter
	clock  trat.Clock // for waiting; not what links are dated by
	size   int        // of a full group
	// sign gives every link its seal or its error.
	sign func(links []*pending)

	inside atomic.Int32 // callers of do

	mu      sync.Mutex
	company time.Time // when a caller last was not the only one
	shared  time.Time // when a group last was worth the wait
	small   int       // groups in a row since then
	paused  time.Time // until when nobody waits
	groups  []*group  // those that wait, oldest first; none is empty
	waiting int       // links in groups
	turn    *turn     // of the oldest group; nil when none waits
}

// turn is when the oldest group is signed.
type turn struct {
	reserved *rate.Reservation
	timer    *time.Timer
}

// group is links that share a signature.
type group struct {
	links []*pending
	full  bool          // takes no more
	taken bool          // from the queue; links does not change any more
	done  chan struct{} // closed when every link has its seal or its error
}

// do returns when p has its seal, or with an error.
func (q *queue) do(ctx context.Context, p *pending) error {
	company := q.inside.Add(1) > 1
	defer q.inside.Add(-1)
	if !company && runtime.GOMAXPROCS(0) == 1 && q.budget.TokensAt(q.clock()) < 1 {
		// A signature is much shorter than a time slice: on one core callers would never meet,
		// and each signature would be made alone, whatever the budget. Where there are more
		// cores, giving one up wakes another, which finds nothing to do.
		runtime.Gosched()
		company = q.inside.Load() > 1
	}
	g, err := q.enter(p, company)
	if err != nil {
		return err
	}
	if g == nil {
		q.sign([]*pending{p})
		return p.err
	}
	select {
	case <-g.done:
		return p.err
	case <-ctx.Done():
		q.withdraw(g, p)
		return &trat.Error{Reason: trat.ReasonDependencyUnavailable, Err: ctx.Err()}
	}
}

// enter returns the group in which p waits, or nil when p is to be signed at once.
func (q *queue) enter(p *pending, company bool) (*group, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock()
	if company {
		q.company = now
	}
	if q.waiting == 0 && q.atOnce(now, company) {
		return nil, nil
	}
	if q.waiting >= waitingGroups*q.size {
		return nil, errQueueFull
	}
	last := len(q.groups) - 1
	if last < 0 || q.groups[last].full {
		q.groups = append(q.groups, &group{done: make(chan struct{})})
		last++
	}
	g := q.groups[last]
	p.index = len(g.links)
	g.links = append(g.links, p)
	g.full = len(g.links) == q.size
	q.waiting++
	if q.turn == nil {
		q.nextTurn(now)
	}
	return g, nil
}

// atOnce reports whether a caller that finds nobody waiting is to be signed for at once. The
// lock is held.
func (q *queue) atOnce(now time.Time, company bool) bool {
	// What is left of the budget among many callers was not saved: signatures were late. Who
	// comes together with others shares one nevertheless.
	crowd := company && now.Sub(q.shared) < recently
	return !crowd && q.budget.AllowN(now, 1) ||
		now.Sub(q.company) >= recently || now.Before(q.paused)
}

// nextTurn arranges for the oldest group. The lock is held. Where the budget would permit to
// sign at once, because the last turn was late, others still have half of the usual time to
// come.
func (q *queue) nextTurn(now time.Time) {
	t := &turn{reserved: q.budget.ReserveN(now, 1)}
	usual := time.Duration(float64(time.Second) / float64(q.budget.Limit()))
	t.timer = time.AfterFunc(max(t.reserved.DelayFrom(now), usual/2), func() { q.take(t) })
	q.turn = t
}

// take signs the oldest group.
func (q *queue) take(t *turn) {
	q.mu.Lock()
	if q.turn != t { // it was cancelled too late for the timer
		q.mu.Unlock()
		return
	}
	g := q.groups[0]
	g.taken = true
	q.groups[0] = nil
	q.groups = q.groups[1:]
	q.waiting -= len(g.links)
	now := q.clock()
	if q.small++; len(g.links) >= worthwhile {
		q.small, q.shared = 0, now
	} else if q.small == patience {
		q.small, q.paused = 0, now.Add(pause)
	}
	if q.turn = nil; q.waiting > 0 {
		q.nextTurn(now)
	}
	q.mu.Unlock()

	q.sign(g.links)
	close(g.done)
}

// withdraw takes p out of g if that still waits.
func (q *queue) withdraw(g *group, p *pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if g.taken {
		return
	}
	last := len(g.links) - 1
	moved := g.links[last]
	g.links[p.index], moved.index = moved, p.index
	g.links[last] = nil
	g.links = g.links[:last]
	q.waiting--
	if last > 0 {
		return
	}
	q.groups = slices.DeleteFunc(q.groups, func(other *group) bool { return other == g })
	if q.waiting == 0 {
		q.turn.timer.Stop()
		q.turn.reserved.CancelAt(q.clock())
		q.turn = nil
	}
}
