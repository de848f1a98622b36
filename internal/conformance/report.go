package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// coverage holds the tests of each requirement, by its id.
type coverage map[string][]test

// has says whether the requirement has a test in the module's test run.
func (c coverage) has(r requirement) bool {
	return slices.ContainsFunc(c[r.id], func(t test) bool { return !t.integration })
}

// match joins tests to the requirements they name; its error lists the names that no
// requirement has.
func match(requirements []requirement, tests []test) (coverage, error) {
	known := make(map[string]bool, len(requirements))
	for _, r := range requirements {
		known[r.id] = true
	}
	covered := make(coverage)
	var errs []error
	for _, t := range tests {
		for _, id := range t.covers {
			if !known[id] {
				errs = append(errs, fmt.Errorf("%s: no requirement has the id %s", t.at, id))
				continue
			}
			covered[id] = append(covered[id], t)
		}
	}
	return covered, errors.Join(errs...)
}

// missing returns an error that lists the requirements of closed milestones without a test.
func missing(requirements []requirement, milestones []milestone, covered coverage) error {
	closed := make(map[string]bool)
	for _, m := range milestones {
		closed[m.name] = m.closed
	}
	var errs []error
	for _, r := range requirements {
		if closed[r.milestone] && !covered.has(r) {
			errs = append(errs, fmt.Errorf("%s has no test, but its milestone %s is closed: %s", r.id, r.milestone, r.statement))
		}
	}
	return errors.Join(errs...)
}

func writeRows(out io.Writer, requirements []requirement, covered coverage) {
	for _, r := range requirements {
		var names []string
		for _, t := range covered[r.id] {
			if t.integration {
				names = append(names, t.name+" (integration)")
			} else {
				names = append(names, t.name)
			}
		}
		if names == nil {
			names = []string{"-"}
		}
		fmt.Fprintf(out, "%-8s %-11s %s\n", r.id, r.milestone, strings.Join(names, ", "))
	}
	fmt.Fprintln(out)
}

func writeSections(out io.Writer, requirements []requirement, covered coverage) {
	var sections []string
	for _, r := range requirements {
		if len(sections) == 0 || sections[len(sections)-1] != r.section() {
			sections = append(sections, r.section())
		}
	}
	counts := countBy(requirement.section, requirements, covered)
	fmt.Fprintf(out, "%-11s covered  of\n", "section")
	for _, section := range sections {
		fmt.Fprintf(out, "%-11s %7d %3d\n", section, counts[section].covered, counts[section].all)
	}
	fmt.Fprintln(out)
}

func writeMilestones(out io.Writer, requirements []requirement, milestones []milestone, covered coverage) {
	counts := countBy(func(r requirement) string { return r.milestone }, requirements, covered)
	fmt.Fprintf(out, "%-11s covered  of  status\n", "milestone")
	for _, m := range milestones {
		status := "open"
		if m.closed {
			status = "closed"
		}
		fmt.Fprintf(out, "%-11s %7d %3d  %s\n", m.name, counts[m.name].covered, counts[m.name].all, status)
	}
}

// A count is the number of requirements of a group: all, and those that have a test.
type count struct{ all, covered int }

func countBy(groupOf func(requirement) string, requirements []requirement, covered coverage) map[string]count {
	counts := make(map[string]count)
	for _, r := range requirements {
		c := counts[groupOf(r)]
		c.all++
		if covered.has(r) {
			c.covered++
		}
		counts[groupOf(r)] = c
	}
	return counts
}
