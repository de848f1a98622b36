package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// keyStream is the server's end of a WatchKeys call.
type keyStream struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // a stream has one
	fail error

	mu   sync.Mutex
	sent []*tratv1.WatchKeysResponse
}

func (s *keyStream) Context() context.Context { return s.ctx }

func (s *keyStream) Send(r *tratv1.WatchKeysResponse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, r)
	return s.fail
}

func (s *keyStream) versions() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var versions []uint64
	for _, r := range s.sent {
		versions = append(versions, r.GetVersion())
	}
	return versions
}

// changingKeys has a new set, a version later, whenever change is called.
type changingKeys struct {
	mu      sync.Mutex
	version uint64
	changed chan struct{}
}

func (*changingKeys) Signer() (*trat.Signer, error) { return nil, trat.ReasonKeysUnavailable }

func (k *changingKeys) Snapshot() ([]byte, uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return fmt.Appendf(nil, `{"keys":[],"n":%d}`, k.version), k.version
}

func (k *changingKeys) Changed() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

func (k *changingKeys) change() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.version++
	close(k.changed)
	k.changed = make(chan struct{})
}

// watching is a WatchKeys call in the background.
type watching struct {
	keyStream
	cancel context.CancelFunc
	done   chan error
}

func watch(ctx context.Context, f *fixture) *watching {
	w := &watching{done: make(chan error, 1)}
	w.ctx, w.cancel = context.WithCancel(ctx)
	go func() { w.done <- f.Server.WatchKeys(&tratv1.WatchKeysRequest{}, w) }() //nolint:contextcheck // it is in w
	synctest.Wait()
	return w
}

// end is the client's.
func (w *watching) end(t *testing.T) {
	t.Helper()
	w.cancel()
	if err := <-w.done; status.Code(err) != codes.Canceled {
		t.Errorf("ended with %v", err)
	}
}

func TestWatchersGetTheSetAtOnceOnChangeAndEvery30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := &changingKeys{version: 7, changed: make(chan struct{})}
		f := newFixture(t, func(c *server.Config) { c.Keys = set })
		w := watch(f.as(t, stranger), f) // any workload of the trust domain
		if diff := cmp.Diff([]uint64{7}, w.versions()); diff != "" {
			t.Fatalf("at once (-want +got):\n%s", diff)
		}
		first := w.sent[0]
		if first.GetIssuer() != issuer || first.GetJwks() != `{"keys":[],"n":7}` || first.GetMaxAge().AsDuration() != 10*time.Minute {
			t.Errorf("message %v", first)
		}
		set.change()
		synctest.Wait()
		if diff := cmp.Diff([]uint64{7, 8}, w.versions()); diff != "" {
			t.Fatalf("after a change (-want +got):\n%s", diff)
		}
		time.Sleep(30*time.Second - time.Nanosecond) // in the bubble's time
		synctest.Wait()
		if diff := cmp.Diff([]uint64{7, 8}, w.versions()); diff != "" {
			t.Fatalf("before 30 s (-want +got):\n%s", diff)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if diff := cmp.Diff([]uint64{7, 8, 8}, w.versions()); diff != "" {
			t.Fatalf("after 30 s (-want +got):\n%s", diff)
		}
		w.end(t)
	})
}

func TestWatchersEndWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		w := watch(f.as(t, gateway), f)
		f.Server.Close()
		f.Server.Close()
		if err := <-w.done; err != nil {
			t.Errorf("ended with %v", err)
		}
		if _, err := f.Server.Exchange(f.as(t, gateway), goodRequest()); err != nil {
			t.Errorf("Exchange after Close: %v", err)
		}
	})
}

func TestWatcherEndsWithItsSVID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		w := watch(f.as(t, gateway), f)
		f.Clock.Advance(devauthority.DefaultSVIDLifetime + time.Second)
		err := <-w.done
		wantReason(t, err, trat.ReasonPeerSVIDExpired)
		if n := len(w.versions()); n != 1 {
			t.Errorf("%d sets were sent, want 1", n)
		}
	})
}

func TestWatcherThatCannotBeReachedEnds(t *testing.T) {
	f := newFixture(t)
	gone := errors.New("transport is closing")
	stream := &keyStream{ctx: f.as(t, gateway), fail: gone}
	if err := f.Server.WatchKeys(&tratv1.WatchKeysRequest{}, stream); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

// Covers ERR-09.
func TestWatchersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *server.Config) { c.MaxWatchers = 1 })
		first := watch(f.as(t, gateway), f)
		err := <-watch(f.as(t, gateway), f).done
		wantReason(t, err, trat.ReasonRateLimited)
		if !hasRetry(err) {
			t.Error("no RetryInfo")
		}
		first.end(t)
		third := watch(f.as(t, gateway), f)
		if len(third.versions()) != 1 {
			t.Error("a watcher that ended still counts")
		}
		third.end(t)
	})
}

// A workload that gets no keys refuses every token once its set is stale.
func TestOneWorkloadCannotTakeAllTheWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *server.Config) { c.MaxWatchers = 8 })
		var open []*watching
		for range 4 {
			open = append(open, watch(f.as(t, stranger), f))
		}
		for range 8 {
			wantReason(t, <-watch(f.as(t, stranger), f).done, trat.ReasonRateLimited)
		}
		for range 2 {
			w := watch(f.as(t, gateway), f)
			if len(w.versions()) != 1 {
				t.Fatal("another workload gets no keys")
			}
			open = append(open, w)
		}
		end := func() {
			for _, w := range open {
				w.end(t)
			}
			open = nil
		}
		end()
		for range 4 {
			w := watch(f.as(t, stranger), f)
			if len(w.versions()) != 1 {
				t.Fatal("watches that ended still count")
			}
			open = append(open, w)
		}
		end()
	})
}

// Covers ERR-03, ERR-12.
func TestOnlyWorkloadsOfTheTrustDomainMayWatch(t *testing.T) {
	f := newFixture(t)
	err := f.Server.WatchKeys(&tratv1.WatchKeysRequest{}, &keyStream{ctx: t.Context()})
	wantReason(t, err, trat.ReasonClientUnauthenticated)

	foreign, err := devauthority.New(spiffeid.RequireTrustDomainFromString("other.test"), devauthority.WithClock(f.Clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = foreign.Close() })
	if err := errors.Join(f.Authority.Federate(foreign.Bundle()), foreign.Federate(f.Authority.Bundle())); err != nil {
		t.Fatal(err)
	}
	ctx := servertest.PeerContext(t, f.Authority, foreign, spiffeid.RequireFromString("spiffe://other.test/gateway"), f.Clock)
	wantReason(t, f.Server.WatchKeys(&tratv1.WatchKeysRequest{}, &keyStream{ctx: ctx}), trat.ReasonPeerDenied)
}

// Graceful stop waits for open calls, so that a watcher would hold it up for ever.
func TestGracefulStopIsNotHeldUpByWatchers(t *testing.T) {
	f := newFixture(t)
	source := f.Authority.Source(tts)
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(trustDomain), spiffecreds.WithClock(f.Clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.Creds(creds))
	f.Server.Register(g)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Serve(listener) })
	stream, err := f.dial(t, listener.Addr().String(), gateway).WatchKeys(t.Context(), &tratv1.WatchKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	f.Server.Close()
	g.GracefulStop()
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the client sees %v, want the end of the stream", err)
	}
	wg.Wait()
}
