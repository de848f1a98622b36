package trattest

import (
	"sync"
	"time"
)

// clock stands still until it is set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) get() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(to func(now time.Time) time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = to(c.now)
}
