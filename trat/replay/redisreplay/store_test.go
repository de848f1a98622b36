package redisreplay_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
	"github.com/grpc-trat/grpc-trat/trat/replay/redisreplay"
	"github.com/grpc-trat/grpc-trat/trat/replay/replaytest"
)

const owner = "spiffe://shop.test/gateway"

// Covers RTY-02, RTY-04.
func TestStoreKeepsTheContract(t *testing.T) {
	replaytest.Run(t, func(t *testing.T) (replay.Store, trat.Clock) {
		return startServer(t).newStore(t), time.Now
	})
}

// Covers RTY-03, RTY-04.
func TestOneOfManyReplicasWins(t *testing.T) {
	f := startServer(t)
	replicas := []*redisreplay.Store{f.newStore(t), f.newStore(t), f.newStore(t)}
	expiry := time.Now().Add(time.Minute)
	var (
		wg   sync.WaitGroup
		wins atomic.Int32
	)
	for i := range 99 {
		wg.Go(func() {
			fresh, err := replicas[i%len(replicas)].Mark(t.Context(), owner, "key", expiry)
			if err != nil {
				t.Errorf("Mark: %v", err)
			}
			if fresh {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	if n := wins.Load(); n != 1 {
		t.Errorf("%d of 99 marks were fresh, want 1", n)
	}
}

func TestKeysOfDifferentPrefixesDoNotMeet(t *testing.T) {
	f := startServer(t)
	for _, prefix := range []string{"orders:", "payments:"} {
		fresh, err := f.newStore(t, redisreplay.WithPrefix(prefix)).Mark(t.Context(), owner, "key", time.Now().Add(time.Minute))
		if !fresh || err != nil {
			t.Errorf("%s: Mark = %v, %v, want fresh", prefix, fresh, err)
		}
	}
	if _, err := f.Get("payments:key"); err != nil {
		t.Errorf("payments:key: %v", err)
	}
}

func TestAMarkLivesForAMarginBeyondItsExpiry(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	clock := redisreplay.WithClock(func() time.Time { return now })
	for _, tt := range []struct {
		name   string
		expiry time.Time
		opts   []redisreplay.Option
		want   time.Duration
	}{
		{name: "default", expiry: now.Add(15 * time.Second), want: 75 * time.Second},
		{name: "chosen", expiry: now.Add(15 * time.Second), opts: []redisreplay.Option{redisreplay.WithMargin(5 * time.Second)}, want: 20 * time.Second},
		{name: "rounded up", expiry: now.Add(time.Nanosecond), want: time.Minute + time.Millisecond},
		{name: "without end", expiry: time.Unix(1<<40, 0), want: 100*365*24*time.Hour + time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := startServer(t)
			store := f.newStore(t, append(tt.opts, clock)...)
			if fresh, err := store.Mark(t.Context(), owner, "key", tt.expiry); !fresh || err != nil {
				t.Fatalf("Mark = %v, %v, want fresh", fresh, err)
			}
			if got := f.TTL(redisreplay.DefaultPrefix + "key"); got != tt.want {
				t.Errorf("lifetime %s, want %s", got, tt.want)
			}
			f.FastForward(tt.want)
			if fresh, err := store.Mark(t.Context(), owner, "key", now.Add(time.Second)); !fresh || err != nil {
				t.Errorf("Mark after that time = %v, %v, want fresh", fresh, err)
			}
		})
	}
}

// The answer is lost: nobody knows whether the mark was made. The caller refuses, the client
// does not ask again, and the key counts as used.
//
// Covers RTY-04.
func TestALostAnswerIsAnErrorAndNotAFreshKey(t *testing.T) {
	f := startServer(t)
	store := f.newStore(t)
	expiry := time.Now().Add(time.Minute)
	before := f.received()
	f.onSet(func(c *server.Peer, _ string, args ...string) bool {
		if err := f.Set(args[0], ""); err != nil {
			t.Error(err)
		}
		c.Close()
		return true
	})
	if fresh, err := store.Mark(t.Context(), owner, "key", expiry); fresh || err == nil {
		t.Errorf("Mark = %v, %v, want an error", fresh, err)
	}
	if n := f.received() - before; n != 1 {
		t.Errorf("sent %d times, want once", n)
	}
	f.onSet(nil)
	if fresh, err := store.Mark(t.Context(), owner, "key", expiry); fresh || err != nil {
		t.Errorf("Mark after that = %v, %v, want seen", fresh, err)
	}
}

func TestAServerThatCannotAnswerIsAnError(t *testing.T) {
	answer := func(text string) server.Hook {
		return func(c *server.Peer, _ string, _ ...string) bool { c.WriteError(text); return true }
	}
	inline := func(text string) server.Hook {
		return func(c *server.Peer, _ string, _ ...string) bool { c.WriteInline(text); return true }
	}
	for _, tt := range []struct {
		name string
		hook server.Hook
		want error // nil: any
	}{
		{name: "full", hook: answer("OOM command not allowed when used memory > 'maxmemory'."), want: replay.ErrFull},
		{name: "replica", hook: answer("READONLY You can't write against a read only replica.")},
		{name: "loading", hook: answer("LOADING Redis is loading the dataset in memory")},
		{name: "no permission", hook: answer("NOPERM this user has no permissions")},
		{name: "nonsense", hook: inline("QUEUED")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := startServer(t)
			store := f.newStore(t)
			f.onSet(tt.hook)
			fresh, err := store.Mark(t.Context(), owner, "key", time.Now().Add(time.Minute))
			if fresh || err == nil || !errors.Is(err, tt.want) && tt.want != nil {
				t.Errorf("Mark = %v, %v, want an error %v", fresh, err, tt.want)
			}
		})
	}
}

func TestASlowServerIsAnErrorInTime(t *testing.T) {
	f := startServer(t)
	store := f.newStore(t, redisreplay.WithTimeout(time.Second))
	release := make(chan struct{})
	f.onSet(func(*server.Peer, string, ...string) bool {
		<-release
		return false
	})
	defer close(release)
	fresh, err := store.Mark(t.Context(), owner, "key", time.Now().Add(time.Minute))
	if fresh || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Mark = %v, %v, want a timeout", fresh, err)
	}
}

// Covers RTY-09.
func TestNothingIsFreshWhileTheServerIsAway(t *testing.T) {
	f := startServer(t)
	store := f.newStore(t)
	expiry := time.Now().Add(time.Minute)
	if fresh, err := store.Mark(t.Context(), owner, "key", expiry); !fresh || err != nil {
		t.Fatalf("Mark = %v, %v, want fresh", fresh, err)
	}
	f.Close()
	for _, key := range []string{"key", "another"} {
		if fresh, err := store.Mark(t.Context(), owner, key, expiry); fresh || err == nil {
			t.Errorf("Mark of %q = %v, %v, want an error", key, fresh, err)
		}
	}
	if err := f.Restart(); err != nil {
		t.Fatal(err)
	}
	if fresh, err := store.Mark(t.Context(), owner, "key", expiry); fresh || err != nil {
		t.Errorf("Mark when it is back = %v, %v, want seen", fresh, err)
	}
}
