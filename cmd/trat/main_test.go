package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var flagInUsage = regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)`)

// commands are all that do something, by their paths.
func commands(t *testing.T) map[string]*cobra.Command {
	t.Helper()
	found := make(map[string]*cobra.Command)
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
			// A group that does nothing itself has no results.
			if !sub.HasSubCommands() || sub.Flags().Lookup("output") != nil {
				found[sub.CommandPath()] = sub
			}
		}
	}
	walk(newRoot())
	if len(found) == 0 {
		t.Fatal("no commands")
	}
	return found
}

func TestEveryCommandAndFlagIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]string)
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		sections[name] = body
	}
	all := commands(t)
	for name, cmd := range all {
		body, ok := sections[name]
		if !ok {
			t.Errorf("docs/cli.md has no section %q", name)
		}
		for _, found := range flagInUsage.FindAllStringSubmatch(cmd.LocalFlags().FlagUsages(), -1) {
			if !strings.Contains(body, "`"+found[1]+"`") {
				t.Errorf("docs/cli.md, %s: no %s", name, found[1])
			}
		}
		if cmd.Short == "" || cmd.Args == nil {
			t.Errorf("%s has no help, or takes any arguments", name)
		}
	}
	for name := range sections {
		if _, ok := all[name]; strings.HasPrefix(name, "trat ") && !ok {
			t.Errorf("docs/cli.md has a section %q, which is no command", name)
		}
	}
}

func TestExitStatusesAreDocumentedWhereEveryCommandIs(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| 0 | done", "| 1 | failed", "| 2 | wrong use", "| 3 | the answer is no"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("docs/cli.md has no %q", want)
		}
	}
	help := runTrat(t, "")
	for _, want := range []string{"  0  done", "  1  failed", "  2  wrong use", "  3  the answer is no"} {
		help.want(t, exitDone, want, "")
	}
}

func TestResultsOfEveryCommandCanBeJSON(t *testing.T) {
	for name, cmd := range commands(t) {
		if name == "trat dev" { // which prints nothing else
			continue
		}
		if f := cmd.Flags().Lookup("output"); f == nil || f.Shorthand != "o" || f.DefValue != "text" {
			t.Errorf("%s has no --output, -o", name)
		}
	}
	runTrat(t, "", "version", "-o", "yaml").want(t, exitUse, "", "want text or json")
	var b struct{ Version, Go, Platform string }
	runTrat(t, "", "version", "-o", "json").decode(t, &b)
	if b.Version == "" || b.Go == "" || b.Platform == "" {
		t.Errorf("got %+v", b)
	}
}

func TestCompletionOffersCommandsAndValues(t *testing.T) {
	for _, tt := range []struct {
		line []string
		want string
	}{
		{[]string{"pol"}, "policy\t"},
		{[]string{"policy", ""}, "explain\t"},
		{[]string{"request", "--subject-token-type", "acc"}, "access_token"},
		{[]string{"verify", "-o", ""}, "json"},
		{[]string{"verify", "--algorithms", "E"}, "ES256"},
		{[]string{"health", "--address", ""}, ":4"}, // no files
	} {
		runTrat(t, "", append([]string{"__complete"}, tt.line...)...).want(t, exitDone, tt.want, "")
	}
	runTrat(t, "", "completion", "bash").want(t, exitDone, "__start_trat", "")
}
