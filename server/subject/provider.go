package subject

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// demandInterval is the least time between two fetches that tokens ask for.
	demandInterval = 10 * time.Second
	// demandWait is how long a token waits for such a fetch.
	demandWait = 5 * time.Second
	// firstRetry and maxRetry bound the time until the next attempt after failures.
	firstRetry = time.Second
	maxRetry   = 30 * time.Second
	// jitter spreads the fetches of replicas: this part of a delay, more or less.
	jitter = 0.1
)

// providerConfig is what the providers of one Issuers share.
type providerConfig struct {
	fetch    fetcher
	clock    trat.Clock
	logger   *slog.Logger
	interval time.Duration
	maxStale time.Duration
}

func (c *providerConfig) setDefaults() {
	if c.clock == nil {
		c.clock = time.Now
	}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	if c.interval == 0 {
		c.interval = DefaultRefreshInterval
	}
	if c.maxStale == 0 {
		c.maxStale = DefaultMaxStale
	}
}

// provider keeps the keys of one issuer. One goroutine, run, does every fetch, so
// that there is never more than one; tokens ask it for a fetch and wait.
type provider struct {
	providerConfig
	issuer     IssuerConfig
	algorithms []trat.Algorithm
	// introspector asks the issuer about tokens; nil if it is not to be asked.
	introspector *introspector

	wake chan struct{} // holds one element while a fetch is asked for

	mu      sync.Mutex
	running bool
	keys    *issuerKeys   // nil until the first good fetch
	failure error         // of the last attempt
	attempt chan struct{} // closed when the attempt that is due or under way ends; else nil
	demand  time.Time     // when a token last asked for a fetch
}

func newProvider(issuer IssuerConfig, cfg providerConfig) *provider {
	p := &provider{providerConfig: cfg, issuer: issuer, algorithms: issuer.Algorithms, wake: make(chan struct{}, 1)}
	if len(p.algorithms) == 0 {
		p.algorithms = allAlgorithms
	}
	return p
}

func (p *provider) accepts(alg trat.Algorithm) bool { return slices.Contains(p.algorithms, alg) }

// key returns the key that verifies a token. It waits for a fetch when the key is
// not there and a fetch is allowed or under way. Its errors are
// SUBJECT_TOKEN_INVALID, and DEPENDENCY_UNAVAILABLE when there are no keys or only
// stale ones, or ctx ends.
func (p *provider) key(ctx context.Context, kid string, alg trat.Algorithm) (crypto.PublicKey, error) {
	keys, err := p.usable()
	if err == nil {
		var key crypto.PublicKey
		if key, err = keys.find(kid, alg); !errors.Is(err, errUnknownKey) {
			return key, err
		}
	}
	p.refetch(ctx, keys)
	if err := ctx.Err(); err != nil {
		return nil, trat.Errorf(trat.ReasonDependencyUnavailable, "", "waiting for the keys of issuer %q: %w", p.issuer.Issuer, err)
	}
	if keys, err = p.usable(); err != nil {
		return nil, err
	}
	key, err := keys.find(kid, alg)
	if errors.Is(err, errUnknownKey) {
		return nil, invalid("kid", "is not a key of the issuer")
	}
	return key, err
}

// introspectionEndpoint returns where the metadata says that the issuer is asked about
// tokens. It waits for a fetch as key does. Its error is DEPENDENCY_UNAVAILABLE.
func (p *provider) introspectionEndpoint(ctx context.Context) (string, error) {
	keys, err := p.usable()
	if err != nil {
		p.refetch(ctx, nil)
		if keys, err = p.usable(); err != nil {
			return "", err
		}
	}
	return keys.introspection, nil
}

// usable returns the keys, or DEPENDENCY_UNAVAILABLE if there are none or only
// stale ones.
func (p *provider) usable() (*issuerKeys, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys != nil && p.clock().Sub(p.keys.fetched) <= p.maxStale {
		return p.keys, nil
	}
	what := "no keys"
	if p.keys != nil {
		what = "stale keys"
	}
	if p.failure != nil {
		return nil, trat.Errorf(trat.ReasonDependencyUnavailable, "", "issuer %q: %s: %w", p.issuer.Issuer, what, p.failure)
	}
	return nil, trat.Errorf(trat.ReasonDependencyUnavailable, "", "issuer %q: %s yet", p.issuer.Issuer, what)
}

// refetch waits for a fetch that may bring more than keys has, if there is one
// under way or one may be started.
func (p *provider) refetch(ctx context.Context, keys *issuerKeys) {
	attempt := p.join(keys)
	if attempt == nil {
		return
	}
	timer := time.NewTimer(demandWait)
	defer timer.Stop()
	select {
	case <-attempt:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// join returns the attempt to wait for; nil if there is nothing to wait for.
func (p *provider) join(keys *issuerKeys) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch now := p.clock(); {
	case !p.running:
		return nil
	case keys != nil && p.keys != keys: // others came meanwhile
		return nil
	case p.attempt != nil:
		return p.attempt
	case !p.demand.IsZero() && now.Sub(p.demand) < demandInterval:
		return nil
	default:
		p.demand = now
		p.attempt = make(chan struct{})
		p.wake <- struct{}{}
		return p.attempt
	}
}

// start announces the first attempt, which run makes at once.
func (p *provider) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = true
	p.attempt = make(chan struct{})
}

// run fetches keys until ctx ends: at once, after each interval, sooner after a
// failure, and when a token asks. No failure ends it.
func (p *provider) run(ctx context.Context) {
	defer p.stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.wake:
		}
		p.begin()
		keys, err := p.fetchKeys(ctx)
		p.end(keys, err)
		if ctx.Err() != nil {
			return
		}
		delay := p.interval
		if err != nil {
			failures++
			delay = min(delay, retryDelay(failures))
			p.logFailure(ctx, err, failures)
		} else {
			failures = 0
		}
		timer.Reset(spread(delay))
	}
}

// begin makes the coming attempt one that tokens can join, and drops the wish for
// an attempt: this is it.
func (p *provider) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.attempt == nil {
		p.attempt = make(chan struct{})
	}
	select {
	case <-p.wake:
	default:
	}
}

// end stores the outcome of an attempt and lets those go who wait for it.
func (p *provider) end(keys *issuerKeys, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = err
	if err == nil {
		p.keys = keys
	}
	close(p.attempt)
	p.attempt = nil
}

func (p *provider) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = false
	if p.attempt != nil {
		close(p.attempt)
		p.attempt = nil
	}
}

func (p *provider) fetchKeys(ctx context.Context) (*issuerKeys, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	found, err := p.issuer.discover(ctx, p.fetch)
	if err != nil {
		return nil, err
	}
	text, err := p.fetch.get(ctx, found.keys)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(text, p.clock())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", found.keys, err)
	}
	keys.introspection = found.introspection
	if keys.skipped > 0 {
		p.logger.DebugContext(ctx, "issuer has keys that are not for its tokens", "issuer", p.issuer.Issuer, "keys", keys.skipped)
	}
	return keys, nil
}

func (p *provider) logFailure(ctx context.Context, err error, failures int) {
	level := slog.LevelWarn
	if _, unusable := p.usable(); unusable != nil {
		level = slog.LevelError
	}
	p.logger.Log(ctx, level, "cannot fetch the keys of an issuer", "issuer", p.issuer.Issuer, "failures", failures, "error", err)
}

// retryDelay doubles from firstRetry to maxRetry.
func retryDelay(failures int) time.Duration {
	delay := firstRetry
	for ; failures > 1 && delay < maxRetry; failures-- {
		delay *= 2
	}
	return min(delay, maxRetry)
}

func spread(d time.Duration) time.Duration {
	part := 1 - jitter + 2*jitter*rand.Float64() //nolint:gosec // spreads load: nothing is gained by guessing it
	return time.Duration(float64(d) * part)
}
