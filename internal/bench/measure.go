package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// The machine is shared and its speed changes from second to second. So: CPU time of
// the process instead of wall time; subjects that are compared take turns within each
// round, in random order, because who goes before leaves the heap, the size of new stacks
// and the caches to who comes after; a ratio is the median of the ratios of the rounds.

// subject is something to measure. do is called with the number of the call.
type subject struct {
	name string
	do   func(i int) error
}

// timings are a subject's costs per call, one per round.
type timings []time.Duration

// median returns the median cost.
func (t timings) median() time.Duration {
	sorted := slices.Sorted(slices.Values(t))
	return sorted[len(sorted)/2]
}

// over returns the median of the rounds' ratios to other, which was measured in the
// same rounds.
func (t timings) over(other timings) float64 {
	ratios := make([]float64, len(t))
	for i := range t {
		ratios[i] = float64(t[i]) / float64(other[i])
	}
	return middle(ratios)
}

// compare measures the subjects in turns of the given length.
func compare(rounds int, turn time.Duration, subjects ...subject) (map[string]timings, error) {
	calls := make([]int, len(subjects))
	for i, s := range subjects {
		n, err := calibrate(s, turn)
		if err != nil {
			return nil, err
		}
		calls[i] = n
	}
	costs := make(map[string]timings, len(subjects))
	for range rounds {
		for _, at := range rand.Perm(len(subjects)) {
			cost, err := run(subjects[at], calls[at])
			if err != nil {
				return nil, err
			}
			costs[subjects[at].name] = append(costs[subjects[at].name], cost)
		}
	}
	return costs, nil
}

// calibrate returns how many calls of s take about one turn.
func calibrate(s subject, turn time.Duration) (int, error) {
	for n := 8; ; n *= 2 {
		cost, err := run(s, n)
		if err != nil {
			return 0, err
		}
		if spent := cost * time.Duration(n); spent > turn/4 {
			return max(1, int(turn/max(cost, 1))), nil
		}
	}
}

// run returns the CPU time of one call, of n.
func run(s subject, n int) (time.Duration, error) {
	// Each turn pays for the garbage that it makes and for no other's.
	runtime.GC()
	before := cpuTime()
	for i := range n {
		if err := s.do(i); err != nil {
			return 0, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return (cpuTime() - before) / time.Duration(n), nil
}

// cpuTime returns the CPU time that this process has used.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // only for arguments that are not there to be wrong
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// micros is d as microseconds.
func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
