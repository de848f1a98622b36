package devauthority_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
)

var (
	domain = spiffeid.RequireTrustDomainFromString("shop.test")
	orders = spiffeid.RequireFromPath(domain, "/orders")
)

func newAuthority(t *testing.T, opts ...devauthority.Option) *devauthority.Authority {
	t.Helper()
	a, err := devauthority.New(domain, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return a
}

// fakeTime is a clock, and the timers of an Authority, both moved by hand.
type fakeTime struct {
	mu     sync.Mutex
	now    time.Time
	timers map[chan time.Time]time.Time
	armed  chan struct{} // receives when a timer was made
}

func newFakeTime() *fakeTime {
	return &fakeTime{now: time.Now().Truncate(time.Second), timers: map[chan time.Time]time.Time{}, armed: make(chan struct{}, 16)}
}

func (f *fakeTime) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeTime) Timer(d time.Duration) (<-chan time.Time, func() bool) {
	c := make(chan time.Time, 1)
	f.mu.Lock()
	f.timers[c] = f.now.Add(d)
	f.mu.Unlock()
	f.armed <- struct{}{}
	return c, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		_, live := f.timers[c]
		delete(f.timers, c)
		return live
	}
}

func (f *fakeTime) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	for c, at := range f.timers {
		if !f.now.Before(at) {
			delete(f.timers, c)
			c <- f.now
		}
	}
}

func TestNewRefusesWhatIsNotForDevelopment(t *testing.T) {
	for _, name := range []string{"shop.example", "test", "shop.test.example", "shoptest"} {
		if _, err := devauthority.New(spiffeid.RequireTrustDomainFromString(name)); err == nil {
			t.Errorf("New(%q) succeeded", name)
		}
	}
	_, err := devauthority.New(spiffeid.RequireTrustDomainFromString("shop.example"),
		devauthority.WithSVIDLifetime(time.Second), devauthority.WithClock(nil))
	if err == nil {
		t.Fatal("New succeeded")
	}
	for _, want := range []string{"shop.example", "WithSVIDLifetime", "WithClock"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
}

func TestX509SVIDVerifies(t *testing.T) {
	ft := newFakeTime()
	a := newAuthority(t, devauthority.WithClock(ft.Now), devauthority.WithSVIDLifetime(time.Minute))
	svid, err := a.X509SVID(orders)
	if err != nil {
		t.Fatal(err)
	}
	id, _, err := x509svid.Verify(svid.Certificates, a.Bundle(), x509svid.WithTime(ft.Now()))
	if err != nil || id != orders {
		t.Fatalf("Verify = %v, %v", id, err)
	}
	if got, want := svid.Certificates[0].NotAfter, ft.Now().Add(time.Minute); !got.Equal(want) {
		t.Errorf("NotAfter = %v, want %v", got, want)
	}
	if key, ok := svid.PrivateKey.(*ecdsa.PrivateKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("key is %T, want P-256", svid.PrivateKey)
	}
	// The strict parser of go-spiffe takes it too: this is what arrives at a workload.
	certs, key, err := svid.MarshalRaw()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x509svid.ParseRaw(certs, key); err != nil {
		t.Error(err)
	}
}

func TestX509SVIDRefusesForeignAndRootIDs(t *testing.T) {
	a := newAuthority(t)
	for _, id := range []spiffeid.ID{
		spiffeid.RequireFromString("spiffe://other.test/orders"),
		domain.ID(),
		{},
	} {
		if svid, err := a.X509SVID(id); err == nil {
			t.Errorf("X509SVID(%q) = %v", id, svid.ID)
		}
	}
}

// Covers KEY-07.
func TestSVIDRotatesAtHalfLife(t *testing.T) {
	ft := newFakeTime()
	a := newAuthority(t, devauthority.WithClock(ft.Now), devauthority.WithSVIDLifetime(time.Minute))
	source := a.Source(orders)
	serial := func() string {
		t.Helper()
		svid, err := source.GetX509SVID()
		if err != nil {
			t.Fatal(err)
		}
		return svid.Certificates[0].SerialNumber.String()
	}
	first := serial()
	ft.Advance(30*time.Second - 1)
	if serial() != first {
		t.Error("rotated before half life")
	}
	ft.Advance(1)
	second := serial()
	if second == first {
		t.Error("not rotated at half life")
	}
	updated := source.Updated()
	a.Rotate()
	<-updated
	if serial() == second {
		t.Error("not rotated by Rotate")
	}
}

func TestRotateCAKeepsTheOldOneUntilDropped(t *testing.T) {
	a := newAuthority(t)
	source := a.Source(orders)
	before, err := source.GetX509SVID()
	if err != nil {
		t.Fatal(err)
	}
	verify := func(svid *x509svid.SVID) error {
		_, _, err := x509svid.Verify(svid.Certificates, source)
		return err
	}
	if err := a.RotateCA(); err != nil {
		t.Fatal(err)
	}
	after, err := source.GetX509SVID()
	if err != nil {
		t.Fatal(err)
	}
	if after == before {
		t.Error("SVID was not issued anew")
	}
	if err := errors.Join(verify(before), verify(after)); err != nil {
		t.Errorf("after RotateCA: %v", err)
	}
	a.DropOldCAs()
	if verify(before) == nil {
		t.Error("SVID of the dropped CA still verifies")
	}
	if err := verify(after); err != nil {
		t.Errorf("after DropOldCAs: %v", err)
	}
}

func TestFederatedBundlesStayApart(t *testing.T) {
	a := newAuthority(t)
	other, err := devauthority.New(spiffeid.RequireTrustDomainFromString("partner.test"))
	if err != nil {
		t.Fatal(err)
	}
	source := a.Source(orders)
	if _, err := source.GetX509BundleForTrustDomain(other.TrustDomain()); err == nil {
		t.Error("bundle of a domain that is not federated")
	}
	if err := a.Federate(other.Bundle()); err != nil {
		t.Fatal(err)
	}
	got, err := source.GetX509BundleForTrustDomain(other.TrustDomain())
	if err != nil || got != other.Bundle() {
		t.Errorf("federated bundle = %v, %v", got, err)
	}
	if err := a.Federate(a.Bundle()); err == nil {
		t.Error("own bundle accepted as a federated one")
	}
}

func TestFlawsShowInTheCertificate(t *testing.T) {
	a := newAuthority(t)
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	tests := []struct {
		name string
		flaw devauthority.Flaw
		has  func(*x509.Certificate) bool
	}{
		{"expired", devauthority.Valid(then.Add(-time.Hour), then), func(c *x509.Certificate) bool { return c.NotAfter.Equal(then) }},
		{"two URI SANs", devauthority.URISANs("spiffe://shop.test/a", "spiffe://shop.test/b"), func(c *x509.Certificate) bool { return len(c.URIs) == 2 }},
		{"root path", devauthority.Claiming(domain.ID()), func(c *x509.Certificate) bool { return c.URIs[0].Path == "" }},
		{"CA", devauthority.CA(), func(c *x509.Certificate) bool { return c.IsCA }},
		{"keyCertSign", devauthority.KeyUsage(x509.KeyUsageCertSign), func(c *x509.Certificate) bool { return c.KeyUsage == x509.KeyUsageCertSign }},
		{"RSA", devauthority.RSA(), func(c *x509.Certificate) bool { _, ok := c.PublicKey.(*rsa.PublicKey); return ok }},
		{"wrong domain", devauthority.Claiming(spiffeid.RequireFromString("spiffe://other.test/x")), func(c *x509.Certificate) bool { return c.URIs[0].Host == "other.test" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			svid, err := a.X509SVID(orders, tt.flaw)
			if err != nil {
				t.Fatal(err)
			}
			if !tt.has(svid.Certificates[0]) {
				t.Error("the certificate does not have it")
			}
		})
	}
	sound, err := a.X509SVID(orders)
	if err != nil {
		t.Fatal(err)
	}
	a.Misissue(orders, devauthority.CA())
	if flawed, err := a.X509SVID(orders); err != nil || !flawed.Certificates[0].IsCA {
		t.Errorf("after Misissue: %v", err)
	}
	a.Misissue(orders)
	if again, err := a.X509SVID(orders); err != nil || again.Certificates[0].IsCA || again == sound {
		t.Errorf("after the end of misissuing: %v", err)
	}
}

func TestClosedAuthorityFails(t *testing.T) {
	a := newAuthority(t)
	if err := errors.Join(a.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.X509SVID(orders); err == nil {
		t.Error("X509SVID succeeded")
	}
	if _, err := a.X509SVID(orders, devauthority.CA()); err == nil {
		t.Error("X509SVID with a flaw succeeded")
	}
	if _, err := a.Source(orders).GetX509BundleForTrustDomain(domain); err == nil {
		t.Error("GetX509BundleForTrustDomain succeeded")
	}
	if _, err := a.Listen(socketDir(t), "orders", orders); err == nil {
		t.Error("Listen succeeded")
	}
}

func TestSVIDsHaveTheDNSNamesOfTheirWorkloadOnly(t *testing.T) {
	a := newAuthority(t, devauthority.WithDNSNames(orders, "orders.shop.test"), devauthority.WithDNSNames(orders, "o.test"))
	for id, want := range map[spiffeid.ID][]string{
		orders: {"orders.shop.test", "o.test"},
		spiffeid.RequireFromPath(domain, "/other"): nil,
	} {
		svid, err := a.X509SVID(id)
		if err != nil {
			t.Fatal(err)
		}
		if got := svid.Certificates[0].DNSNames; !slices.Equal(got, want) {
			t.Errorf("%s has the DNS names %q, want %q", id, got, want)
		}
	}
}

func TestDNSNamesAreHostNamesForTests(t *testing.T) {
	for name, ok := range map[string]bool{
		"tts.shop.test": true, "a-1.test": true,
		"": false, "test": false, ".test": false, "tts.shop.example": false, "*.shop.test": false, "TTS.test": false,
		"-a.test": false, "a-.test": false, "a..test": false, "a.test.": false, "ä.test": false, "a b.test": false,
		strings.Repeat("a.", 125) + "test": false, strings.Repeat("a", 64) + ".test": false,
	} {
		authority, err := devauthority.New(domain, devauthority.WithDNSNames(orders, name))
		if (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
		if err == nil {
			_ = authority.Close()
		}
	}
}
