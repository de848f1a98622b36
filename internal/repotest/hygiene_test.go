package repotest

import (
	"regexp"
	"strings"
	"testing"
)

// Each pattern is written so that it does not find itself.
var unwanted = []struct {
	what    string
	in      *regexp.Regexp // names of files
	pattern *regexp.Regexp
}{
	{
		what:    "a path of one machine",
		in:      regexp.MustCompile(`.`),
		pattern: regexp.MustCompile(`/(work|farm|root|home|Users)/[a-z]`),
	},
	{
		what:    "the host of a package registry",
		in:      regexp.MustCompile(`.`),
		pattern: regexp.MustCompile(`(proxy|sum)\.golang\.org|registry\.npmjs\.org|pypi\.org/simple`),
	},
	{
		what:    "work that is left to do",
		in:      regexp.MustCompile(`\.(go|proto|sh)$|^Makefile$|^\.ci/`),
		pattern: regexp.MustCompile(`\b(TO[D]O|FIX[M]E|XX[X])\b`),
	},
	{
		what:    "a test that can skip itself: a promise that may go untested",
		in:      regexp.MustCompile(`_test\.go$`),
		pattern: regexp.MustCompile(`\bt\.Ski[p](f|Now)?\(`),
	},
}

func TestTrackedFilesHoldNothingUnwanted(t *testing.T) {
	for _, name := range ourFiles(t) {
		for _, u := range unwanted {
			if !u.in.MatchString(name) {
				continue
			}
			number := 0
			for line := range strings.Lines(readFile(t, name)) {
				if number++; u.pattern.MatchString(line) {
					t.Errorf("%s:%d holds %s", name, number, u.what)
				}
			}
		}
	}
}
