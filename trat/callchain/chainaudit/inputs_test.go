package chainaudit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

func TestRotatedFilesAreOneLogInAnyOrder(t *testing.T) {
	w := chaintest.New(t, func(c *chainlog.FileConfig) { c.MaxSize = 10_000 })
	for i := range 60 {
		if i%20 == 19 { // what was written in one go is in one file
			w.Restart("orders")
		}
		w.Begin("gateway").Call("orders", create)
		w.Advance(time.Millisecond)
	}
	w.Workload("orders")
	r := audit(t, w)
	wantClean(t, r)
	files, err := chainlog.Files(w.LogPath("orders"))
	if err != nil || len(files) < 3 {
		t.Fatalf("files %q, %v", files, err)
	}
	slices.Reverse(files)
	r = run(t, chainaudit.Input{Logs: append(files, files[0])}, chainaudit.Options{})
	wantClean(t, r)
	if len(r.Logs) != 1 || r.Counts.Records != 60 || r.Counts.Transactions != 60 {
		t.Errorf("logs %+v, counts %+v", r.Logs, r.Counts)
	}
	r = run(t, chainaudit.Input{Logs: files[1:2]}, chainaudit.Options{})
	wantFinding(t, r, chainaudit.KindLogCut, chainaudit.SeverityWarning, "what came before is not there")
	copied := filepath.Join(t.TempDir(), "copy")
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, chainaudit.Input{Logs: append(files, copied)}, chainaudit.Options{}); r.Counts.Records != 60 || r.Kinds[chainaudit.KindAcceptedTwice] > 0 {
		t.Errorf("with a copy: %+v, %v", r.Counts, r.Kinds)
	}
}

func run(t testing.TB, in chainaudit.Input, o chainaudit.Options) *chainaudit.Report {
	t.Helper()
	r, err := chainaudit.Run(t.Context(), in, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// However little memory there is, and however many partitions that takes, the result is the
// same.
func TestResultDoesNotDependOnMemory(t *testing.T) {
	w := chaintest.New(t, nil)
	for range 20 {
		order(w)
		w.Begin("gateway").Call("orders", create).Call("payments", charge, twice)
	}
	in := chainaudit.Input{Logs: w.Close(), Traces: []string{w.WriteTraces()}, Issued: []string{w.WriteIssued()}}
	each := func(o chainaudit.Options) (r *chainaudit.Report, seen []*chainaudit.Transaction) {
		o.Each = func(t *chainaudit.Transaction) error {
			seen = append(seen, t)
			return nil
		}
		r = run(t, in, o)
		slices.SortFunc(seen, func(a, b *chainaudit.Transaction) int { return a.Start.Compare(b.Start) })
		return r, seen
	}
	ignore := cmpopts.IgnoreUnexported(chainaudit.Hop{})
	one, all := each(chainaudit.Options{Keep: 10})
	many, again := each(chainaudit.Options{Keep: 10, Memory: 1 << 10, Workers: 1})
	if diff := cmp.Diff(one, many, ignore); diff != "" {
		t.Errorf("report:\n%s", diff)
	}
	if diff := cmp.Diff(all, again, ignore); diff != "" || len(all) != 40 {
		t.Errorf("%d transactions:\n%s", len(all), diff)
	}
	if len(one.Transactions) != 10 || one.Transactions[9].Worst() != chainaudit.SeverityAlarm || one.Kinds[chainaudit.KindAcceptedTwice] != 20 {
		t.Errorf("%d kept, %v", len(one.Transactions), one.Kinds)
	}
	if r := run(t, in, chainaudit.Options{Keep: -1}); len(r.Transactions) != 0 {
		t.Errorf("%d kept", len(r.Transactions))
	}
}

func TestDamagedInputsAreReported(t *testing.T) {
	w := chaintest.New(t, nil)
	order(w)
	logs := w.Close()
	traces, tokens := w.WriteTraces(), w.WriteIssued()
	for _, path := range []string{traces, tokens, logs[0]} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, "something\n{}\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, chainaudit.Input{Logs: logs, Traces: []string{traces}, Issued: []string{tokens}}, chainaudit.Options{})
	wantFinding(t, r, chainaudit.KindInputUnreadable, chainaudit.SeverityWarning, "spans")
	wantFinding(t, r, chainaudit.KindInputUnreadable, chainaudit.SeverityWarning, "token service")
	wantFinding(t, r, chainaudit.KindLogDamaged, chainaudit.SeverityAlarm, "not a record")
	r = run(t, chainaudit.Input{Logs: logs, Traces: []string{traces}}, chainaudit.Options{MaxFindings: 1})
	if len(r.Findings) != 1 || r.MoreFindings == 0 {
		t.Errorf("%d findings and %d more", len(r.Findings), r.MoreFindings)
	}
}

func TestKeyedLogs(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	w := chaintest.New(t, func(c *chainlog.FileConfig) { c.Key = key })
	order(w)
	withKey := func(in *chainaudit.Input, _ *chainaudit.Options) { in.Key = key }
	wantClean(t, audit(t, w, withKey))
	r := run(t, chainaudit.Input{Logs: []string{w.LogPath("orders")}}, chainaudit.Options{})
	wantFinding(t, r, chainaudit.KindLogDamaged, chainaudit.SeverityAlarm, "with a key")
}

func TestAuthorityThatOneLogAloneTrustsIsReported(t *testing.T) {
	w := chaintest.New(t, nil)
	orders := w.Begin("gateway").Call("orders", create)
	orders.Call("payments", charge)
	w.Restart("orders")
	w.Restart("payments")
	w.Rotate()
	w.Begin("gateway").Call("orders", create)
	w.Restart("orders")
	w.Advance(time.Hour)
	bad := orders.Record
	bad.Server, bad.Time, bad.Chain, bad.Result, bad.Reason = w.ID("payments"), w.Now(), nil, "missing", "CHAIN_MISSING"
	w.Write("payments", bad)
	w.Close()
	lines := w.Lines("payments")
	last := lineOf(t, lines, "txn_chain.audit.bundle", 1)
	w.Rechain("payments", slices.Delete(lines, last, last+1))
	r := audit(t, w)
	wantFinding(t, r, chainaudit.KindBundleDisputed, chainaudit.SeverityWarning, "spiffe://shop.test/payments never did")
}

func TestRunRefuses(t *testing.T) {
	_, err := chainaudit.Run(t.Context(), chainaudit.Input{}, chainaudit.Options{MaxFindings: -1, Workers: -1, Memory: -1})
	for _, want := range []string{"Logs is required", "MaxFindings", "Workers", "Memory"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	w := chaintest.New(t, nil)
	order(w)
	logs := w.Close()
	absent := filepath.Join(t.TempDir(), "absent")
	for name, in := range map[string]chainaudit.Input{
		"a log": {Logs: []string{absent}}, "traces": {Logs: logs, Traces: []string{absent}}, "issued": {Logs: logs, Issued: []string{absent}},
	} {
		if _, err := chainaudit.Run(t.Context(), in, chainaudit.Options{}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	enough := errors.New("enough")
	if _, err := chainaudit.Run(t.Context(), chainaudit.Input{Logs: logs}, chainaudit.Options{
		Each: func(*chainaudit.Transaction) error { return enough },
	}); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	temp := t.TempDir()
	if _, err := chainaudit.Run(ctx, chainaudit.Input{Logs: logs}, chainaudit.Options{TempDir: temp}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOneTransactionAloneIsJudgedAndCounted(t *testing.T) {
	w := chaintest.New(t, nil)
	order(w)
	one := w.Begin("gateway").Call("orders", create)
	one.Call("payments", charge, refused(trat.ReasonChainReplayed))
	bad := w.Begin("gateway").Call("orders", create)
	forged(w, bad, chaintest.Forgery{By: "stock", Depth: 5, Parent: one.Chain.Last().Hash()})
	in := chainaudit.Input{Logs: w.Close(), Traces: []string{w.WriteTraces()}, Issued: []string{w.WriteIssued()}}
	if run(t, in, chainaudit.Options{}).Clean() {
		t.Fatal("the other transaction is in order")
	}
	var each []string
	only := func(id string) chainaudit.Options {
		return chainaudit.Options{ // in many partitions
			Transaction: id, Memory: 1, Each: func(t *chainaudit.Transaction) error { each = append(each, t.ID); return nil },
		}
	}
	id := one.Token.TransactionID()
	r := run(t, in, only(id))
	want := chainaudit.Counts{
		Records: 2, Accepted: 1, Refused: 1, Transactions: 1, CleanTransactions: 1, NotedTransactions: 1, Hops: 2, Proved: 2, Spans: 5, Issued: 1, Infos: 1,
	}
	if diff := cmp.Diff(want, r.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if !r.Clean() || len(r.Transactions) != 1 || r.Transactions[0].ID != id || !slices.Equal(each, []string{id}) || len(r.Kinds) != 1 {
		t.Errorf("transactions %v, kinds %v", each, r.Kinds)
	}
	each = nil
	if r := run(t, in, only("absent")); r.Counts != (chainaudit.Counts{}) || len(r.Transactions) != 0 || each != nil {
		t.Errorf("of a transaction that is not there: %+v, %v", r.Counts, each)
	}
}
