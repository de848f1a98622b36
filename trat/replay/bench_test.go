package replay_test

import (
	"context"
	"encoding/binary"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/replay"
)

// benchOwners is how many peers a busy service has.
const benchOwners = 32

func owners() []string {
	names := make([]string, benchOwners)
	for i := range names {
		names[i] = "spiffe://shop.test/ns/default/sa/workload-" + strconv.Itoa(i)
	}
	return names
}

// benchKey makes a key of the size that hashes have.
func benchKey(n uint64) string {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], n)
	return string(key[:])
}

// One store in the steady state: each call marks a fresh key, and what was marked
// 20 seconds before has expired; at 10,000 keys a second that makes 200,000 live ones.
func BenchmarkMemoryMark(b *testing.B) {
	var marks atomic.Uint64
	clock := func() time.Time { return start.Add(time.Duration(marks.Load()) * 100 * time.Microsecond) }
	store, err := replay.NewMemory(1<<20, clock)
	if err != nil {
		b.Fatal(err)
	}
	names := owners()
	fill := func(ctx context.Context) {
		n := marks.Add(1)
		if fresh, err := store.Mark(ctx, names[n%benchOwners], benchKey(n), clock().Add(20*time.Second)); !fresh {
			b.Errorf("Mark = false, %v", err)
		}
	}
	for range 300_000 {
		fill(b.Context())
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			fill(b.Context())
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "marks/s")
}

// How much memory a live key takes, in a store that has grown to a million of them.
func BenchmarkMemoryPerKey(b *testing.B) {
	const keys = 1_000_000
	names := owners()
	for b.Loop() {
		before := heapInUse()
		now := start
		store, err := replay.NewMemory(4*keys, func() time.Time { return now })
		if err != nil {
			b.Fatal(err)
		}
		for n := range uint64(keys) {
			now = start.Add(time.Duration(n) * 20 * time.Microsecond)
			if fresh, err := store.Mark(b.Context(), names[n%benchOwners], benchKey(n), now.Add(20*time.Second)); !fresh {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heapInUse()-before)/keys, "B/key")
		runtime.KeepAlive(store)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
