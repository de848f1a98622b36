package redisreplay

import (
	"errors"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// DefaultPrefix is what the names of all keys begin with.
	DefaultPrefix = "trat:replay:"
	// DefaultTimeout is how long a Mark may take.
	DefaultTimeout = 100 * time.Millisecond
	// DefaultMargin is how much longer than its expiry a mark is kept.
	DefaultMargin = time.Minute

	maxPrefix  = 128
	maxTimeout = 10 * time.Second
	maxMargin  = time.Hour
)

// Option tunes a Store.
type Option interface{ apply(*config) error }

type config struct {
	prefix   string
	timeout  time.Duration
	margin   time.Duration
	clock    trat.Clock
	volatile bool
}

type option func(*config) error

func (o option) apply(c *config) error { return o(c) }

// WithPrefix says what the names of all keys begin with, 1 to 128 bytes. All replicas of a
// service have the same one; services whose keys must not meet have different ones.
func WithPrefix(prefix string) Option {
	return option(func(c *config) error {
		if prefix == "" || len(prefix) > maxPrefix {
			return errors.New("prefix: want 1 to 128 bytes")
		}
		c.prefix = prefix
		return nil
	})
}

// WithTimeout says how long a Mark may take, connecting included: up to 10 s.
func WithTimeout(d time.Duration) Option {
	return option(func(c *config) error {
		if d <= 0 || d > maxTimeout {
			return errors.New("timeout: want more than 0 and at most 10 s")
		}
		c.timeout = d
		return nil
	})
}

// WithMargin says how much longer than its expiry a mark is kept, 1 s to 1 h: as far as
// the clocks of replicas may be apart, and as the server's may jump.
func WithMargin(d time.Duration) Option {
	return option(func(c *config) error {
		if d < time.Second || d > maxMargin {
			return errors.New("margin: want 1 s to 1 h")
		}
		c.margin = d
		return nil
	})
}

// WithClock replaces time.Now.
func WithClock(clock trat.Clock) Option {
	return option(func(c *config) error {
		if clock == nil {
			return errors.New("clock: nil")
		}
		c.clock = clock
		return nil
	})
}

// UnsafeAllowVolatile allows servers without an append-only file. After a restart of such a server
// what was marked is fresh again until its expiry.
func UnsafeAllowVolatile() Option {
	return option(func(c *config) error {
		c.volatile = true
		return nil
	})
}
