package render

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

var began = time.Date(2026, 11, 22, 14, 0, 1, 120e6, time.UTC)

// hashOf is a hash as links and tokens have.
func hashOf(what string) string {
	sum := sha256.Sum256([]byte(what))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// builder makes transactions for the tests of what people see.
type builder struct {
	*chainaudit.Transaction
	calls int
}

func build(id, requester string) *builder {
	return &builder{Transaction: &chainaudit.Transaction{
		ID: id, KnownFrom: chainaudit.KnownFromRecords, Start: began, End: began.Add(38 * time.Millisecond),
		Tokens: []chainaudit.Token{{Hash: hashOf("token " + id), Requester: "spiffe://shop.test/" + requester, IssuedAt: began.Add(-9 * time.Millisecond), Issued: chainaudit.IssuanceRecorded}},
	}}
}

// call adds a verified call, below parent unless that is nil.
func (b *builder) call(parent *chainaudit.Hop, caller, callee, method string) *chainaudit.Hop {
	b.calls++
	h := &chainaudit.Hop{
		Link: hashOf(fmt.Sprint(b.ID, b.calls)), Caller: "spiffe://shop.test/" + caller, Callee: "spiffe://shop.test/" + callee,
		Method: "/shop.v1." + method, IssuedAt: began.Add(time.Duration(b.calls) * 2300 * time.Microsecond),
		Token: b.Tokens[0].Hash, Proof: chainaudit.ProofSigned,
	}
	h.Judgements = []chainaudit.Judgement{{
		Time: h.IssuedAt.Add(time.Millisecond), Server: h.Callee, Replica: "r1", Peer: h.Caller, Method: h.Method,
		Mode: "path", Accepted: true, Result: "ok", Log: callee + ".jsonl", Line: int64(b.calls),
	}}
	b.End = h.IssuedAt.Add(9 * time.Millisecond)
	b.Hops++
	b.Proved++
	if parent == nil {
		b.Roots = append(b.Roots, h)
		return h
	}
	h.Parent, h.Depth = parent.Link, parent.Depth+1
	parent.Children = append(parent.Children, h)
	return h
}

// find adds a finding, of h unless that is nil.
func (b *builder) find(h *chainaudit.Hop, kind chainaudit.Kind, severity chainaudit.Severity, text string) {
	f := chainaudit.Finding{Kind: kind, Severity: severity, Transaction: b.ID, Text: text}
	if h != nil {
		f.Link, f.Servers = h.Link, []string{h.Caller, h.Callee}
		h.Findings = append(h.Findings, len(b.Findings))
	}
	b.Findings = append(b.Findings, f)
}

// cleanTransaction is an order of the shop.
func cleanTransaction() *chainaudit.Transaction {
	b := build("019ab3c4-7d2e-7c11-9f0a-3b5b7a1c9e21", "gateway")
	order := b.call(nil, "gateway", "orders", "OrderService/CreateOrder")
	b.call(order, "orders", "inventory", "InventoryService/Reserve")
	pay := b.call(order, "orders", "payments", "PaymentService/Charge")
	b.call(pay, "payments", "ledger", "LedgerService/Append").Judgements[0].Mode = "head"
	b.call(order, "orders", "shipping", "ShippingService/Schedule")
	return b.Transaction
}

// troubledTransaction has a finding of every severity.
func troubledTransaction() *chainaudit.Transaction {
	b := build("019ab3c4-9e10-7a42-8d7c-51c2f6a0b7d4", "gateway")
	order := b.call(nil, "gateway", "orders", "OrderService/CreateOrder")
	reserve := b.call(order, "orders", "inventory", "InventoryService/Reserve")
	pay := b.call(order, "orders", "payments", "PaymentService/Charge")
	ledger := b.call(pay, "payments", "ledger", "LedgerService/Append")
	spans := b.call(pay, "payments", "ledger", "LedgerService/Export")
	ship := b.call(order, "orders", "shipping", "ShippingService/Schedule")
	forged := b.call(ship, "reports", "payments", "PaymentService/Refund")

	b.find(forged, chainaudit.KindForgedParent, chainaudit.SeverityAlarm, "spiffe://shop.test/reports continues a call that was made to spiffe://shop.test/shipping and not to it.")
	spans.Proof, spans.Link, spans.Judgements, spans.Callee = chainaudit.ProofSpans, "", nil, "ledger"
	b.find(spans, chainaudit.KindHopWithoutLink, chainaudit.SeverityAlarm, "Spans show that payments called LedgerService/Export of ledger, and no link covers the call.")
	ledger.Judgements = nil
	b.find(ledger, chainaudit.KindLinkWithoutRecord, chainaudit.SeverityWarning, "spiffe://shop.test/payments signed a call to spiffe://shop.test/ledger, which has no record of it.")
	reserve.Judgements[0].Accepted, reserve.Judgements[0].Result, reserve.Judgements[0].Reason = false, "replayed", "CHAIN_REPLAYED"
	b.find(reserve, chainaudit.KindRefused, chainaudit.SeverityInfo, "spiffe://shop.test/inventory refused the call, because its link had been used before (CHAIN_REPLAYED).")
	b.Refused = []chainaudit.Judgement{{
		Time: began.Add(30 * time.Millisecond), Server: "spiffe://shop.test/payments", Peer: "spiffe://shop.test/inventory",
		Method: "/shop.v1.PaymentService/Charge", Mode: "path", Result: "missing", Reason: "CHAIN_MISSING", Log: "payments.jsonl", Line: 9,
	}}
	b.Proved--
	return b.Transaction
}

// largeTransaction has 40 hops: broad, deep, with long names and other trust domains.
func largeTransaction() *chainaudit.Transaction {
	b := build("019ab3c5-1111-7000-8000-000000000040", "ns/edge/sa/gateway")
	order := b.call(nil, "ns/edge/sa/gateway", "ns/shop/sa/orders", "OrderService/CreateOrder")
	for i := range 6 {
		stock := b.call(order, "ns/shop/sa/orders", fmt.Sprintf("ns/stock/sa/warehouse-%d", i+1), "InventoryService/ReserveAllOrNothing")
		for j := range 3 {
			b.call(stock, fmt.Sprintf("ns/stock/sa/warehouse-%d", i+1), fmt.Sprintf("ns/stock/sa/shelf-%d-%d", i+1, j+1), "ShelfService/Take")
		}
	}
	last, from := order, "ns/shop/sa/orders"
	for i := range 14 {
		to := fmt.Sprintf("ns/flow/sa/step-%02d", i+1)
		last = b.call(last, from, to, "FlowService/Advance")
		from = to
	}
	other := b.call(order, "ns/shop/sa/orders", "x", "PaymentService/Charge")
	other.Callee = "spiffe://bank.test/payments"
	other.Judgements = nil
	b.find(other, chainaudit.KindLinkWithoutRecord, chainaudit.SeverityWarning, "spiffe://shop.test/ns/shop/sa/orders signed a call to spiffe://bank.test/payments, which has no record of it.")
	return b.Transaction
}

// reportOf is what an audit of transactions comes to.
func reportOf(transactions ...*chainaudit.Transaction) *chainaudit.Report {
	r := &chainaudit.Report{
		Transactions: transactions, BundlesFrom: chainaudit.BundlesFromLogs, Kinds: map[chainaudit.Kind]int64{},
		Logs: []chainaudit.Log{
			{Name: "orders.jsonl", Server: "spiffe://shop.test/orders", ID: "r1", First: 1, Last: 9, Records: 6, Closed: true},
			{Name: "payments.jsonl", Server: "spiffe://shop.test/payments", ID: "r2", First: 1, Last: 4, Records: 2},
		},
	}
	for _, t := range transactions {
		alarms, warnings, infos := severitiesOf(t)
		r.Counts.Transactions++
		if alarms+warnings == 0 {
			r.Counts.CleanTransactions++
			if infos > 0 {
				r.Counts.NotedTransactions++
			}
		}
		r.Counts.Hops += int64(t.Hops)
		r.Counts.Proved += int64(t.Proved)
		r.Counts.Alarms += alarms
		r.Counts.Warnings += warnings
		r.Counts.Infos += infos
		for _, f := range t.Findings {
			r.Kinds[f.Kind]++
		}
	}
	return r
}
