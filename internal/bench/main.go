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
	"flag"
	"fmt"
	"os"
)

func main() {
	quick := flag.Bool("quick", false, "fewer rounds: a look while optimising, not a verdict")
	flag.Parse()
	rounds := 40
	if *quick {
		rounds = 8
	}
	rows, err := measureAll(rounds)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if over := printTable(os.Stdout, rows); over {
		os.Exit(1)
	}
}

// measureAll runs every group of measurements. A new one is added here.
func measureAll(rounds int) ([]row, error) {
	var rows []row
	for _, group := range []func(rounds int) ([]row, error){
		measureTokens,
		measureParallel,
		measureCalls,
		measureStreams,
	} {
		more, err := group(rounds)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}
