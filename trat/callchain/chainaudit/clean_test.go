package chainaudit_test

import (
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// wantClean fails on any finding.
func wantClean(t *testing.T, r *chainaudit.Report) {
	t.Helper()
	for _, f := range all(r) {
		t.Errorf("%s: %s: %s (%s:%d)", f.Severity, f.Kind, f.Text, f.Log, f.Line)
	}
	if !r.Clean() || r.Counts.Infos != 0 || r.Counts.CleanTransactions != r.Counts.Transactions {
		t.Errorf("counts %+v", r.Counts)
	}
}

func TestTransactionInOrderHasNoFinding(t *testing.T) {
	tests := map[string]struct {
		make func(w *chaintest.World)
		hops int64
	}{
		"fan-out, diamond, retry, head mode": {func(w *chaintest.World) { order(w) }, 7},
		"two calls of the requester": {func(w *chaintest.World) {
			begin := w.Begin("gateway")
			begin.Call("orders", create)
			begin.Call("stock", reserve)
		}, 2},
		"a checkpoint": {func(w *chaintest.World) {
			orders := w.Begin("gateway").Call("orders", create)
			orders.Checkpoint().Call("payments", charge).Call("ledger", post)
		}, 3},
		"a chain of twenty hops": {func(w *chaintest.World) {
			at := w.Begin("gateway")
			for i := range 20 {
				if i > 0 && i%5 == 0 {
					at = at.Checkpoint()
				}
				at = at.Call([]string{"orders", "stock", "payments", "ledger"}[i%4], create)
			}
		}, 20},
		"without spans": {func(w *chaintest.World) {
			w.Begin("gateway").Call("orders", create, untraced).Call("stock", reserve, untraced)
		}, 2},
		"a rotation in the middle": {func(w *chaintest.World) {
			orders := w.Begin("gateway").Call("orders", create)
			w.Rotate()
			orders.Call("payments", charge).Call("ledger", post)
		}, 3},
		"several transactions": {func(w *chaintest.World) {
			for range 5 {
				order(w)
				w.Advance(time.Second)
			}
		}, 35},
		"a self-loop": {func(w *chaintest.World) {
			w.Begin("gateway").Call("orders", create).Call("orders", create)
		}, 2},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := chaintest.New(t, nil)
			tc.make(w)
			r := audit(t, w)
			wantClean(t, r)
			if r.Counts.Hops != tc.hops || r.Counts.Proved != tc.hops || r.BundlesFrom != chainaudit.BundlesFromLogs {
				t.Errorf("counts %+v", r.Counts)
			}
		})
	}
}

func TestTreeHasEveryCallWhereItBelongs(t *testing.T) {
	w := chaintest.New(t, nil)
	last := order(w)
	after := last.Checkpoint().Call("payments", charge)
	r := audit(t, w)
	wantClean(t, r)
	if len(r.Transactions) != 1 {
		t.Fatalf("%d transactions", len(r.Transactions))
	}
	tx := r.Transactions[0]
	if tx.ID != after.Token.TransactionID() || len(tx.Roots) != 1 || len(tx.Tokens) != 2 || tx.Hops != 8 || tx.Spans != 17 ||
		tx.Tokens[0].Issued != chainaudit.IssuanceRecorded || tx.Tokens[1].Issued != chainaudit.IssuanceRecorded {
		t.Errorf("transaction %+v", tx)
	}
	orders := tx.Roots[0]
	if orders.Caller != "spiffe://shop.test/gateway" || orders.Callee != "spiffe://shop.test/orders" || len(orders.Children) != 4 {
		t.Fatalf("first call %+v", orders)
	}
	deepest := orders
	for len(deepest.Children) > 0 {
		deepest = deepest.Children[len(deepest.Children)-1]
	}
	if deepest.Link != after.Chain.Last().Hash().String() || deepest.Anchor != last.Chain.Last().Hash().String() {
		t.Errorf("call after the checkpoint: %+v", deepest)
	}
	for _, h := range []*chainaudit.Hop{orders, deepest} {
		if h.Proof != chainaudit.ProofSigned || h.Client == nil || h.Server == nil || len(h.Judgements) != 1 || !h.Judgements[0].Accepted {
			t.Errorf("hop %+v", h)
		}
	}
}

func TestGivenBundlesDecide(t *testing.T) {
	w := chaintest.New(t, nil)
	order(w)
	given := func(in *chainaudit.Input, _ *chainaudit.Options) { in.Bundles = w.Bundle() }
	r := audit(t, w, given)
	wantClean(t, r)
	if r.BundlesFrom != chainaudit.BundlesGiven {
		t.Errorf("bundles from %q", r.BundlesFrom)
	}
	other := chaintest.New(t, nil)
	w = chaintest.New(t, nil)
	order(w)
	r = audit(t, w, func(in *chainaudit.Input, _ *chainaudit.Options) { in.Bundles = other.Bundle() })
	if r.Counts.Proved != 0 || r.Kinds[chainaudit.KindSignatureInvalid] == 0 {
		t.Errorf("with the bundle of somebody else: %+v, %v", r.Counts, r.Kinds)
	}
}

func TestRefusedCallsAreInformation(t *testing.T) {
	w := chaintest.New(t, nil)
	orders := w.Begin("gateway").Call("orders", create)
	orders.Call("payments", charge, refused(trat.ReasonChainReplayed))
	bad := orders.Record
	bad.Chain, bad.Result, bad.Reason = nil, "link_invalid", trat.ReasonChainLinkInvalid
	w.Write("orders", bad)
	stranger := bad
	stranger.Token, stranger.Reason = nil, trat.ReasonTxnTokenInvalid
	w.Write("orders", stranger)
	r := audit(t, w)
	if !r.Clean() || r.Kinds[chainaudit.KindRefused] != 3 || r.Counts.Infos != 3 || r.Counts.Refused != 3 ||
		len(r.Findings) != 1 || len(r.Transactions[0].Refused) != 1 {
		t.Errorf("%+v, %v, %+v", r.Counts, r.Kinds, all(r))
	}
}

func TestTokensAreLookedUpOnlyWhereThereIsALog(t *testing.T) {
	w := chaintest.New(t, nil)
	order(w)
	r := audit(t, w, func(in *chainaudit.Input, _ *chainaudit.Options) { in.Issued = nil })
	wantClean(t, r)
	if got := r.Transactions[0].Tokens[0].Issued; got != chainaudit.IssuanceUnknown {
		t.Errorf("without a log, the token is %q", got)
	}
	w = chaintest.New(t, nil)
	order(w)
	w.Begin("gateway")
	w.EditIssued(func(lines []string) []string { return lines[1:] })
	r = audit(t, w)
	if got := r.Transactions[0].Tokens[0].Issued; got != chainaudit.IssuanceContradicted || r.Kinds[chainaudit.KindTokenNotIssued] != 1 {
		t.Errorf("with a log that has it not, the token is %q, %v", got, r.Kinds)
	}
}
