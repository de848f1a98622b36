// Program bench measures what the Speed section of the design promises and holds it
// to its budgets:
//
//	go run .              # or make bench, from the repository root
//
// It prints a table of name, value, budget and verdict, and exits with status 1 when a
// value is over its budget. A row without a budget is there to be read.
//
// It is a module of its own so that the libraries it compares with stay out of the
// product's go.mod.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
)

func main() {
	quick := flag.Bool("quick", false, "fewer rounds: a look while optimising, not a verdict")
	only := flag.String("only", "", "measure this `group` only: tokens, parallel, calls, streams, policy, exchange, load, rules, chain, chaincalls, replay, audit")
	orders := flag.String("load", "", "be the callers of a load test, as this `file` says; used by this program itself")
	audit := flag.String("audit", "", "make the audit that this `order` is about; used by this program itself")
	profile := flag.String("profile", "", "write a CPU profile of all that is measured to this `file`")
	flag.Parse()
	if *orders != "" {
		if err := runLoad(*orders); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(2)
		}
		return
	}
	if *audit != "" {
		if err := runAudit(*audit); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(2)
		}
		return
	}
	rounds := 40
	if *quick {
		rounds = 8
	}
	stop, err := startProfile(*profile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	rows, err := measureAll(rounds, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if over := printTable(os.Stdout, rows); over {
		os.Exit(1)
	}
}

// startProfile starts to profile unless path is "", and returns how to stop.
func startProfile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}, nil
}

// groups are all measurements. A new one is added here.
var groups = []struct {
	name    string
	measure func(rounds int) ([]row, error)
}{
	{"tokens", measureTokens},
	{"parallel", measureParallel},
	{"calls", measureCalls},
	{"streams", measureStreams},
	{"policy", measurePolicySize},
	{"exchange", measureExchange},
	{"load", measureExchangeLoad},
	{"rules", measureRules},
	{"chain", measureChain},
	{"chaincalls", measureChainCalls},
	{"replay", measureReplay},
	{"audit", measureAudit},
}

// measureAll runs every group of measurements, or the one named only.
func measureAll(rounds int, only string) ([]row, error) {
	var rows []row
	for _, group := range groups {
		if only != "" && only != group.name {
			continue
		}
		more, err := group.measure(rounds)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", group.name, err)
		}
		rows = append(rows, more...)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("no group %q", only)
	}
	return rows, nil
}
