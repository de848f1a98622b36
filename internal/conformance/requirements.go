package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// A requirement is one row of docs/conformance.csv.
type requirement struct {
	id, level, source, statement, milestone string
}

// section is the part of the id before its number: VER of VER-03.
func (r requirement) section() string {
	section, _, _ := strings.Cut(r.id, "-")
	return section
}

// A milestone is one row of docs/milestones.csv: a stage of the project that is closed when
// all its requirements hold.
type milestone struct {
	name   string
	closed bool
}

var (
	requirementColumns = []string{"id", "level", "source", "statement", "milestone"}
	milestoneColumns   = []string{"milestone", "status", "subject"}
	requirementID      = regexp.MustCompile(`^[A-Z]+-[A-Z]?[0-9]+$`)
)

func readMilestones(path string) ([]milestone, error) {
	records, err := readCSV(path, milestoneColumns)
	if err != nil {
		return nil, err
	}
	var milestones []milestone
	var errs []error
	for _, record := range records {
		m := milestone{name: record[0], closed: record[1] == "closed"}
		if !m.closed && record[1] != "open" {
			errs = append(errs, fmt.Errorf("%s: milestone %s is %q, want open or closed", path, m.name, record[1]))
		}
		if hasMilestone(milestones, m.name) {
			errs = append(errs, fmt.Errorf("%s: milestone %s is there twice", path, m.name))
		}
		milestones = append(milestones, m)
	}
	return milestones, errors.Join(errs...)
}

func readRequirements(path string, milestones []milestone) ([]requirement, error) {
	records, err := readCSV(path, requirementColumns)
	if err != nil {
		return nil, err
	}
	var requirements []requirement
	var errs []error
	seen := make(map[string]bool)
	for _, record := range records {
		r := requirement{id: record[0], level: record[1], source: record[2], statement: record[3], milestone: record[4]}
		if !requirementID.MatchString(r.id) {
			errs = append(errs, fmt.Errorf("%s: %q is not the id of a requirement", path, r.id))
		}
		if seen[r.id] {
			errs = append(errs, fmt.Errorf("%s: %s is there twice", path, r.id))
		}
		if !hasMilestone(milestones, r.milestone) {
			errs = append(errs, fmt.Errorf("%s: %s has the unknown milestone %q", path, r.id, r.milestone))
		}
		seen[r.id] = true
		requirements = append(requirements, r)
	}
	return requirements, errors.Join(errs...)
}

// readCSV returns the rows under the given header, none of them empty in any column.
func readCSV(path string, columns []string) ([][]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(records) < 2 || !slices.Equal(records[0], columns) {
		return nil, fmt.Errorf("%s: want the columns %s and at least one row", path, strings.Join(columns, ","))
	}
	for i, record := range records[1:] {
		if empty := slices.Index(record, ""); empty >= 0 {
			return nil, fmt.Errorf("%s: row %d has no %s", path, i+1, columns[empty])
		}
	}
	return records[1:], nil
}

func hasMilestone(milestones []milestone, name string) bool {
	return slices.ContainsFunc(milestones, func(m milestone) bool { return m.name == name })
}
