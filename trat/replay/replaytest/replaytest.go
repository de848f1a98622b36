// Package replaytest is the contract of replay.Store as a test. Every
// implementation runs it.
package replaytest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
)

// owner is on whose account the keys are.
const owner = "spiffe://shop.test/gateway"

// Run tests the stores that newStore makes. newStore returns an empty store with
// room for at least 1000 keys, and the clock that the store goes by.
func Run(t *testing.T, newStore func(t *testing.T) (replay.Store, trat.Clock)) {
	t.Helper()
	t.Run("a key is fresh once", func(t *testing.T) {
		store, clock := newStore(t)
		expiry := clock().Add(time.Minute)
		wantMark(t, store, "a", expiry, true)
		wantMark(t, store, "a", expiry, false)
		wantMark(t, store, "a", expiry.Add(time.Hour), false)
		wantMark(t, store, "b", expiry, true)
		wantMark(t, store, "a", expiry, false)
	})
	t.Run("a key is fresh to one owner only", func(t *testing.T) {
		store, clock := newStore(t)
		expiry := clock().Add(time.Minute)
		wantMark(t, store, "a", expiry, true)
		if fresh, err := store.Mark(t.Context(), "spiffe://shop.test/other", "a", expiry); fresh || err != nil {
			t.Errorf("Mark by another owner = %v, %v, want false", fresh, err)
		}
	})
	t.Run("keys are compared as bytes", func(t *testing.T) {
		store, clock := newStore(t)
		expiry := clock().Add(time.Minute)
		for _, key := range []string{"k", "K", "k ", " k", "k\x00", "k\n", "*", "k:1", strings.Repeat("k", replay.MaxKeySize)} {
			wantMark(t, store, key, expiry, true)
		}
	})
	t.Run("one of 100 concurrent marks is fresh", func(t *testing.T) {
		store, clock := newStore(t)
		expiry := clock().Add(time.Minute)
		for round := range 10 {
			wantOneWinner(t, store, fmt.Sprintf("key-%d", round), expiry)
		}
	})
	t.Run("a key of a bad size is refused", func(t *testing.T) {
		store, clock := newStore(t)
		expiry := clock().Add(time.Minute)
		wantError(t, store, "", expiry, replay.ErrKey)
		wantError(t, store, strings.Repeat("k", replay.MaxKeySize+1), expiry, replay.ErrKey)
	})
	t.Run("an expiry that has passed is refused", func(t *testing.T) {
		store, clock := newStore(t)
		wantError(t, store, "a", clock().Add(-time.Second), replay.ErrExpired)
		wantError(t, store, "a", time.Time{}, replay.ErrExpired)
		wantMark(t, store, "a", clock().Add(time.Minute), true)
	})
	t.Run("a cancelled context marks nothing", func(t *testing.T) {
		store, clock := newStore(t)
		expiry := clock().Add(time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if fresh, err := store.Mark(ctx, owner, "a", expiry); fresh || !errors.Is(err, context.Canceled) {
			t.Errorf("Mark with a cancelled context = %v, %v, want false and context.Canceled", fresh, err)
		}
		wantMark(t, store, "a", expiry, true)
	})
}

func wantMark(t *testing.T, store replay.Store, key string, expiry time.Time, want bool) {
	t.Helper()
	fresh, err := store.Mark(t.Context(), owner, key, expiry)
	if err != nil || fresh != want {
		t.Errorf("Mark(%q) = %v, %v, want %v", key, fresh, err, want)
	}
}

func wantError(t *testing.T, store replay.Store, key string, expiry time.Time, want error) {
	t.Helper()
	fresh, err := store.Mark(t.Context(), owner, key, expiry)
	if fresh || !errors.Is(err, want) {
		t.Errorf("Mark of a %d-byte key = %v, %v, want false and %v", len(key), fresh, err, want)
	}
}

func wantOneWinner(t *testing.T, store replay.Store, key string, expiry time.Time) {
	t.Helper()
	var (
		wg    sync.WaitGroup
		wins  atomic.Int32
		start = make(chan struct{})
	)
	for range 100 {
		wg.Go(func() {
			<-start
			fresh, err := store.Mark(t.Context(), owner, key, expiry)
			if err != nil {
				t.Errorf("Mark: %v", err)
			}
			if fresh {
				wins.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	if n := wins.Load(); n != 1 {
		t.Errorf("%d of 100 concurrent marks were fresh, want 1", n)
	}
}
