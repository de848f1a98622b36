package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/trat"
)

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newRing(t *testing.T, cfg keys.Config) *keys.Ring {
	t.Helper()
	r, err := keys.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKeyIsPublishedBeforeItSigns(t *testing.T) {
	c := newClock()
	r := newRing(t, keys.Config{Clock: c.Now})
	jwks, version := r.Snapshot()
	set, err := trat.ParseJWKS(jwks)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(set.Keys()); n != 1 {
		t.Fatalf("%d keys are published, want 1", n)
	}
	if version == 0 {
		t.Error("version is zero")
	}

	c.Advance(keys.DefaultLead - time.Nanosecond)
	if _, err := r.Signer(); !errors.Is(err, trat.ReasonKeysUnavailable) {
		t.Fatalf("before the lead has passed: %v, want KEYS_UNAVAILABLE", err)
	}
	c.Advance(time.Nanosecond)
	signer, err := r.Signer()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Key(signer.Key().ID()); err != nil {
		t.Errorf("the signing key is not among the published: %v", err)
	}
	if signer.Key().Algorithm() != trat.ES256 {
		t.Errorf("algorithm %s, want ES256", signer.Key().Algorithm())
	}
	again, err := r.Signer()
	if err != nil || again != signer {
		t.Errorf("second call: another signer, %v", err)
	}
}

func TestVersionGrowsOverARestart(t *testing.T) {
	c := newClock()
	_, first := newRing(t, keys.Config{Clock: c.Now}).Snapshot()
	c.Advance(time.Millisecond)
	_, second := newRing(t, keys.Config{Clock: c.Now}).Snapshot()
	if second <= first {
		t.Errorf("version %d after %d", second, first)
	}
}

// liar signs with another key than it shows.
type liar struct {
	public crypto.PublicKey
	other  crypto.Signer
}

func (l liar) Public() crypto.PublicKey { return l.public }

func (l liar) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return l.other.Sign(r, digest, opts)
}

func newECDSA(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Covers ERR-14.
func TestKeyThatFailsItsProofIsWithdrawn(t *testing.T) {
	c := newClock()
	r := newRing(t, keys.Config{
		Clock: c.Now,
		Generate: func() (crypto.Signer, error) {
			return liar{public: newECDSA(t).Public(), other: newECDSA(t)}, nil
		},
	})
	changed := r.Changed()
	_, before := r.Snapshot()
	c.Advance(keys.DefaultLead)
	for range 2 {
		if _, err := r.Signer(); !errors.Is(err, trat.ReasonKeysUnavailable) {
			t.Fatalf("got %v, want KEYS_UNAVAILABLE", err)
		}
	}
	select {
	case <-changed:
	default:
		t.Error("the withdrawal was not announced")
	}
	jwks, after := r.Snapshot()
	if after != before+1 {
		t.Errorf("version %d after %d", after, before)
	}
	set, err := trat.ParseJWKS(jwks)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Keys()) != 0 {
		t.Error("the key is still published")
	}
}

// The proof is made once, and its failure is for ever.
func TestClockThatJumpsDoesNotCostTheKey(t *testing.T) {
	for name, jump := range map[string]time.Duration{"ahead": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			reads := 0
			r := newRing(t, keys.Config{Clock: func() time.Time {
				if reads++; reads > 2 { // New, Signer, and whatever Signer does besides
					c.Advance(jump)
				}
				return c.Now()
			}})
			c.Advance(keys.DefaultLead)
			if _, err := r.Signer(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOtherAlgorithmAndGenerator(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := newClock()
	r := newRing(t, keys.Config{
		Clock:     c.Now,
		Algorithm: trat.EdDSA,
		Lead:      time.Minute,
		Generate:  func() (crypto.Signer, error) { return private, nil },
	})
	c.Advance(time.Minute)
	signer, err := r.Signer()
	if err != nil {
		t.Fatal(err)
	}
	if signer.Key().Algorithm() != trat.EdDSA {
		t.Errorf("algorithm %s", signer.Key().Algorithm())
	}
}

func TestNewRefusesWhatCannotSign(t *testing.T) {
	broken := errors.New("the store is locked")
	for name, cfg := range map[string]keys.Config{
		"generator fails": {Generate: func() (crypto.Signer, error) { return nil, broken }},
		"wrong algorithm": {Algorithm: trat.EdDSA},
		"negative lead":   {Lead: -1},
	} {
		if _, err := keys.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSnapshotHoldsNoPrivatePart(t *testing.T) {
	jwks, _ := newRing(t, keys.Config{}).Snapshot()
	if bytes.Contains(jwks, []byte(`"d"`)) {
		t.Errorf("private member in %s", jwks)
	}
}

func TestConcurrentUseProvesOnce(t *testing.T) {
	c := newClock()
	r := newRing(t, keys.Config{Clock: c.Now})
	c.Advance(keys.DefaultLead)
	signers := make(chan *trat.Signer, 16)
	var wg sync.WaitGroup
	for range cap(signers) {
		wg.Go(func() {
			signer, err := r.Signer()
			if err != nil {
				t.Error(err)
			}
			r.Snapshot()
			signers <- signer
		})
	}
	wg.Wait()
	close(signers)
	first := <-signers
	for s := range signers {
		if s != first {
			t.Error("another signer")
		}
	}
}

func TestRingVerifiesWithWhatIsPublished(t *testing.T) {
	c := newClock()
	r := newRing(t, keys.Config{Clock: c.Now})
	jwks, _ := r.Snapshot()
	set, err := trat.ParseJWKS(jwks)
	if err != nil {
		t.Fatal(err)
	}
	id := set.Keys()[0].ID()
	if key, err := r.Key(id); err != nil || key.ID() != id {
		t.Errorf("a published key, which does not sign yet: %v, %v", key, err)
	}
	if key, err := r.Key("another"); !errors.Is(err, trat.ReasonTxnTokenInvalid) || key != nil {
		t.Errorf("a key of somebody else: %v, %v", key, err)
	}
}
