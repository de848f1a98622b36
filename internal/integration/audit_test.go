//go:build integration

package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The spans of the demo go through a real Collector, and trat audit reads the file that its
// exporter writes, with the logs of the servers: the order is in order, each of its calls in
// both, and what the attacks left is found.
//
// Covers B-T5.
func TestAuditReadsWhatACollectorHasWritten(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	dir := t.TempDir()
	records := filepath.Join(dir, "records")
	runToEnd(t, demoTimeout, command{
		name: "demo", program: filepath.Join(programs, "demo"), dir: root,
		args: []string{
			"-programs", programs, "-spans-to", c.endpoint, "-records", records, "-report", filepath.Join(dir, "report.html"),
		},
	})
	own, err := os.ReadFile(filepath.Join(records, "spans.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	sent, err := parseSpans(own)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.spans(t, len(sent)); len(got) != len(sent) {
		t.Errorf("the Collector has %d spans of %d", len(got), len(sent))
	}

	order := auditedTransactions(t, filepath.Join(records, "order"))
	if len(order) != 1 {
		t.Fatalf("%d transactions in the records of the order", len(order))
	}
	// Where the attacks are recorded, too.
	order = auditedTransactions(t, records, "--spans", c.file, "--issuance-log", "tratd.jsonl", "--transaction", order[0].ID)
	if got := order[0]; got.Hops != 5 || got.Proved != 5 || len(got.Findings) > 0 {
		t.Errorf("%d hops, %d proved, findings %q; want 5, 5 and none", got.Hops, got.Proved, got.Findings)
	}
	for _, hop := range order[0].hops() {
		if hop.Client == nil || hop.Server == nil {
			t.Errorf("%s has not the spans of both sides", hop.Method)
		}
	}
	text := auditText(t, records, 3, "--spans", c.file, "--issuance-log", "tratd.jsonl")
	for _, want := range []string{"trace mismatch", "CHAIN_PEER_MISMATCH", "CHAIN_ROOT_MISMATCH"} {
		if !strings.Contains(text, want) {
			t.Errorf("the audit of everything does not say %q", want)
		}
	}
}

// auditedHop and auditedTransaction are what the test looks at in the answer of trat audit.
type auditedHop struct {
	Method   string        `json:"method"`
	Client   *struct{}     `json:"client_span"`
	Server   *struct{}     `json:"server_span"`
	Children []*auditedHop `json:"children"`
}

type auditedTransaction struct {
	ID       string        `json:"txn"`
	Hops     int           `json:"hops"`
	Proved   int           `json:"proved"`
	Roots    []*auditedHop `json:"roots"`
	Findings []struct {
		Text string `json:"text"`
	} `json:"findings"`
}

// hops are all calls of the tree.
func (t *auditedTransaction) hops() []*auditedHop {
	var all []*auditedHop
	for next := t.Roots; len(next) > 0; next = next[1:] {
		all = append(all, next[0])
		next = append(next, next[0].Children...)
	}
	return all
}

// auditedTransactions runs trat audit, which must find nothing wrong.
func auditedTransactions(t *testing.T, dir string, args ...string) []*auditedTransaction {
	t.Helper()
	var all []*auditedTransaction
	for line := range strings.Lines(auditText(t, dir, 0, append(args, "--output", "json")...)) {
		var kind struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal([]byte(line), &kind); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if kind.Type != "transaction" {
			continue
		}
		transaction := new(auditedTransaction)
		if err := json.Unmarshal([]byte(line), transaction); err != nil {
			t.Fatal(err)
		}
		all = append(all, transaction)
	}
	return all
}

// auditText runs trat audit, which must end with that status, and returns what it prints.
func auditText(t *testing.T, dir string, status int, args ...string) string {
	t.Helper()
	args = append([]string{"audit", "orders.jsonl", "payments.jsonl", "stocks.jsonl"}, args...)
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "trat"), args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("trat %q: status %d, want %d: %v\n%s%s", args, got, status, err, out, stderr.String())
	}
	return string(out)
}
