package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// row is one line of the table. Without a budget it is for information.
type row struct {
	name   string
	value  float64
	unit   string // follows value and budget: "x" for a ratio
	budget float64
	below  bool // the value must stay below the budget, not only within
}

// over reports whether the value misses the budget.
func (r row) over() bool {
	switch {
	case r.budget == 0:
		return false
	case r.below:
		return r.value >= r.budget
	}
	return r.value > r.budget
}

// printTable prints the rows and reports whether one is over its budget.
func printTable(w io.Writer, rows []row) (over bool) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "name\tvalue\tbudget\t")
	for _, r := range rows {
		budget, verdict := "-", ""
		if r.budget != 0 {
			budget, verdict = fmt.Sprintf("%.4g%s", r.budget, r.unit), "ok"
			if r.below {
				budget = "< " + budget
			}
			if r.over() {
				verdict, over = "over", true
			}
		}
		fmt.Fprintf(t, "%s\t%.3f%s\t%s\t%s\n", r.name, r.value, r.unit, budget, verdict)
	}
	if err := t.Flush(); err != nil {
		fmt.Fprintln(w, err)
		return true
	}
	return over
}
