package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Exit statuses of trat audit.
const (
	auditGood = 0
	auditBad  = 3
)

// After the attacks the audit finds these and no others. The calls that were refused are
// in the logs; the forged traceparent is not that of the span that was signed; and whoever
// signs with the keys of gateway and orders tells of calls that those never made.
var attackTraces = []string{"link without server record", "refused call", "trace mismatch"}

// auditCommand is the command line of an audit in a directory of records.
func auditCommand(extra ...string) []string {
	args := []string{"audit"}
	for _, service := range guarded {
		args = append(args, chainLog(service))
	}
	return append(append(args, "--spans", spansFile, "--issuance-log", issuanceFile), extra...)
}

// trat runs trat in a directory and returns what it prints and its exit status, which is
// that of an audit that came to its end.
func (s *shop) trat(ctx context.Context, dir string, args ...string) (stdout string, status int, err error) {
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(s.programs, "trat"), args...)
	cmd.Dir, cmd.Env = dir, append(cleanEnviron(), "TMPDIR="+s.scratch)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	// An interrupt lets it remove the page that is not complete.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTimeout
	if err = cmd.Run(); err != nil {
		exited, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exited.ExitCode() != auditBad {
			return "", 0, fmt.Errorf("trat %s: %w\n%s", strings.Join(args, " "), err, complaints.String())
		}
		status = auditBad
	}
	return out.String(), status, nil
}

// auditOrder audits the order, with the servers' own records and nothing else: what they
// wrote is complete because they have stopped. They are started again after that.
func (s *shop) auditOrder(ctx context.Context, w io.Writer, a *attacker) error {
	if err := s.closeServices(); err != nil {
		return err
	}
	dir, err := s.keepRecords("order")
	if err != nil {
		return err
	}
	args := auditCommand()
	text, status, err := s.trat(ctx, dir, args...)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe audit, offline, from what the services wrote\n  $ trat %s\n\n%s", strings.Join(args, " "), indented(text))
	if status != auditGood {
		return fmt.Errorf("the audit of the order ended with status %d", status)
	}
	fmt.Fprint(w, "\n  nothing wrong: exit status 0\n")
	if err := s.openServices(ctx); err != nil {
		return err
	}
	return a.visit()
}

// auditAll audits everything after the attacks, writes the page and says what was found,
// which must be what the attacks left.
func (s *shop) auditAll(ctx context.Context, w io.Writer) error {
	if err := s.closeServices(); err != nil {
		return err
	}
	args := auditCommand("--html", s.report, "--output", "json")
	text, status, err := s.trat(ctx, s.records, args...)
	if err != nil {
		return err
	}
	sum, err := summaryOf(text)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe audit after the attacks: exit status %d\n", status)
	fmt.Fprintf(w, "  %d transactions, %d hops, %d signatures verified\n  %s\n"+
		"  (calls without a record are those that the attacker made up, with the keys of gateway and orders)\n",
		sum.Counts.Transactions, sum.Counts.Hops, sum.Counts.Proved, sum.findings())
	if kinds := sum.kinds(); status != auditBad || !slices.Equal(kinds, attackTraces) {
		return fmt.Errorf("the audit found %q, not %q", kinds, attackTraces)
	}
	_, status, err = s.trat(ctx, s.records, auditCommand("--transaction", s.txn)...)
	if err != nil || status != auditGood {
		return errors.Join(fmt.Errorf("the audit of the order ended with status %d after the attacks", status), err)
	}
	fmt.Fprintf(w, "  the order itself: nothing wrong, as before\n  the page: %s\n", s.report)
	return nil
}

// auditTampered has someone change copies of the order's records, and the audit find it.
func (s *shop) auditTampered(ctx context.Context, w io.Writer) error {
	const row = "  %-50s %-7s %s\n"
	fmt.Fprintf(w, "\nThe order's logs, tampered with\n"+row, "what is done to a copy", "audit", "finds")
	for i, t := range tamperings() {
		dir := filepath.Join(s.scratch, fmt.Sprint("tampered-", i+1))
		if err := copyRecords(dir, filepath.Join(s.records, "order")); err != nil {
			return err
		}
		if err := t.do(dir); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		args := auditCommand("--output", "json")
		if t.withheld != "" {
			args = slices.DeleteFunc(args, func(arg string) bool { return arg == t.withheld })
		}
		text, status, err := s.trat(ctx, dir, args...)
		if err != nil {
			return err
		}
		sum, err := summaryOf(text)
		if err != nil {
			return err
		}
		if status != auditBad || !slices.Contains(sum.kinds(), t.want) {
			return fmt.Errorf("%s: the audit ended with status %d and found %q, not %q", t.name, status, sum.kinds(), t.want)
		}
		fmt.Fprintf(w, row, t.name, fmt.Sprint("exit ", status), strings.Join(sum.kinds(), ", "))
	}
	return nil
}

// summary is the last line of trat audit --output json, as far as the demo looks at it.
type summary struct {
	Type   string `json:"type"`
	Counts struct {
		Transactions int `json:"transactions"`
		Hops         int `json:"hops"`
		Proved       int `json:"proved"`
	} `json:"counts"`
	Kinds map[string]int `json:"kinds"`
}

func summaryOf(text string) (summary, error) {
	var sum summary
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &sum); err != nil || sum.Type != "summary" {
		return summary{}, errors.Join(errors.New("trat audit printed no summary"), err)
	}
	return sum, nil
}

// kinds are the kinds of findings, sorted.
func (s summary) kinds() []string { return slices.Sorted(maps.Keys(s.Kinds)) }

// findings says how many there are of each kind.
func (s summary) findings() string {
	var parts []string
	for _, kind := range s.kinds() {
		parts = append(parts, fmt.Sprintf("%s: %d", kind, s.Kinds[kind]))
	}
	return strings.Join(parts, ", ")
}

// indented moves text to the right.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString("  ")
		}
		b.WriteString(line)
	}
	return b.String()
}
