package server

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// maxCachedResponses is how many responses are remembered, with a share for each caller:
// see responseCache.
const maxCachedResponses = 16384

// cachedResponse is what is remembered of an issued token: enough to give it again and to
// say so in the audit log.
type cachedResponse struct {
	token  string
	record Record
}

// isLive says whether the token has a second left.
func (r *cachedResponse) isLive(now time.Time) bool { return r.record.Expiry.Sub(now) >= time.Second }

// requestKey is what makes two requests the same; the rest of them must be equal then.
type requestKey struct{ requester, id string }

// cacheEntry is one request under way, or its response.
type cacheEntry struct {
	key      requestKey
	digest   [sha256.Size]byte // of the whole request
	done     chan struct{}     // closed when the outcome is known
	response *cachedResponse   // nil: refused; read it after done
	expires  time.Time         // the response is given up to here

	inCompleted, inRequester *list.Element // once it has a response
}

// responseCache remembers what was issued for requests with a request_id. Refusals are not
// remembered. A caller may have at most as many responses here as there is capacity left,
// as with seats; beyond that its own oldest one makes room, so that nobody evicts those of
// others. Safe for concurrent use.
type responseCache struct {
	capacity int

	mu      sync.Mutex
	entries map[requestKey]*cacheEntry
	// Entries that have a response, the oldest first: all of them, and those of each
	// requester, none of which is empty.
	completed   *list.List
	byRequester map[string]*list.List
}

func newResponseCache(capacity int) *responseCache {
	return &responseCache{
		capacity:    capacity,
		entries:     make(map[requestKey]*cacheEntry),
		completed:   list.New(),
		byRequester: make(map[string]*list.List),
	}
}

// begin returns the entry of a request: an earlier one, or a new one, which the caller
// must complete. A request_id that was used for another request is an error.
func (c *responseCache) begin(key requestKey, digest [sha256.Size]byte, now time.Time) (e *cacheEntry, first bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.completed.Len() > 0 && !now.Before(oldest(c.completed).expires) {
		c.evict(oldest(c.completed))
	}
	if e, ok := c.entries[key]; ok && e.usable(now) {
		if e.digest != digest {
			return nil, false, trat.Errorf(trat.ReasonParameterInvalid, fieldRequestID, "it was used for another request")
		}
		return e, false, nil
	}
	e = &cacheEntry{key: key, digest: digest, done: make(chan struct{})}
	c.entries[key] = e
	return e, true, nil
}

// usable says whether e is under way or has a response that can still be given.
func (e *cacheEntry) usable(now time.Time) bool {
	select {
	case <-e.done:
		return e.response != nil && now.Before(e.expires) && e.response.isLive(now)
	default:
		return true
	}
}

// complete ends what begin began: with what was issued, or nil for a refusal.
func (c *responseCache) complete(e *cacheEntry, issued *cachedResponse, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.response, e.expires = issued, now.Add(IdempotencyWindow)
	close(e.done)
	if issued == nil {
		delete(c.entries, e.key)
		return
	}
	own := c.byRequester[e.key.requester]
	switch free := c.capacity - c.completed.Len(); {
	case own != nil && own.Len() >= free:
		c.evict(oldest(own))
	case free <= 0: // for as many requesters as there is capacity
		c.evict(oldest(c.completed))
	}
	if own = c.byRequester[e.key.requester]; own == nil { // it may just have become empty
		own = list.New()
		c.byRequester[e.key.requester] = own
	}
	e.inCompleted, e.inRequester = c.completed.PushBack(e), own.PushBack(e)
}

// oldest returns the first entry of a list that is not empty.
func oldest(l *list.List) *cacheEntry {
	return l.Front().Value.(*cacheEntry) //nolint:errcheck,forcetypeassert // there is nothing else in it
}

// evict drops a response. Its key may have another entry by now.
func (c *responseCache) evict(e *cacheEntry) {
	own := c.byRequester[e.key.requester]
	c.completed.Remove(e.inCompleted)
	if own.Remove(e.inRequester); own.Len() == 0 {
		delete(c.byRequester, e.key.requester)
	}
	if c.entries[e.key] == e {
		delete(c.entries, e.key)
	}
}
