package interceptors

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/time/rate"
)

// Bounds of what failing peers may cost.
const (
	defaultFailuresPerSecond = 10
	defaultFailureBurst      = 100
	maxFailingPeers          = 1024
)

// failures counts, for each peer that was refused lately, how much of its allowance
// of bad tokens is left. Readers take no lock and peers without failures leave no
// trace. Peer IDs are authenticated, so their number is that of the fleet; beyond
// maxFailingPeers some account is forgotten, which never limits anybody.
type failures struct {
	perSecond float64
	burst     int

	mu    sync.Mutex // held to replace peers; the maps themselves are never changed
	peers atomic.Pointer[map[spiffeid.ID]*failingPeer]
}

type failingPeer struct {
	bad  *rate.Limiter
	logs *limitedLog // its own, so that nobody's flood hides another's failure
}

func (f *failures) init() {
	f.perSecond, f.burst = defaultFailuresPerSecond, defaultFailureBurst
	f.peers.Store(&map[spiffeid.ID]*failingPeer{})
}

// exhausted reports whether id has used up its allowance.
func (f *failures) exhausted(id spiffeid.ID, now time.Time) bool {
	p, ok := (*f.peers.Load())[id]
	return ok && p.bad.TokensAt(now) < 1
}

// charge takes one bad token off id's allowance.
func (f *failures) charge(id spiffeid.ID, now time.Time) { f.peer(id, now).bad.AllowN(now, 1) }

// peer returns id's account, a new one if there is none.
func (f *failures) peer(id spiffeid.ID, now time.Time) *failingPeer {
	if p, ok := (*f.peers.Load())[id]; ok {
		return p
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	peers := *f.peers.Load()
	if p, ok := peers[id]; ok {
		return p
	}
	p := &failingPeer{bad: rate.NewLimiter(rate.Limit(f.perSecond), f.burst), logs: newLimitedLog()}
	peers = maps.Clone(peers)
	if len(peers) >= maxFailingPeers {
		f.forget(peers, now)
	}
	peers[id] = p
	f.peers.Store(&peers)
	return p
}

// forget drops the accounts that have recovered, or if there are none any one.
func (f *failures) forget(peers map[spiffeid.ID]*failingPeer, now time.Time) {
	maps.DeleteFunc(peers, func(_ spiffeid.ID, p *failingPeer) bool {
		return p.bad.TokensAt(now) >= float64(f.burst) && p.logs.limiter.TokensAt(now) >= logBurst
	})
	for id := range peers {
		if len(peers) < maxFailingPeers {
			return
		}
		delete(peers, id)
	}
}
