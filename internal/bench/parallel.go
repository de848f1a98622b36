package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// batch is how many calls one turn of a worker group makes at a time.
const batch = 4096

// spread is a subject that makes a batch of s's calls on a number of goroutines.
func spread(s subject, workers int) subject {
	return subject{fmt.Sprintf("%s on %d", s.name, workers), func(int) error {
		errs := make([]error, workers)
		var group sync.WaitGroup
		for w := range workers {
			group.Go(func() {
				for i := range batch / workers {
					if err := s.do(i); err != nil {
						errs[w] = err
						return
					}
				}
			})
		}
		group.Wait()
		return errors.Join(errs...)
	}}
}

// measureParallel looks for contention: what a cached verification costs more when
// every core makes them. Cores that share caches and clock slow each other down
// without any contention; SHA-256 of the same bytes, which shares nothing, shows by how
// much, and only what goes beyond that counts.
func measureParallel(rounds int) ([]row, error) {
	t, err := newTokens()
	if err != nil {
		return nil, err
	}
	if err := t.add(t.claims); err != nil {
		return nil, err
	}
	text := []byte(t.raw[0])
	cached := subject{"cached", t.verifyCached}
	hash := subject{"hash", func(int) error { sha256.Sum256(text); return nil }}
	cores := runtime.GOMAXPROCS(0)
	cached1, cachedN, hash1, hashN := spread(cached, 1), spread(cached, cores), spread(hash, 1), spread(hash, cores)
	costs, err := compare(rounds, tokenTurn, cached1, cachedN, hash1, hashN)
	if err != nil {
		return nil, err
	}
	own := costs[cachedN.name].over(costs[cached1.name])
	unavoidable := costs[hashN.name].over(costs[hash1.name])
	one, all, err := wallTimes(rounds, cached1, cachedN)
	if err != nil {
		return nil, err
	}
	return []row{
		{name: "verify cached, wall time per call, 1 core", value: micros(one) / batch, unit: " us"},
		{name: fmt.Sprintf("verify cached, wall time per call, %d cores", cores), value: micros(all) / batch, unit: " us"},
		{name: "verify cached, CPU on all cores / on 1, beyond SHA-256's", value: own / unavoidable, unit: "x", budget: 1.3},
	}, nil
}

// wallTimes returns the shortest time that one call of either subject took: the one
// least disturbed by others on the machine.
func wallTimes(rounds int, a, b subject) (shortestA, shortestB time.Duration, err error) {
	shortest := func(s subject, before time.Duration) time.Duration {
		start := time.Now()
		if e := s.do(0); e != nil {
			err = e
		}
		return min(before, time.Since(start))
	}
	shortestA, shortestB = time.Hour, time.Hour
	for range 4 * rounds {
		shortestA, shortestB = shortest(a, shortestA), shortest(b, shortestB)
	}
	return shortestA, shortestB, err
}
