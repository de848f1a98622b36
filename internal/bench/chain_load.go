package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// calling is what the calls of one way cost.
type calling struct {
	cpu, p50, p99, alone []float64 // microseconds, one of each world
	perSecond            []float64
}

// chainCosts are those of calls with a chain, each ratio of one world.
type chainCosts struct {
	ways                    map[string]*calling
	overBytes, overOff      []float64
	group, largest, size    []float64
	signAndVerify, slowdown []float64
}

// loneBudget is for a call of one caller, over the call without a chain and what signing and
// verifying take by themselves. A core that waits for either falls asleep and takes its time
// to wake up; that is in it, and a wait for other links, of half a millisecond or more, is not.
const loneBudget = 1.5

// measureChainCalls measures unary calls with a call chain in head mode, when it is busy and
// when there is one caller, and paths of several workloads.
//
// It wants a quiet machine. What a signer may sign is so much per second, so that with less
// of the cores for calls fewer of them share a signature, and each costs more.
func measureChainCalls(rounds int) ([]row, error) {
	costs := chainCosts{ways: map[string]*calling{callBytes: {}, callOff: {}, callHead: {}}}
	for range max(3, rounds/4) {
		if err := costs.addWorld(); err != nil {
			return nil, err
		}
	}
	rows := costs.rows()
	more, err := measurePaths(rounds)
	return append(rows, more...), err
}

// addWorld measures in a new world.
func (c *chainCosts) addWorld() error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	world, err := newCallers(ctx)
	if err != nil {
		return err
	}
	defer world.stop()
	mean, largest, size, err := world.seen.groups()
	if err != nil {
		return err
	}
	c.group, c.largest, c.size = append(c.group, mean), append(c.largest, float64(largest)), append(c.size, size)
	if err := c.addBusy(ctx, world); err != nil {
		return err
	}
	if err := c.addLatencies(ctx, world); err != nil {
		return err
	}
	return c.addAlone(ctx, world)
}

// addBusy compares CPU time, of both ends together.
func (c *chainCosts) addBusy(ctx context.Context, world *callers) error {
	var subjects []subject
	for name := range c.ways {
		subjects = append(subjects, world.busy(name, busyEach).subject(ctx))
	}
	costs, err := compare(6, 150*time.Millisecond, subjects...)
	if err != nil {
		return err
	}
	for name, way := range c.ways {
		way.cpu = append(way.cpu, micros(costs[name].median())/(busyCallers*busyEach))
	}
	c.overBytes = append(c.overBytes, costs[callHead].over(costs[callBytes]))
	c.overOff = append(c.overOff, costs[callHead].over(costs[callOff]))
	return nil
}

// addLatencies measures how long busy callers wait, and how much gets done.
func (c *chainCosts) addLatencies(ctx context.Context, world *callers) error {
	waited, spent := make(map[string]*[]time.Duration), make(map[string]time.Duration)
	names := c.names()
	for _, name := range names {
		waited[name] = new([]time.Duration)
	}
	for round := range 4 {
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			crowd := world.busy(name, 2*busyEach)
			crowd.waited = waited[name]
			start := time.Now()
			if err := crowd.do(ctx, round); err != nil {
				return err
			}
			spent[name] += time.Since(start)
		}
	}
	for name, way := range c.ways {
		times := *waited[name]
		p50, err := percentile(times, 0.5)
		if err != nil {
			return err
		}
		p99, err := percentile(times, 0.99)
		if err != nil {
			return err
		}
		way.p50, way.p99 = append(way.p50, micros(p50)), append(way.p99, micros(p99))
		way.perSecond = append(way.perSecond, float64(len(times))/spent[name].Seconds())
	}
	return nil
}

// addAlone measures how long a call takes when there is no other, and holds that to what
// it takes without a chain, and signing and verifying.
func (c *chainCosts) addAlone(ctx context.Context, world *callers) error {
	steps, err := world.steps()
	if err != nil {
		return err
	}
	for name, call := range world.calls {
		steps[name] = func(i int) error { return call(ctx, i) }
	}
	times := make(map[string][]time.Duration)
	for turn := range 4 {
		for name, do := range steps {
			for i := range loneCalls {
				start := time.Now()
				if err := do(turn*loneCalls + i); err != nil {
					return err
				}
				times[name] = append(times[name], time.Since(start))
			}
		}
	}
	alone := make(map[string]float64)
	for name := range steps {
		p50, err := percentile(times[name], 0.5)
		if err != nil {
			return err
		}
		alone[name] = micros(p50)
	}
	for name, way := range c.ways {
		way.alone = append(way.alone, alone[name])
	}
	signAndVerify := alone[stepSign] + alone[stepVerify]
	c.signAndVerify = append(c.signAndVerify, signAndVerify)
	c.slowdown = append(c.slowdown, alone[callHead]/(alone[callOff]+signAndVerify))
	return nil
}

func (c *chainCosts) names() []string { return []string{callBytes, callOff, callHead} }

// rows are the medians over all worlds.
func (c *chainCosts) rows() []row {
	rows := []row{
		{name: "64 callers, links that share a signature, mean", value: middle(c.group)},
		{name: "64 callers, links that share a signature, most", value: slices.Max(c.largest)},
		{name: "64 callers, chain in head form on the wire", value: middle(c.size), unit: " B"},
	}
	for _, name := range c.names() {
		way, label := c.ways[name], "64 callers, "+wayLabels[name]+", "
		rows = append(rows,
			row{name: label + "CPU", value: middle(way.cpu), unit: " us"},
			row{name: label + "calls per second", value: middle(way.perSecond)},
			row{name: label + "p50", value: middle(way.p50), unit: " us"},
			row{name: label + "p99", value: middle(way.p99), unit: " us"})
	}
	rows = append(rows,
		row{name: "64 callers, head / bare with the bytes, CPU", value: middle(c.overBytes), unit: "x", budget: 1.4},
		row{name: "64 callers, head / chain off, CPU", value: middle(c.overOff), unit: "x"})
	for _, name := range c.names() {
		rows = append(rows, row{name: "one caller, " + wayLabels[name] + ", p50", value: middle(c.ways[name].alone), unit: " us"})
	}
	return append(rows,
		row{name: "one caller, sign and verify", value: middle(c.signAndVerify), unit: " us"},
		row{name: "one caller, head / chain off, sign and verify, p50", value: middle(c.slowdown), unit: "x", budget: loneBudget})
}

var wayLabels = map[string]string{callBytes: "bare with the bytes", callOff: "chain off", callHead: "head"}
