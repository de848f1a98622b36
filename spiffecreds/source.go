package spiffecreds

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// What keeps a Source, or the credentials that use one, from working. Each is found with
// errors.Is.
var (
	// ErrNoWorkloadAPI: NewSource was given no address and SPIFFE_ENDPOINT_SOCKET is not
	// set.
	ErrNoWorkloadAPI = errors.New("no Workload API: set " + workloadapi.SocketEnv + " to its address, such as unix:///run/spire/sockets/agent.sock")
	// ErrSourceClosed: the Source was used after Close.
	ErrSourceClosed = errors.New("source is closed")
	// ErrSVIDExpired: this workload's own SVID is past its NotAfter.
	ErrSVIDExpired = errors.New("own X.509-SVID has expired")
	// ErrSVIDNotYetValid: this workload's own SVID is before its NotBefore.
	ErrSVIDNotYetValid = errors.New("own X.509-SVID is not yet valid")
	// ErrEmptyBundle: the bundle of this workload's own trust domain has no authority, so
	// no peer of it can be verified.
	ErrEmptyBundle = errors.New("own trust domain has an empty X.509 bundle")
)

// Source keeps this workload's X.509-SVID and the X.509 bundles of the trust domains
// it may talk to up to date over the SPIFFE Workload API. It implements
// x509svid.Source and x509bundle.Source, and is safe for concurrent use.
//
// When the Workload API goes away, the last SVID is served until it expires and no
// longer, and a new one is there within two seconds of the Workload API's return.
type Source struct {
	now    func() time.Time
	cancel context.CancelFunc
	done   chan struct{} // closed when the watch has ended
	client *workloadapi.Client

	mu      sync.RWMutex
	svid    *x509svid.SVID // nil until the first update
	bundles *x509bundle.Set
	updated chan struct{} // closed and replaced at each update
	closed  bool

	closeOnce sync.Once
	closeErr  error
}

var (
	_ x509svid.Source   = (*Source)(nil)
	_ x509bundle.Source = (*Source)(nil)
)

// NewSource connects to the Workload API and waits for the first SVID: until ctx's
// deadline or the start timeout, whichever is first, or for DefaultStartTimeout when
// neither is given. ctx bounds only the start; the Source lives until Close.
//
// The address is that of WithAddress, or else of the environment variable
// SPIFFE_ENDPOINT_SOCKET; with neither the error is ErrNoWorkloadAPI. When no SVID arrives in
// time, the error says what the Workload API last failed with.
func NewSource(ctx context.Context, opts ...SourceOption) (*Source, error) {
	cfg := defaultSourceConfig()
	var problems []error
	for _, opt := range opts {
		if opt == nil {
			problems = append(problems, errNilOption)
			continue
		}
		opt.applySource(&cfg)
	}
	problems = append(problems, cfg.problems()...)
	address, err := cfg.workloadAPI()
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, fmt.Errorf("spiffecreds: NewSource: %w", err)
	}
	client, err := newWorkloadClient(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("spiffecreds: NewSource: %w", err)
	}
	watchCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Source{
		now:     cfg.now,
		cancel:  cancel,
		done:    make(chan struct{}),
		client:  client,
		updated: make(chan struct{}),
	}
	w := &watch{source: s, logger: cfg.logger, done: watchCtx.Done()}
	started := s.Updated()
	go func() {
		defer close(s.done)
		w.run(watchCtx, client)
	}()

	startCtx, cancelStart := cfg.startContext(ctx)
	defer cancelStart()
	select {
	case <-started:
		return s, nil
	case <-startCtx.Done():
		err := fmt.Errorf("spiffecreds: NewSource: no X.509-SVID from %s: %w", address, errors.Join(startCtx.Err(), w.lastError()))
		return nil, errors.Join(err, s.Close())
	}
}

// workloadAPI returns the address to use.
func (c sourceConfig) workloadAPI() (string, error) {
	address := c.address
	if !c.addressSet {
		address = os.Getenv(workloadapi.SocketEnv)
		if address == "" {
			return "", ErrNoWorkloadAPI
		}
	}
	if err := workloadapi.ValidateAddress(address); err != nil {
		return "", fmt.Errorf("address %q: %w", address, err)
	}
	return address, nil
}

func (c sourceConfig) startContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.timeoutSet {
		return context.WithTimeout(ctx, c.startTimeout)
	}
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, DefaultStartTimeout)
}

// GetX509SVID implements x509svid.Source. It fails with ErrSVIDExpired (or
// ErrSVIDNotYetValid) rather than return an SVID out of its validity period, and with
// ErrSourceClosed after Close. Key and certificate of one result belong together: take
// both from one call.
func (s *Source) GetX509SVID() (*x509svid.SVID, error) {
	svid, err := s.current()
	if err != nil {
		return nil, err
	}
	if err := checkValidity(svid, s.now()); err != nil {
		return nil, err
	}
	return svid, nil
}

// GetX509BundleForTrustDomain implements x509bundle.Source. It serves the last bundles
// received, however old; it fails for a trust domain that this workload is not to
// talk to, and with ErrSourceClosed after Close.
func (s *Source) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	s.mu.RLock()
	bundles, closed := s.bundles, s.closed
	s.mu.RUnlock()
	if closed {
		return nil, fmt.Errorf("spiffecreds: %w", ErrSourceClosed)
	}
	bundle, err := bundles.GetX509BundleForTrustDomain(td)
	if err != nil {
		return nil, fmt.Errorf("spiffecreds: %w", err)
	}
	return bundle, nil
}

// ID returns this workload's SPIFFE ID, from its latest SVID, be that valid now or
// not. It fails with ErrSourceClosed after Close.
func (s *Source) ID() (spiffeid.ID, error) {
	svid, err := s.current()
	if err != nil {
		return spiffeid.ID{}, err
	}
	return svid.ID, nil
}

// Ready returns nil only while there is something to work with: an SVID within its
// validity period, and a bundle of its trust domain that is not empty.
func (s *Source) Ready() error {
	svid, err := s.GetX509SVID()
	if err != nil {
		return err
	}
	bundle, err := s.GetX509BundleForTrustDomain(svid.ID.TrustDomain())
	if err != nil {
		return err
	}
	if bundle.Empty() {
		return fmt.Errorf("spiffecreds: %w", ErrEmptyBundle)
	}
	return nil
}

// Updated returns a channel that is closed at the next update of SVID or bundles, or
// by Close. It may be awaited by any number of goroutines; call it again, before
// looking at the Source, to wait for the update after.
func (s *Source) Updated() <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.updated
}

// Close ends the watch and waits for its end. Further calls do nothing and return what
// the first did.
func (s *Source) Close() error {
	s.closeOnce.Do(func() {
		s.cancel()
		<-s.done
		s.closeErr = s.client.Close()
		s.mu.Lock()
		s.closed = true
		close(s.updated)
		s.mu.Unlock()
	})
	return s.closeErr
}

func (s *Source) current() (*x509svid.SVID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, fmt.Errorf("spiffecreds: %w", ErrSourceClosed)
	}
	return s.svid, nil
}

func (s *Source) set(svid *x509svid.SVID, bundles *x509bundle.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.svid, s.bundles = svid, bundles
	close(s.updated)
	s.updated = make(chan struct{})
}

// checkValidity is about this workload's own SVID. There is no leeway: a peer whose
// clock is right would refuse it.
func checkValidity(svid *x509svid.SVID, now time.Time) error {
	leaf := svid.Certificates[0]
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("spiffecreds: %w at %s", ErrSVIDExpired, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("spiffecreds: %w before %s", ErrSVIDNotYetValid, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
