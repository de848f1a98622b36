package spiffecreds_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// socketDir is short enough for a socket path, which t.TempDir may not be.
func socketDir(t *testing.T) string {
	t.Helper()
	dir := must[string](t)(os.MkdirTemp("", "wl")) //nolint:usetesting // see above
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// clock is moved by hand.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// onLog is a slog.Handler that passes on level and message.
type onLog func(string)

func (onLog) Enabled(context.Context, slog.Level) bool { return true }
func (l onLog) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l onLog) WithGroup(string) slog.Handler          { return l }
func (l onLog) Handle(_ context.Context, r slog.Record) error {
	l(r.Level.String() + " " + r.Message)
	return nil
}

const (
	outageBegan = "WARN Workload API failed, trying again"
	outageEnded = "INFO Workload API works again"
)

// outages holds what a Source logs of them.
type outages chan string

func (o outages) option() spiffecreds.SourceOption {
	return spiffecreds.WithLogger(slog.New(onLog(func(message string) {
		if message == outageBegan || message == outageEnded {
			o <- message
		}
	})))
}

func (o outages) wait(t *testing.T, message string) {
	t.Helper()
	ctx := testContext(t)
	for {
		select {
		case got := <-o:
			if got == message {
				return
			}
		case <-ctx.Done():
			t.Fatalf("%q was not logged", message)
		}
	}
}

func newSource(t *testing.T, addr string, opts ...spiffecreds.SourceOption) *spiffecreds.Source {
	t.Helper()
	s := must[*spiffecreds.Source](t)(spiffecreds.NewSource(testContext(t), append(opts, spiffecreds.WithAddress(addr))...))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func serve(t *testing.T, a *devauthority.Authority) (dir, addr string) {
	t.Helper()
	dir = socketDir(t)
	return dir, must[string](t)(a.Listen(dir, "orders", orders))
}

func waitUpdated(t *testing.T, updated <-chan struct{}) {
	t.Helper()
	select {
	case <-updated:
	case <-testContext(t).Done():
		t.Fatal("no update")
	}
}

func TestSourceFollowsTheWorkloadAPI(t *testing.T) {
	a := newAuthority(t)
	partner := newAuthorityFor(t, spiffeid.RequireTrustDomainFromString("partner.test"))
	if err := a.Federate(partner.Bundle()); err != nil {
		t.Fatal(err)
	}
	_, addr := serve(t, a)
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", addr)
	s := must[*spiffecreds.Source](t)(spiffecreds.NewSource(testContext(t)))
	defer s.Close()

	if id, err := s.ID(); err != nil || id != orders {
		t.Errorf("ID = %v, %v", id, err)
	}
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
	for _, td := range []spiffeid.TrustDomain{domain, partner.TrustDomain()} {
		if b, err := s.GetX509BundleForTrustDomain(td); err != nil || b.TrustDomain() != td {
			t.Errorf("bundle of %v: %v", td, err)
		}
	}
	if _, err := s.GetX509BundleForTrustDomain(spiffeid.RequireTrustDomainFromString("stranger.test")); err == nil {
		t.Error("bundle of a stranger")
	}
	one, two := s.Updated(), s.Updated()
	a.Rotate()
	waitUpdated(t, one)
	waitUpdated(t, two)
	got := must[*x509svid.SVID](t)(s.GetX509SVID())
	if want := must[*x509svid.SVID](t)(a.X509SVID(orders)); !got.Certificates[0].Equal(want.Certificates[0]) {
		t.Error("not the rotated SVID")
	}
}

func TestSourceAddressErrors(t *testing.T) {
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", "")
	_, err := spiffecreds.NewSource(t.Context())
	if !errors.Is(err, spiffecreds.ErrNoWorkloadAPI) || !strings.Contains(err.Error(), "SPIFFE_ENDPOINT_SOCKET") {
		t.Errorf("no address: %v", err)
	}
	_, err = spiffecreds.NewSource(t.Context(), spiffecreds.WithAddress("/run/agent.sock"), spiffecreds.WithClock(nil),
		spiffecreds.WithLogger(nil), spiffecreds.WithStartTimeout(-1), nil)
	if err == nil {
		t.Fatal("NewSource succeeded")
	}
	for _, want := range []string{"/run/agent.sock", "WithClock", "WithLogger", "WithStartTimeout", "nil option"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
	if _, err := spiffecreds.NewSource(t.Context(), spiffecreds.WithAddress("")); err == nil || errors.Is(err, spiffecreds.ErrNoWorkloadAPI) {
		t.Errorf("empty address: %v", err)
	}
}

func TestSourceStartIsBounded(t *testing.T) {
	a := newAuthority(t)
	a.SetConduct(devauthority.Silence)
	_, addr := serve(t, a)
	soon := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, 20*time.Millisecond)
	}
	start := func(ctx context.Context, opts ...spiffecreds.SourceOption) error {
		s, err := spiffecreds.NewSource(ctx, append(opts, spiffecreds.WithAddress(addr))...)
		if s != nil {
			t.Error("a Source beside an error")
		}
		return err
	}
	byContext, cancel := soon(t.Context())
	defer cancel()
	ended, end := context.WithCancel(t.Context())
	end()
	for name, tt := range map[string]struct{ got, want error }{
		"start timeout":      {start(t.Context(), spiffecreds.WithStartTimeout(20*time.Millisecond)), context.DeadlineExceeded},
		"context's deadline": {start(byContext), context.DeadlineExceeded},
		"the earlier of two": {start(byContext, spiffecreds.WithStartTimeout(time.Hour)), context.DeadlineExceeded},
		"context ended":      {start(ended), context.Canceled},
	} {
		if !errors.Is(tt.got, tt.want) || !strings.Contains(tt.got.Error(), addr) {
			t.Errorf("%s: error %v, want %v with the address", name, tt.got, tt.want)
		}
	}
}

func TestSourceStartSaysWhatFailed(t *testing.T) {
	a := newAuthority(t)
	dir, addr := serve(t, a)
	for _, tt := range []struct {
		name, addr, want string
		conduct          devauthority.Conduct
	}{
		{"nobody listens", "unix://" + filepath.Join(dir, "nobody.sock"), "nobody.sock", devauthority.Answer},
		{"no identity", addr, "no identity issued", devauthority.NoIdentity},
		{"shutting down", addr, "shutting down", devauthority.Cancel},
		{"garbage", addr, "cannot parse", devauthority.Garbage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.SetConduct(tt.conduct)
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			// The start ends as soon as the failure is known.
			log := slog.New(onLog(func(string) { cancel() }))
			_, err := spiffecreds.NewSource(ctx, spiffecreds.WithAddress(tt.addr), spiffecreds.WithLogger(log))
			if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestSourceRecoversSoonAfterTheAgentsReturn(t *testing.T) {
	a := newAuthority(t)
	dir, addr := serve(t, a)
	log := make(outages, 64)
	s := newSource(t, addr, log.option())
	before := must[*x509svid.SVID](t)(s.GetX509SVID())

	if err := a.Stop(addr); err != nil {
		t.Fatal(err)
	}
	log.wait(t, outageBegan)
	outlastBackoff(t, strings.TrimPrefix(addr, "unix://"))
	if got, err := s.GetX509SVID(); err != nil || got != before {
		t.Errorf("during the outage: %v, want the last SVID", err)
	}
	updated := s.Updated()
	a.Rotate()
	must[string](t)(a.Listen(dir, "orders", orders))
	back := time.Now()
	waitUpdated(t, updated)
	// The waits themselves are bounded in TestWaitsAddUpToLessThanTwoSeconds; this allows
	// for a busy machine, and is far from go-spiffe's own half a minute.
	if took := time.Since(back); took > 8*time.Second {
		t.Errorf("recovered after %v", took)
	}
	if got, err := s.GetX509SVID(); err != nil || got.Certificates[0].Equal(before.Certificates[0]) {
		t.Errorf("after the outage: %v, want a new SVID", err)
	}
	log.wait(t, outageEnded)
}

// outlastBackoff turns away so many connections that the waits in between have grown to
// their maximum.
func outlastBackoff(t *testing.T, path string) {
	t.Helper()
	lis := must[net.Listener](t)(net.Listen("unix", path))
	defer lis.Close()
	for range 7 {
		conn := must[net.Conn](t)(lis.Accept())
		conn.Close()
	}
}

// go-spiffe's watch ends for good at these answers.
func TestSourceOutlivesAnAgentThatCancels(t *testing.T) {
	a := newAuthority(t)
	_, addr := serve(t, a)
	log := make(outages, 64)
	s := newSource(t, addr, log.option())
	for _, conduct := range []devauthority.Conduct{devauthority.Cancel, devauthority.NoIdentity, devauthority.Garbage} {
		updated := s.Updated()
		a.SetConduct(conduct)
		log.wait(t, outageBegan)
		if err := s.Ready(); err != nil {
			t.Errorf("conduct %v: %v", conduct, err)
		}
		a.Rotate() // unseen for now, so that one update follows
		a.SetConduct(devauthority.Answer)
		waitUpdated(t, updated)
	}
}

func TestSourceKeepsTheLastSVIDWhenSentABadOne(t *testing.T) {
	a := newAuthority(t)
	_, addr := serve(t, a)
	log := make(outages, 64)
	s := newSource(t, addr, log.option())
	before := must[*x509svid.SVID](t)(s.GetX509SVID())
	for name, flaw := range map[string]devauthority.Flaw{
		"CA":           devauthority.CA(),
		"root path":    devauthority.Claiming(domain.ID()),
		"two URI SANs": devauthority.URISANs(orders.String(), gateway.String()),
		"no URI SAN":   devauthority.URISANs(),
		"key usage":    devauthority.KeyUsage(0),
		"no SPIFFE ID": devauthority.URISANs("https://shop.test/orders"),
	} {
		a.Misissue(orders, flaw)
		log.wait(t, outageBegan)
		if got, err := s.GetX509SVID(); err != nil || got != before {
			t.Errorf("%s: %v, want the last SVID", name, err)
		}
		updated := s.Updated()
		a.Misissue(orders)
		waitUpdated(t, updated)
		before = must[*x509svid.SVID](t)(s.GetX509SVID())
	}
}

func TestSourceNeverReturnsAnSVIDOutOfItsTime(t *testing.T) {
	a := newAuthority(t, devauthority.WithSVIDLifetime(time.Hour))
	_, addr := serve(t, a)
	var c clock
	s := newSource(t, addr, spiffecreds.WithClock(c.Now))
	for _, tt := range []struct {
		move time.Duration
		want error
	}{
		{0, nil},
		{2 * time.Hour, spiffecreds.ErrSVIDExpired},
		{-4 * time.Hour, spiffecreds.ErrSVIDNotYetValid},
		{2 * time.Hour, nil},
	} {
		c.Advance(tt.move)
		svid, err := s.GetX509SVID()
		if !errors.Is(err, tt.want) || (svid == nil) != (tt.want != nil) {
			t.Errorf("GetX509SVID = %v, %v, want error %v", svid, err, tt.want)
		}
		if err := s.Ready(); !errors.Is(err, tt.want) {
			t.Errorf("Ready = %v, want %v", err, tt.want)
		}
		if id, err := s.ID(); err != nil || id != orders {
			t.Errorf("ID = %v, %v", id, err)
		}
	}
}

func TestSourceStartsWithAnExpiredSVIDUnready(t *testing.T) {
	a := newAuthority(t)
	past := time.Now().Add(-time.Minute)
	a.Misissue(orders, devauthority.Valid(past.Add(-time.Hour), past))
	_, addr := serve(t, a)
	s := newSource(t, addr)
	if err := s.Ready(); !errors.Is(err, spiffecreds.ErrSVIDExpired) {
		t.Errorf("Ready = %v", err)
	}
	updated := s.Updated()
	a.Misissue(orders)
	waitUpdated(t, updated)
	if err := s.Ready(); err != nil {
		t.Errorf("Ready = %v", err)
	}
}

func TestSourceIsUnreadyWithoutItsOwnBundle(t *testing.T) {
	a := newAuthority(t)
	a.SetConduct(devauthority.NoBundle)
	_, addr := serve(t, a)
	s := newSource(t, addr)
	if err := s.Ready(); !errors.Is(err, spiffecreds.ErrEmptyBundle) {
		t.Errorf("Ready = %v, want %v", err, spiffecreds.ErrEmptyBundle)
	}
	updated := s.Updated()
	a.SetConduct(devauthority.Answer)
	waitUpdated(t, updated)
	if err := s.Ready(); err != nil {
		t.Errorf("Ready = %v", err)
	}
}

func TestClosedSource(t *testing.T) {
	a := newAuthority(t)
	_, addr := serve(t, a)
	s := newSource(t, addr)
	updated := s.Updated()
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	waitUpdated(t, updated)
	waitUpdated(t, s.Updated())
	_, errSVID := s.GetX509SVID()
	_, errBundle := s.GetX509BundleForTrustDomain(domain)
	_, errID := s.ID()
	for _, err := range []error{errSVID, errBundle, errID, s.Ready()} {
		if !errors.Is(err, spiffecreds.ErrSourceClosed) {
			t.Errorf("error %v, want %v", err, spiffecreds.ErrSourceClosed)
		}
	}
}
