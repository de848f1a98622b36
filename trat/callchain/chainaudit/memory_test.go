package chainaudit_test

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// hopsOf is how many calls order makes.
const hopsOf = 7

// recorded writes the logs of that many hops.
func recorded(tb testing.TB, hops int) []string {
	tb.Helper()
	w := chaintest.New(tb, nil)
	for _, name := range []string{"gateway", "orders", "stock", "payments", "ledger"} {
		w.Workload(name)
	}
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range hops / hopsOf / 2 {
				order(w)
				w.EditSpans(func([]chaintest.Span) []chaintest.Span { return nil })
			}
		})
	}
	group.Wait()
	return w.Close()
}

// peakHeap runs f and returns the most that the heap had meanwhile, in bytes, above what it
// had before.
func peakHeap(f func()) uint64 {
	const name = "/memory/classes/heap/objects:bytes"
	sample := []metrics.Sample{{Name: name}}
	read := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before, peak := read(), uint64(0)
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, read())
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	f()
	close(done)
	watcher.Wait()
	return peak - min(peak, before)
}

// Four times as many hops take no more memory, when more than fits must go to disk.
func TestMemoryIsThatOfAPartOfTheInputs(t *testing.T) {
	// What is measured is to be what is held, and not what was not collected yet.
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	peak := func(hops int) uint64 {
		logs := recorded(t, hops)
		return peakHeap(func() {
			r := run(t, chainaudit.Input{Logs: logs}, chainaudit.Options{Memory: 1 << 20, Keep: -1})
			if r.Counts.Hops != int64(hops) || !r.Clean() {
				t.Errorf("counts %+v", r.Counts)
			}
		})
	}
	few, many := peak(hopsOf*200), peak(hopsOf*800)
	t.Logf("%d hops: %.1f MiB; %d hops: %.1f MiB", hopsOf*200, mebi(few), hopsOf*800, mebi(many))
	if many > few+few/2+4<<20 {
		t.Errorf("peak heap %.1f MiB for four times what took %.1f MiB", mebi(many), mebi(few))
	}
}

func mebi(n uint64) float64 { return float64(n) / (1 << 20) }

func BenchmarkAudit(b *testing.B) {
	const hops = hopsOf * 1400
	logs := recorded(b, hops)
	peak := uint64(0)
	b.ResetTimer()
	for range b.N {
		peak = max(peak, peakHeap(func() {
			if _, err := chainaudit.Run(b.Context(), chainaudit.Input{Logs: logs}, chainaudit.Options{Keep: -1}); err != nil {
				b.Fatal(err)
			}
		}))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/hops, "us/hop")
	b.ReportMetric(mebi(peak), "MiB-peak")
}
