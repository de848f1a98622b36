package devauthority

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// DefaultSVIDLifetime is the lifetime of an X.509-SVID; a new one is issued at half of
// it.
const DefaultSVIDLifetime = 10 * time.Minute

// topLevelDomain is reserved for tests by RFC 6761 section 6.2.
const topLevelDomain = ".test"

// errClosed is what everything returns after Close.
var errClosed = errors.New("devauthority: authority is closed")

// Authority is the certificate authority of one trust domain. It is safe for concurrent
// use.
type Authority struct {
	trustDomain spiffeid.TrustDomain
	lifetime    time.Duration
	dnsNames    map[spiffeid.ID][]string // never changed after New
	now         func() time.Time
	timer       func(time.Duration) (<-chan time.Time, func() bool)
	logger      *slog.Logger

	mu         sync.Mutex
	ca         *signer
	bundle     *x509bundle.Bundle // never changed, only replaced
	federated  map[spiffeid.TrustDomain]*x509bundle.Bundle
	identities map[spiffeid.ID]*identity
	endpoints  map[string]*endpoint // by address
	conduct    Conduct
	changed    chan struct{} // closed and replaced at each change of anything above
	dropped    chan struct{} // closed and replaced by DropStreams
	closed     bool
}

// identity is one workload and the SVID it now has.
type identity struct {
	svid     *x509svid.SVID // nil: to be issued
	rotateAt time.Time      // half life of svid
	flaws    []Flaw
}

// Option adjusts New.
type Option func(*Authority)

// minSVIDLifetime leaves a second to rotate in, since certificates are dated in whole
// seconds, rounded down.
const minSVIDLifetime = 2 * time.Second

// WithSVIDLifetime sets the lifetime of SVIDs, at least two seconds; the default is
// DefaultSVIDLifetime.
func WithSVIDLifetime(d time.Duration) Option { return func(a *Authority) { a.lifetime = d } }

// WithDNSNames gives the SVIDs of the workload id DNS names besides its SPIFFE ID, for
// peers that only know host names. Each must end in ".test". Names of several options for
// one workload add up.
func WithDNSNames(id spiffeid.ID, names ...string) Option {
	return func(a *Authority) { a.dnsNames[id] = append(a.dnsNames[id], names...) }
}

// WithClock sets the clock that certificates are dated by; the default is time.Now.
func WithClock(now func() time.Time) Option { return func(a *Authority) { a.now = now } }

// WithTimer sets how an endpoint waits for the half life of an SVID: timer returns a
// channel that receives after d, and a function that stops it. The default is
// time.NewTimer. A test that moves the clock by hand needs it to move the timers too.
func WithTimer(timer func(d time.Duration) (c <-chan time.Time, stop func() bool)) Option {
	return func(a *Authority) { a.timer = timer }
}

// WithLogger sets where rotations are logged; the default logs nothing.
func WithLogger(logger *slog.Logger) Option { return func(a *Authority) { a.logger = logger } }

// New returns an authority with a new CA for td, whose name must end in ".test".
func New(td spiffeid.TrustDomain, opts ...Option) (*Authority, error) {
	a := &Authority{
		trustDomain: td,
		lifetime:    DefaultSVIDLifetime,
		now:         time.Now,
		timer: func(d time.Duration) (<-chan time.Time, func() bool) {
			t := time.NewTimer(d)
			return t.C, t.Stop
		},
		logger:     slog.New(slog.DiscardHandler),
		dnsNames:   make(map[spiffeid.ID][]string),
		federated:  make(map[spiffeid.TrustDomain]*x509bundle.Bundle),
		identities: make(map[spiffeid.ID]*identity),
		endpoints:  make(map[string]*endpoint),
		changed:    make(chan struct{}),
		dropped:    make(chan struct{}),
	}
	for _, opt := range opts {
		opt(a)
	}
	var problems []error
	if !strings.HasSuffix(td.Name(), topLevelDomain) {
		problems = append(problems, fmt.Errorf("trust domain %q does not end in %q: this authority is for development only", td.Name(), topLevelDomain))
	}
	if a.lifetime < minSVIDLifetime {
		problems = append(problems, fmt.Errorf("WithSVIDLifetime: less than %s", minSVIDLifetime))
	}
	for id, names := range a.dnsNames {
		for _, name := range names {
			if err := CheckDNSName(name); err != nil {
				problems = append(problems, fmt.Errorf("WithDNSNames of %s: %w", id, err))
			}
		}
	}
	if a.now == nil || a.timer == nil || a.logger == nil {
		problems = append(problems, errors.New("WithClock, WithTimer, WithLogger: must not be nil"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("devauthority: %w", err)
	}
	ca, err := newSigner(td, a.now())
	if err != nil {
		return nil, err
	}
	a.ca = ca
	a.bundle = x509bundle.FromX509Authorities(td, ca.bundleWith(nil))
	return a, nil
}

// TrustDomain returns the trust domain this authority issues for.
func (a *Authority) TrustDomain() spiffeid.TrustDomain { return a.trustDomain }

// Bundle returns the CA certificates that SVIDs of the trust domain chain to now. It
// must not be modified.
func (a *Authority) Bundle() *x509bundle.Bundle {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bundle
}

// X509SVID returns the SVID that the workload id has now: the same one until half its
// life is over or Rotate is called. With flaws it returns a new SVID that has them and
// leaves the workload's own alone.
func (a *Authority) X509SVID(id spiffeid.ID, flaws ...Flaw) (*x509svid.SVID, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(flaws) > 0 {
		if a.closed {
			return nil, errClosed
		}
		return a.issue(id, flaws)
	}
	return a.current(id)
}

// Rotate gives every workload a new SVID.
func (a *Authority) Rotate() {
	a.change(func() {
		a.reissue()
		a.logger.Info("X.509-SVIDs rotated")
	})
}

// RotateCA makes a new CA, which signs from now on, and gives every workload a new
// SVID. The former CA's certificate stays in the bundle until DropOldCAs, so SVIDs that
// it signed go on being accepted.
func (a *Authority) RotateCA() error {
	ca, err := newSigner(a.trustDomain, a.now())
	if err != nil {
		return err
	}
	a.change(func() {
		a.ca = ca
		a.bundle = x509bundle.FromX509Authorities(a.trustDomain, ca.bundleWith(a.bundle))
		a.reissue()
		a.logger.Info("CA rotated")
	})
	return nil
}

// DropOldCAs takes every CA but the present one out of the bundle.
func (a *Authority) DropOldCAs() {
	a.change(func() {
		a.bundle = x509bundle.FromX509Authorities(a.trustDomain, a.ca.bundleWith(nil))
	})
}

// Federate gives the bundles of other trust domains to every workload, replacing those
// given before for the same ones. The authority's own trust domain is refused.
func (a *Authority) Federate(bundles ...*x509bundle.Bundle) error {
	for _, b := range bundles {
		if b.TrustDomain() == a.trustDomain {
			return fmt.Errorf("devauthority: bundle of the own trust domain %q cannot be a federated one", a.trustDomain.Name())
		}
	}
	a.change(func() {
		for _, b := range bundles {
			a.federated[b.TrustDomain()] = b
		}
	})
	return nil
}

// Close stops every endpoint, waits until their calls have ended, and makes everything
// else fail. Further calls do nothing.
func (a *Authority) Close() error {
	var endpoints []*endpoint
	a.change(func() {
		a.closed = true
		endpoints = slices.Collect(maps.Values(a.endpoints))
		clear(a.endpoints)
	})
	var problems []error
	for _, e := range endpoints {
		problems = append(problems, e.stop())
	}
	return errors.Join(problems...)
}

// change runs f under the lock, then wakes whoever waits for a change.
func (a *Authority) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	close(a.changed)
	a.changed = make(chan struct{})
}

// reissue drops each workload's SVID; the next look at it issues another. The lock is
// held.
func (a *Authority) reissue() {
	for _, i := range a.identities {
		i.svid = nil
	}
}

// current returns the SVID of id, issuing one when there is none or half its life is
// over. The lock is held.
func (a *Authority) current(id spiffeid.ID) (*x509svid.SVID, error) {
	if a.closed {
		return nil, errClosed
	}
	i, ok := a.identities[id]
	if !ok {
		i = &identity{}
	}
	// What was issued wrong on purpose stays until told otherwise.
	if now := a.now(); i.svid == nil || len(i.flaws) == 0 && !now.Before(i.rotateAt) {
		svid, err := a.issue(id, i.flaws)
		if err != nil {
			return nil, err
		}
		i.svid, i.rotateAt = svid, now.Add(a.lifetime/2)
		a.identities[id] = i
		a.logger.Debug("X.509-SVID issued", "spiffe_id", id.String(), "not_after", svid.Certificates[0].NotAfter)
	}
	return i.svid, nil
}
