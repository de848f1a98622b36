package trattest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// svidLifetime is how long SVIDs are valid before and after they are issued: more than any
// test moves the Domain's clock.
const svidLifetime = 24 * time.Hour

// Domain is a virtual trust domain: a token service's key, a certificate authority
// and a clock. It is safe for concurrent use. What fails in it fails the test.
type Domain struct {
	tb        testing.TB
	name      spiffeid.TrustDomain
	clock     *clock
	authority *devauthority.Authority
	keys      *keySet
	signing   atomic.Pointer[signingKey]
	verifier  *trat.Verifier
	chains    *callchain.Verifier
}

// signingKey is the token service's key in both forms: what signs what is right, and
// what signs anything.
type signingKey struct {
	private *ecdsa.PrivateKey
	signer  *trat.Signer
}

// keySet can be replaced while verifiers use it.
type keySet struct {
	current atomic.Pointer[trat.StaticKeySet]
}

// Key implements trat.KeySet.
func (k *keySet) Key(kid string) (*trat.Key, error) { return k.current.Load().Key(kid) }

// New returns a trust domain that ends with the test. Its name must end in ".test".
// The clock stands at the second in which New was called.
func New(tb testing.TB, trustDomain string) *Domain {
	tb.Helper()
	d := &Domain{
		tb:    tb,
		clock: &clock{now: time.Now().Truncate(time.Second)},
		keys:  &keySet{},
	}
	var err error
	if d.name, err = spiffeid.TrustDomainFromString(trustDomain); err != nil {
		tb.Fatalf("trattest: %v", err)
	}
	d.authority = newAuthority(tb, d.name)
	d.RotateKeys()
	if d.verifier, err = trat.NewVerifier(d.name.Name(), d.Issuer(), d.keys, trat.WithClock(d.Now)); err != nil {
		tb.Fatalf("trattest: %v", err)
	}
	if d.chains, err = callchain.NewVerifier(d.authority.Source(d.name.ID()), callchain.WithClock(d.Now)); err != nil {
		tb.Fatalf("trattest: %v", err)
	}
	return d
}

// newAuthority returns a certificate authority of a trust domain.
func newAuthority(tb testing.TB, name spiffeid.TrustDomain) *devauthority.Authority {
	tb.Helper()
	// Certificates follow real time: the service under test may not know the Domain's clock.
	// They begin in the past, for links that are signed by a clock that stands still.
	past := func() time.Time { return time.Now().Add(-svidLifetime) }
	authority, err := devauthority.New(name, devauthority.WithClock(past), devauthority.WithSVIDLifetime(2*svidLifetime))
	if err != nil {
		tb.Fatalf("trattest: %v", err)
	}
	tb.Cleanup(func() {
		if err := authority.Close(); err != nil {
			tb.Errorf("trattest: closing the authority: %v", err)
		}
	})
	return authority
}

// TrustDomain returns the trust domain: the aud of its tokens.
func (d *Domain) TrustDomain() spiffeid.TrustDomain { return d.name }

// Issuer returns the iss of its tokens, an https URL that leads nowhere.
func (d *Domain) Issuer() string { return "https://tts." + d.name.Name() }

// ID returns the SPIFFE ID of the workload with the given path, such as "orders" or
// "ns/prod/orders", without a leading slash.
func (d *Domain) ID(path string) spiffeid.ID {
	d.tb.Helper()
	id, err := spiffeid.FromPath(d.name, "/"+path)
	if err != nil {
		d.tb.Fatalf("trattest: %v", err)
	}
	return id
}

// Now returns the time of the Domain's clock. As a trat.Clock it is d.Now.
func (d *Domain) Now() time.Time { return d.clock.get() }

// Advance moves the Domain's clock forward, or back when by is negative. It wakes nobody:
// for what waits for a time, such as the end of a stream, see the package documentation.
func (d *Domain) Advance(by time.Duration) {
	d.clock.set(func(now time.Time) time.Time { return now.Add(by) })
}

// SetTime sets the Domain's clock. Certificates follow real time, not this clock.
func (d *Domain) SetTime(t time.Time) {
	d.clock.set(func(time.Time) time.Time { return t })
}

// Verifier returns what a guard of this trust domain needs. Without options it is
// always the same one, with the Domain's clock, keys and trat's defaults; with
// options a new one.
func (d *Domain) Verifier(opts ...trat.VerifierOption) *trat.Verifier {
	d.tb.Helper()
	if len(opts) == 0 {
		return d.verifier
	}
	v, err := trat.NewVerifier(d.name.Name(), d.Issuer(), d.keys,
		append([]trat.VerifierOption{trat.WithClock(d.Now)}, opts...)...)
	if err != nil {
		d.tb.Fatalf("trattest: %v", err)
	}
	return v
}

// KeySet returns the token service's verification keys. It follows RotateKeys and
// RevokeKeys.
func (d *Domain) KeySet() trat.KeySet { return d.keys }

// JWKS returns the present key set as the token service publishes it.
func (d *Domain) JWKS() []byte { return d.keys.current.Load().JWKS() }

// RevokeKeys empties the key set: every token is refused, those that were verified
// before too. RotateKeys ends that.
func (d *Domain) RevokeKeys() {
	d.tb.Helper()
	d.publish()
}

// RotateKeys replaces the token service's key: tokens made before are refused.
func (d *Domain) RotateKeys() {
	d.tb.Helper()
	key, err := newSigningKey()
	if err != nil {
		d.tb.Fatalf("trattest: %v", err)
	}
	d.signing.Store(key)
	d.publish(key.signer.Key())
}

func (d *Domain) publish(keys ...*trat.Key) {
	d.tb.Helper()
	set, err := trat.NewStaticKeySet(keys...)
	if err != nil {
		d.tb.Fatalf("trattest: %v", err)
	}
	d.keys.current.Store(set)
}

func newSigningKey() (*signingKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := trat.NewSigner(private, trat.ES256)
	if err != nil {
		return nil, err
	}
	return &signingKey{private: private, signer: signer}, nil
}

// Token returns a verified TraT.
func (d *Domain) Token(opts ...TokenOption) *trat.Token {
	d.tb.Helper()
	t, err := d.verifier.Verify(d.Raw(opts...))
	if err != nil {
		d.tb.Fatalf("trattest: the token does not verify: %v", err)
	}
	return t
}

// Context returns a context with a verified TraT in it, as a handler behind a guard
// gets it.
func (d *Domain) Context(ctx context.Context, opts ...TokenOption) context.Context {
	d.tb.Helper()
	return trat.NewContext(ctx, d.Token(opts...))
}

// Raw returns a signed TraT in its compact form, to be sent. It is what the token
// service would issue; whether it verifies depends on the clock and the keys.
func (d *Domain) Raw(opts ...TokenOption) string {
	d.tb.Helper()
	unsigned, err := trat.Prepare(d.claims(opts))
	if err != nil {
		d.tb.Fatalf("trattest: no such token may be issued: %v", err)
	}
	raw, err := d.signing.Load().signer.Sign(unsigned)
	if err != nil {
		d.tb.Fatalf("trattest: %v", err)
	}
	return raw
}

// claims applies opts to the defaults.
func (d *Domain) claims(opts []TokenOption) trat.Claims {
	d.tb.Helper()
	s := &spec{
		claims: trat.Claims{
			Issuer:             d.Issuer(),
			Audience:           d.name.Name(),
			TransactionID:      rand.Text(),
			RequestingWorkload: d.ID("gateway").String(),
		},
		lifetime: trat.DefaultLifetime,
	}
	for _, opt := range append([]TokenOption{Subject("user-1"), Scope("test")}, opts...) {
		if err := opt(s); err != nil {
			d.tb.Fatalf("trattest: %v", err)
		}
	}
	s.claims.IssuedAt = d.Now().Add(-s.age)
	s.claims.Expiry = s.claims.IssuedAt.Add(s.lifetime)
	return s.claims
}
