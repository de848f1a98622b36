package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// auditOf is an auditor that finds these transactions, and remembers what it was asked.
func auditOf(asked *chainaudit.Input, transactions ...*chainaudit.Transaction) auditor {
	return func(_ context.Context, in chainaudit.Input, o chainaudit.Options) (*chainaudit.Report, error) {
		*asked = in
		r := &chainaudit.Report{BundlesFrom: chainaudit.BundlesFromLogs}
		if in.Bundles != nil {
			r.BundlesFrom = chainaudit.BundlesGiven
		}
		for _, t := range transactions {
			if o.Transaction != "" && o.Transaction != t.ID {
				continue
			}
			r.Counts.Hops++
			r.Counts.Proved++
			if err := o.Each(t); err != nil {
				return nil, err
			}
			if len(r.Transactions) < o.Keep {
				r.Transactions = append(r.Transactions, t)
			}
			r.Counts.Transactions++
			if t.Worst() > chainaudit.SeverityInfo {
				r.Counts.Alarms++
			}
		}
		return r, nil
	}
}

// runAudit runs one command line of `trat audit`.
func runAudit(t *testing.T, audit auditor, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := newAudit(audit)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(args)
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	status := exitStatus(cmd.ExecuteContext(t.Context()), &stderr)
	return outcome{status, stdout.String(), stderr.String()}
}

func goodTransaction() *chainaudit.Transaction {
	return &chainaudit.Transaction{ID: "good", KnownFrom: chainaudit.KnownFromRecords, Hops: 1, Proved: 1, Roots: []*chainaudit.Hop{{
		Link: strings.Repeat("A", 43), Caller: "spiffe://shop.test/gateway", Callee: "spiffe://shop.test/orders\x1b[2J", Method: "/shop.v1.Orders/Create",
		Proof: chainaudit.ProofSigned, Judgements: []chainaudit.Judgement{{Accepted: true, Mode: "path"}},
	}}}
}

func badTransaction() *chainaudit.Transaction {
	t := goodTransaction()
	t.ID = "bad"
	t.Findings = []chainaudit.Finding{{Kind: chainaudit.KindForgedParent, Severity: chainaudit.SeverityAlarm, Text: "It was forged.\u202e"}}
	t.Roots[0].Findings = []int{0}
	return t
}

func TestAuditExitStatusIsTheAnswer(t *testing.T) {
	var in chainaudit.Input
	runAudit(t, auditOf(&in, goodTransaction()), "a.jsonl").want(t, exitDone, "in order, if the servers trusted the right authorities: no findings", "")
	runAudit(t, auditOf(&in, goodTransaction(), badTransaction()), "a.jsonl").want(t, exitNo, "forged parent, hop 1", "alarms: 1")
	runAudit(t, auditOf(&in), "a.jsonl").want(t, exitFailed, "nothing to audit", "no record of a call")
	broken := func(context.Context, chainaudit.Input, chainaudit.Options) (*chainaudit.Report, error) {
		return nil, errors.New("a.jsonl: no such file")
	}
	runAudit(t, broken, "a.jsonl", "--html", filepath.Join(t.TempDir(), "x.html")).want(t, exitFailed, "", "no such file")
}

func TestAuditTakesFilesByName(t *testing.T) {
	var in chainaudit.Input
	runAudit(t, auditOf(&in, goodTransaction()), "a", "b", "--spans", "s1", "--spans", "s2", "--issuance-log", "i").want(t, exitDone, "", "")
	want := chainaudit.Input{Logs: []string{"a", "b"}, Traces: []string{"s1", "s2"}, Issued: []string{"i"}}
	if diff := cmp.Diff(want, in); diff != "" {
		t.Error(diff)
	}
	for _, args := range [][]string{{"-"}, {"a", "--spans", "-"}, {}, {"a", "--bundle", "bundle.pem"}, {"a", "--bundle", "=x"}, {"a", "-o", "xml"}} {
		if got := runAudit(t, auditOf(&in), args...); got.status != exitUse && (len(args) < 2 || args[1] != "-o") {
			t.Errorf("%q: status %d: %s", args, got.status, got.stderr)
		}
	}
	runTrat(t, "", "audit").want(t, exitUse, "", "takes one CHAINLOG or more")
	runTrat(t, "", "audit", "a", "--output", "xml").want(t, exitUse, "", "want text or json")
}

func TestAuditOfOneTransaction(t *testing.T) {
	var in chainaudit.Input
	audit := auditOf(&in, goodTransaction(), badTransaction())
	good := runAudit(t, audit, "a", "--transaction", "good")
	good.want(t, exitDone, "transaction good", "")
	if strings.Contains(good.stdout, "bad") {
		t.Errorf("shows another one:\n%s", good.stdout)
	}
	runAudit(t, audit, "a", "--transaction", "bad").want(t, exitNo, "1 transaction, 0 without a finding; 1 hop, 1 signature verified", "alarms: 1")
	runAudit(t, audit, "a", "--transaction", "x\x1b").want(t, exitFailed, "", "there is no transaction")

	some := runAudit(t, audit, "a", "--findings-only")
	some.want(t, exitNo, "transaction bad", "")
	if strings.Contains(some.stdout, "transaction good") {
		t.Errorf("shows one without findings:\n%s", some.stdout)
	}
}

func TestAuditPrintsJSONLinesThatMoveNoCursor(t *testing.T) {
	var in chainaudit.Input
	got := runAudit(t, auditOf(&in, goodTransaction(), badTransaction()), "a", "--output", "json")
	got.want(t, exitNo, `"type":"summary"`, "")
	if strings.ContainsAny(got.stdout, "\x1b\u202e") {
		t.Errorf("printed %q", got.stdout)
	}
	for line := range strings.Lines(got.stdout) {
		var object struct{ Type string }
		if err := json.Unmarshal([]byte(line), &object); err != nil || object.Type == "" {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestAuditPageIsThereWhenItIsComplete(t *testing.T) {
	var in chainaudit.Input
	dir := t.TempDir()
	page := filepath.Join(dir, "report.html")
	runAudit(t, auditOf(&in, badTransaction()), "a", "--html", page).want(t, exitNo, "", "the page is in "+page)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "It was forged.") {
		t.Error("the finding is not in the page")
	}
	broken := func(context.Context, chainaudit.Input, chainaudit.Options) (*chainaudit.Report, error) {
		return nil, errors.New("broken")
	}
	runAudit(t, broken, "a", "--html", filepath.Join(dir, "other.html")).want(t, exitFailed, "", "broken")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("there is more than the page: %v", entries)
	}
	unasked := func(context.Context, chainaudit.Input, chainaudit.Options) (*chainaudit.Report, error) {
		t.Error("the audit took place")
		return nil, errors.New("broken")
	}
	runAudit(t, unasked, "a", "--html", filepath.Join(dir, "absent", "x.html")).want(t, exitFailed, "", "--html: ")
}

func TestAuditReadsBundles(t *testing.T) {
	newAuthority(t, "orders")
	svids := filepath.Join(t.TempDir(), "svid")
	runTrat(t, "", "svid", "write", svids).want(t, exitDone, "", "")
	bundle := filepath.Join(svids, "bundle.pem")
	var in chainaudit.Input
	given := "shop.test=" + bundle
	believed := runAudit(t, auditOf(&in, goodTransaction()), "a")
	believed.want(t, exitDone, "in order, if the servers trusted the right authorities", "without --bundle nobody can tell")
	held := runAudit(t, auditOf(&in, goodTransaction()), "a", "--bundle", given, "--bundle", given)
	held.want(t, exitDone, "in order: no findings", "")
	if held.stderr != "" {
		t.Errorf("complains: %s", held.stderr)
	}
	got, err := in.Bundles.GetX509BundleForTrustDomain(shop)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.X509Authorities()); n != 1 {
		t.Errorf("%d authorities, want 1", n)
	}
	json := writeFile(t, "bundle.json", `{"keys":[]}`)
	for _, name := range []string{json, writeFile(t, "bundle.pem", "x"), filepath.Join(t.TempDir(), "absent")} {
		runAudit(t, auditOf(&in), "a", "--bundle", "shop.test="+name).want(t, exitFailed, "", filepath.Base(name))
	}
}

// chainLog writes the log of a server, with one call that came through these workloads.
func chainLog(t *testing.T, through []string, callee string, key []byte) string {
	t.Helper()
	domain := trattest.New(t, "shop.test")
	token := domain.Token(trattest.TransactionID("txn-1"), trattest.Requester(domain.ID(through[0]).String()))
	path := filepath.Join(t.TempDir(), callee+".jsonl")
	source := domain.Source(callee)
	log, err := chainlog.OpenFile(chainlog.FileConfig{
		Path: path, Key: key, Server: domain.ID(callee), Bundles: source, Logger: slog.New(slog.DiscardHandler), Clock: domain.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	const method = "/shop.v1.OrderService/CreateOrder"
	log.Record(t.Context(), callchain.Record{
		Time: domain.Now(), Server: domain.ID(callee), Peer: domain.ID(through[len(through)-1]), Method: method,
		Mode: callchain.ModePath, Token: token, Chain: domain.Chain(token, through, callee, method), Result: "ok",
	})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAuditOfChainLogs(t *testing.T) {
	page := filepath.Join(t.TempDir(), "report.html")
	good := runTrat(t, "", "audit", chainLog(t, []string{"gateway"}, "orders", nil), "--html", page)
	good.want(t, exitDone, "in order, if the servers trusted the right authorities: no findings\n1 transaction, 1 without a finding; 1 hop, 1 signature verified", "the page is in")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "What was recorded fits together") {
		t.Errorf("page:\n%s", text)
	}

	alone := chainLog(t, []string{"gateway", "orders"}, "payments", nil)
	runTrat(t, "", "audit", alone).want(t, exitNo, "no spans given: calls that only a withheld server knew of cannot be seen", "")
	runTrat(t, "", "audit", alone).want(t, exitNo, "WARNING  link without server record, hop 1", "warnings: 1")
	runTrat(t, "", "audit", alone, "--transaction", "txn-1").want(t, exitNo, "2 hops", "")
	changed, err := os.ReadFile(alone)
	if err != nil {
		t.Fatal(err)
	}
	changed = bytes.Replace(changed, []byte("CreateOrder"), []byte("DeleteOrder"), 1)
	runTrat(t, "", "audit", writeFile(t, "payments.jsonl", string(changed))).want(t, exitNo, "damaged log", "alarms: ")

	keyed := chainLog(t, []string{"gateway"}, "orders", []byte(chainKey))
	runTrat(t, "", "audit", keyed, "--key-file", writeFile(t, "key", chainKeyText)).want(t, exitDone, "in order", "")
	runTrat(t, "", "audit", keyed).want(t, exitNo, "damaged log", "")
	runTrat(t, "", "audit", filepath.Join(t.TempDir(), "absent")).want(t, exitFailed, "", "absent")
}
