// Package keys holds the token service's signing keys: which key signs now, which
// keys are published, and the order between the two. A key is published before it
// signs, so that no verifier meets a token whose key it could not yet know
// (draft-ietf-oauth-transaction-tokens section 13.11; OpenID Connect Core section
// 10.1.1), and it proves itself once before its first token.
//
// A signing key of this package is never the key of an X.509-SVID and never a
// JWT-SVID or WIT-SVID authority: whoever could swap the two could mint identities.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// DefaultLead is how long a key is published before it signs. Watchers get a change
// at once and reconnect within about a second, so this covers both.
const DefaultLead = 2 * time.Second

// Config describes a Ring. The zero value is a usable default: a new ES256 key in
// this process's memory.
type Config struct {
	// Generate makes the private key; default: P-256 by crypto/rand. It may return a
	// handle on a key that lives elsewhere (a KMS, an HSM): nothing here reads the
	// private part.
	Generate func() (crypto.Signer, error)
	// Algorithm fits the generated key; default trat.ES256.
	Algorithm trat.Algorithm
	// Lead is the time between publication and first signature; default DefaultLead.
	// It cannot be turned off.
	Lead time.Duration
	// Clock defaults to time.Now.
	Clock trat.Clock
}

var _ trat.KeySet = (*Ring)(nil)

// Ring is the set of keys of one token service. It has no goroutine: the key becomes
// active when it is asked for after its lead. Safe for concurrent use.
type Ring struct {
	clock trat.Clock

	mu      sync.Mutex
	set     published
	changed chan struct{} // closed and replaced when set is

	signer   *trat.Signer
	activeAt time.Time
	proven   bool
	failed   error // the proof's, for ever: such a key is withdrawn
}

// published is what the verifiers know.
type published struct {
	keys    *trat.StaticKeySet
	jwks    []byte
	version uint64
}

// New makes the key and publishes it: from now on Snapshot has it, and Signer does
// after the lead. Make the Ring when verifiers can already reach the service.
func New(cfg Config) (*Ring, error) {
	if cfg.Generate == nil {
		cfg.Generate = func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }
	}
	if cfg.Algorithm == "" {
		cfg.Algorithm = trat.ES256
	}
	if cfg.Lead == 0 {
		cfg.Lead = DefaultLead
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Lead < 0 {
		return nil, fmt.Errorf("keys: lead %s is negative", cfg.Lead)
	}
	private, err := cfg.Generate()
	if err != nil {
		return nil, fmt.Errorf("keys: make the signing key: %w", err)
	}
	signer, err := trat.NewSigner(private, cfg.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	set, err := trat.NewStaticKeySet(signer.Key())
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	now := cfg.Clock()
	return &Ring{
		clock:   cfg.Clock,
		changed: make(chan struct{}),
		// The time as version: a restarted service must not look older than before.
		set:      published{keys: set, jwks: set.JWKS(), version: uint64(now.UnixMilli())},
		signer:   signer,
		activeAt: now.Add(cfg.Lead),
	}, nil
}

// Signer returns the key that signs now. Before the lead has passed, and after a
// failed proof, the error is trat.ReasonKeysUnavailable.
func (r *Ring) Signer() (*trat.Signer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.failed != nil:
		return nil, trat.Errorf(trat.ReasonKeysUnavailable, "", "%w", r.failed)
	case r.proven:
		return r.signer, nil
	}
	now := r.clock()
	if now.Before(r.activeAt) {
		return nil, trat.Errorf(trat.ReasonKeysUnavailable, "", "the signing key is published and signs in %s", r.activeAt.Sub(now))
	}
	if err := prove(r.signer, r.set.jwks, now); err != nil {
		r.failed = fmt.Errorf("the signing key failed its proof and is withdrawn: %w", err)
		if err := r.withdraw(); err != nil {
			r.failed = errors.Join(r.failed, err)
		}
		return nil, trat.Errorf(trat.ReasonKeysUnavailable, "", "%w", r.failed)
	}
	r.proven = true
	return r.signer, nil
}

// Snapshot returns the published JWK Set (RFC 7517) and its version, which grows with
// every change, also over a restart. The caller must not change the bytes.
func (r *Ring) Snapshot() (jwks []byte, version uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set.jwks, r.set.version
}

// Key implements trat.KeySet: a Ring verifies the tokens that its service issued, as long
// as their keys are published and no longer. A token of a withdrawn key is refused.
func (r *Ring) Key(kid string) (*trat.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set.keys.Key(kid)
}

// Changed returns a channel that is closed at the next change of the published set.
// Take it before Snapshot, so that no change is missed.
func (r *Ring) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// withdraw publishes the empty set, with which verifiers reject every token.
func (r *Ring) withdraw() error {
	empty, err := trat.NewStaticKeySet()
	if err != nil {
		return err
	}
	r.set = published{keys: empty, jwks: empty.JWKS(), version: r.set.version + 1}
	close(r.changed)
	r.changed = make(chan struct{})
	return nil
}
