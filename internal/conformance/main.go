// Command conformance reports which of the project's requirements (docs/conformance.csv)
// have a test. A test says what it covers in its comment, directly above the function:
//
//	// Covers VER-03, VER-04.
//	func TestVerifyRefusesOtherAudiences(t *testing.T) {
//
// A test with the build tag integration covers nothing alone: not every test run has it.
//
// It prints each section's count and fails when a requirement whose milestone is closed
// (docs/milestones.csv) has no test, or when a test names what does not exist.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "root directory of the repository")
	rows := flag.Bool("rows", false, "also print every requirement with its tests")
	flag.Parse()
	if err := run(os.Stdout, *root, *rows); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run reports on the repository at root. Its error lists everything that is wrong.
func run(out io.Writer, root string, rows bool) error {
	milestones, err := readMilestones(filepath.Join(root, "docs", "milestones.csv"))
	if err != nil {
		return err
	}
	requirements, err := readRequirements(filepath.Join(root, "docs", "conformance.csv"), milestones)
	if err != nil {
		return err
	}
	tests, errTests := findCovers(root)
	coverage, errMatch := match(requirements, tests)
	if rows {
		writeRows(out, requirements, coverage)
	}
	writeSections(out, requirements, coverage)
	writeMilestones(out, requirements, milestones, coverage)
	return errors.Join(errTests, errMatch, missing(requirements, milestones, coverage))
}
