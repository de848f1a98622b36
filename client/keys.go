package client

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// MaxKeyAge is how long a key set is used, at the very most, after the token
// service was last heard. A shorter maximum age in its messages holds.
const MaxKeyAge = 10 * time.Minute

// What Key answers when it has no key. They are values, made once: Key is on the
// path of every request.
var (
	errNoKeySet = trat.Errorf(trat.ReasonKeysUnavailable, "", "no key set received yet")
	errStale    = trat.Errorf(trat.ReasonKeysUnavailable, "", "the key set is past its maximum age")
	errNoKey    = trat.Errorf(trat.ReasonTxnTokenInvalid, "kid", "not in the key set")
)

// errOlder is why a message that is merely late is ignored.
var errOlder = errors.New("older than the set in use")

// snapshot is one key set as it was heard; it never changes.
type snapshot struct {
	keys    *trat.StaticKeySet
	jwks    string
	version uint64
	heard   time.Time
	stale   time.Time // usable up to here
}

func (s *snapshot) staleAt(now time.Time) bool { return now.After(s.stale) }

// keySet is the trat.KeySet that the watch feeds. Reading takes no lock; only the
// watch calls apply.
type keySet struct {
	issuer  string
	clock   trat.Clock
	current atomic.Pointer[snapshot]

	mu      sync.Mutex
	changed chan struct{} // closed by the next message
}

func newKeySet(issuer string, clock trat.Clock) *keySet {
	return &keySet{issuer: issuer, clock: clock, changed: make(chan struct{})}
}

// Key implements trat.KeySet.
func (k *keySet) Key(kid string) (*trat.Key, error) {
	s, err := k.usable()
	if err != nil {
		return nil, err
	}
	key, err := s.keys.Key(kid)
	if err != nil {
		return nil, errNoKey
	}
	return key, nil
}

// usable returns the current set unless it is absent or stale.
func (k *keySet) usable() (*snapshot, error) {
	s := k.current.Load()
	switch {
	case s == nil:
		return nil, errNoKeySet
	case s.staleAt(k.clock()):
		return nil, errStale
	}
	return s, nil
}

// next returns a channel that is closed when the next message was accepted or refused. Take it
// before looking at the set: then no message falls between.
func (k *keySet) next() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

// wake closes what next has returned.
func (k *keySet) wake() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.changed)
	k.changed = make(chan struct{})
}

// apply takes over a message, or refuses it with an error and changes nothing. It
// reports whether the keys are others than before: after the first message, a new
// version, and a recovery from a stale set.
func (k *keySet) apply(m *tratv1.WatchKeysResponse) (replaced bool, err error) {
	if m.GetIssuer() != k.issuer {
		return false, refused("issuer", &issuerError{configured: k.issuer, received: clip(m.GetIssuer())})
	}
	age := m.GetMaxAge()
	if !age.IsValid() || age.AsDuration() <= 0 {
		return false, refused("max_age", errors.New("not a positive duration"))
	}

	now := k.clock()
	next := &snapshot{
		jwks:    m.GetJwks(),
		version: m.GetVersion(),
		heard:   now,
		stale:   now.Add(min(age.AsDuration(), MaxKeyAge)),
	}
	// A set that has gone stale protects nothing any more, and a client that
	// started now would take what it hears: so it outranks no version. Otherwise a
	// token service whose versions went back (a clock put right) would be lost to
	// its clients for good.
	last := k.current.Load()
	rank := last != nil && !last.staleAt(now)
	switch {
	case rank && next.version < last.version:
		return false, refused("version", errOlder)
	case rank && next.version == last.version && next.jwks != last.jwks:
		return false, refused("version", errors.New("names a second, different set"))
	case last != nil && next.jwks == last.jwks:
		next.keys = last.keys
	default:
		if next.keys, err = trat.ParseJWKS([]byte(next.jwks)); err != nil {
			return false, refused("jwks", err)
		}
	}

	k.current.Store(next)
	k.wake()
	return !rank || next.version != last.version, nil
}

// age is how long ago the token service was heard; false before the first time.
func (k *keySet) age() (time.Duration, bool) {
	s := k.current.Load()
	if s == nil {
		return 0, false
	}
	return k.clock().Sub(s.heard), true
}

// maxIssuerText is how many bytes of a received issuer are told.
const maxIssuerText = 256

// issuerError is why a message of another issuer is not taken over.
type issuerError struct{ configured, received string }

func (e *issuerError) Error() string {
	return fmt.Sprintf("it is %q, configured is %q", e.received, e.configured)
}

// clip bounds a text that is not ours before it is told.
func clip(s string) string {
	if len(s) <= maxIssuerText {
		return s
	}
	return strings.ToValidUTF8(s[:maxIssuerText], "") + "…"
}

// refused is the error for a message that was not taken over.
func refused(field string, err error) error {
	return &trat.Error{Reason: trat.ReasonKeysUnavailable, Field: field, Err: err}
}
