package chainaudit_test

import (
	"os"
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// Methods that are called.
const (
	create  = "/shop.v1.Orders/Create"
	reserve = "/shop.v1.Stock/Reserve"
	charge  = "/shop.v1.Payments/Charge"
	post    = "/shop.v1.Ledger/Post"
)

func head(o *chaintest.Options)       { o.Mode = callchain.ModeHead }
func unrecorded(o *chaintest.Options) { o.Unrecorded = true }
func untraced(o *chaintest.Options)   { o.Untraced = true }
func twice(o *chaintest.Options)      { o.Twice = true }

func refused(reason trat.Reason) func(*chaintest.Options) {
	return func(o *chaintest.Options) { o.Refused = reason }
}

// audit audits all that the world has written.
func audit(t testing.TB, w *chaintest.World, change ...func(*chainaudit.Input, *chainaudit.Options)) *chainaudit.Report {
	t.Helper()
	w.Workload("orders")
	in := chainaudit.Input{Logs: w.Close(), Issued: []string{w.WriteIssued()}}
	if traces := w.WriteTraces(); size(t, traces) > 0 {
		in.Traces = []string{traces}
	}
	var o chainaudit.Options
	for _, f := range change {
		f(&in, &o)
	}
	report, err := chainaudit.Run(t.Context(), in, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func size(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// all returns every finding of a report.
func all(r *chainaudit.Report) []chainaudit.Finding {
	findings := r.Findings
	for _, t := range r.Transactions {
		findings = append(findings, t.Findings...)
	}
	return findings
}

// order is a transaction as the shop has them: a fan-out, a diamond, a retry, and a call in
// head mode.
func order(w *chaintest.World) *chaintest.Place {
	begin := w.Begin("gateway")
	orders := begin.Call("orders", create)
	orders.Call("stock", reserve)
	orders.Call("stock", reserve) // again, with a link of its own
	payments := orders.Call("payments", charge)
	payments.Call("ledger", post)
	return orders.Call("stock", reserve, head).Call("ledger", post, head)
}
