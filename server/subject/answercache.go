package subject

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// maxAnswers is how many answers one issuer's cache holds: each of at most
// trat.MaxObjectSize bytes, and usually of some hundred.
const maxAnswers = 4096

// digest is the SHA-256 of a token, by which its answer is found: the cache holds no
// credential.
type digest [sha256.Size]byte

// answerCache keeps the answers that tokens are active, for a while. It is safe for
// concurrent use.
type answerCache struct {
	mu      sync.Mutex
	entries map[digest]*list.Element // of *answer
	order   *list.List               // oldest first
}

type answer struct {
	key   digest
	text  trat.Object
	until time.Time
}

func newAnswerCache() *answerCache {
	return &answerCache{entries: make(map[digest]*list.Element), order: list.New()}
}

func (c *answerCache) get(key digest, now time.Time) (trat.Object, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok {
		if a := e.Value.(*answer); now.Before(a.until) { //nolint:errcheck // the list holds nothing else
			return a.text, true
		}
		c.drop(e)
	}
	return trat.Object{}, false
}

// put keeps text until the given time, if that is to come. It lets go of what is no
// longer good, and of the oldest answers while there are too many.
func (c *answerCache) put(key digest, text trat.Object, until, now time.Time) {
	if !now.Before(until) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok {
		c.drop(e)
	}
	for e := c.order.Front(); e != nil; e = c.order.Front() {
		a := e.Value.(*answer) //nolint:errcheck // the list holds nothing else
		if now.Before(a.until) && len(c.entries) < maxAnswers {
			break
		}
		c.drop(e)
	}
	c.entries[key] = c.order.PushBack(&answer{key: key, text: text, until: until})
}

func (c *answerCache) drop(e *list.Element) {
	a := c.order.Remove(e).(*answer) //nolint:errcheck // the list holds nothing else
	delete(c.entries, a.key)
}
