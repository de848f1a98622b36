package chainaudit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// lineOf returns the number of the nth line in a log that has text.
func lineOf(t *testing.T, lines []string, text string, nth int) int {
	t.Helper()
	for i, line := range lines {
		if strings.Contains(line, text) {
			if nth == 0 {
				return i
			}
			nth--
		}
	}
	t.Fatalf("no line has %s", text)
	return 0
}

// edit changes a log: raw as an outsider who can write the file does, or with hashes that
// fit, as its own server can.
func edit(t *testing.T, w *chaintest.World, name string, raw bool, change func(lines []string) []string) {
	t.Helper()
	w.Close()
	lines := change(w.Lines(name))
	if raw {
		w.SetLines(name, lines)
		return
	}
	w.Rechain(name, lines)
}

// Covers B-T1, B-T2, B-T4.
func TestTamperingIsFound(t *testing.T) {
	const call = `"event.name":"txn_chain.audit"`
	remove := func(t *testing.T, nth int) func([]string) []string {
		return func(lines []string) []string {
			i := lineOf(t, lines, call, nth)
			return slices.Delete(lines, i, i+1)
		}
	}
	replace := func(t *testing.T, old, replacement string) func([]string) []string {
		return func(lines []string) []string {
			i := lineOf(t, lines, old, 0)
			lines[i] = strings.Replace(lines[i], old, replacement, 1)
			return lines
		}
	}
	tests := map[string]struct {
		make     func(t *testing.T, w *chaintest.World)
		kind     chainaudit.Kind
		severity chainaudit.Severity
		words    string // of the sentence
	}{
		"a record was removed, by somebody": {func(t *testing.T, w *chaintest.World) {
			order(w)
			edit(t, w, "payments", true, remove(t, 0))
		}, chainaudit.KindLogDamaged, chainaudit.SeverityAlarm, "spiffe://shop.test/payments is not as it was written"},
		"a record was removed, by the server that had gone on": {func(t *testing.T, w *chaintest.World) {
			order(w)
			edit(t, w, "payments", false, remove(t, 0))
		}, chainaudit.KindLinkWithoutRecord, chainaudit.SeverityAlarm, "spiffe://shop.test/payments received a call"},
		"a record was removed, by the last server": {func(t *testing.T, w *chaintest.World) {
			w.Begin("gateway").Call("orders", create).Call("ledger", post)
			edit(t, w, "ledger", false, remove(t, 0))
		}, chainaudit.KindLinkWithoutRecord, chainaudit.SeverityWarning, "orders called"},
		"a record was changed": {func(t *testing.T, w *chaintest.World) {
			order(w)
			edit(t, w, "payments", true, replace(t, charge, "/shop.v1.Payments/Refund"))
		}, chainaudit.KindLogDamaged, chainaudit.SeverityAlarm, "changed"},
		"a record was changed, by its server": {func(t *testing.T, w *chaintest.World) {
			order(w)
			edit(t, w, "payments", false, replace(t, charge, "/shop.v1.Payments/Refund"))
		}, chainaudit.KindRecordMismatch, chainaudit.SeverityAlarm, charge},
		"the caller in a record was changed, by its server": {func(t *testing.T, w *chaintest.World) {
			order(w)
			edit(t, w, "payments", false, replace(t, `"peer":"spiffe://shop.test/orders"`, `"peer":"spiffe://shop.test/stock"`))
		}, chainaudit.KindRecordMismatch, chainaudit.SeverityAlarm, "spiffe://shop.test/orders"},
		"a refusal in place of an acceptance, by the server": {func(t *testing.T, w *chaintest.World) {
			order(w)
			edit(t, w, "payments", false, replace(t, `"result":"ok"`, `"result":"ok","reason":"POLICY_DENIED"`))
		}, chainaudit.KindRecordMismatch, chainaudit.SeverityAlarm, "refused"},
		"the end was cut off": {func(t *testing.T, w *chaintest.World) {
			order(w)
			edit(t, w, "payments", true, func(lines []string) []string { return lines[:len(lines)-2] })
		}, chainaudit.KindLogCut, chainaudit.SeverityWarning, "was cut off"},
		"a signature was changed": {func(t *testing.T, w *chaintest.World) {
			order(w)
			edit(t, w, "payments", false, func(lines []string) []string {
				i := lineOf(t, lines, call, 0)
				before, after, _ := strings.Cut(lines[i], `"receipt":"`)
				receipt, rest, _ := strings.Cut(after, `"`)
				at := len(receipt) - 20 // within the last signature
				other := "A"
				if receipt[at] == 'A' {
					other = "B"
				}
				lines[i] = before + `"receipt":"` + receipt[:at] + other + receipt[at+1:] + `"` + rest
				return lines
			})
		}, chainaudit.KindSignatureInvalid, chainaudit.SeverityAlarm, "a signature is wrong"},
		"a receipt that is none": {func(t *testing.T, w *chaintest.World) {
			order(w)
			edit(t, w, "payments", false, replace(t, `"receipt":"`, `"receipt":"AAAA`))
		}, chainaudit.KindSignatureInvalid, chainaudit.SeverityAlarm, "it is not in the format of chains"},
		"a certificate was removed": {func(t *testing.T, w *chaintest.World) {
			w.Begin("gateway").Call("orders", create)
			edit(t, w, "orders", false, func(lines []string) []string {
				i := lineOf(t, lines, "txn_chain.audit.certificate", 1) // after that of the authority
				return slices.Delete(lines, i, i+1)
			})
		}, chainaudit.KindSignatureInvalid, chainaudit.SeverityAlarm, "lacks a certificate"},
		"a bundle was removed": {func(t *testing.T, w *chaintest.World) {
			w.Begin("gateway").Call("orders", create)
			edit(t, w, "orders", false, func(lines []string) []string {
				i := lineOf(t, lines, "txn_chain.audit.bundle", 0)
				return slices.Delete(lines, i, i+1)
			})
		}, chainaudit.KindBundleUnknown, chainaudit.SeverityWarning, "no bundle"},
		"a link was accepted twice": {func(_ *testing.T, w *chaintest.World) {
			w.Begin("gateway").Call("orders", create).Call("payments", charge, twice)
		}, chainaudit.KindAcceptedTwice, chainaudit.SeverityAlarm, "accepted 2 times"},
		"a link for another server": {func(_ *testing.T, w *chaintest.World) {
			payments := w.Begin("gateway").Call("orders", create).Call("payments", charge)
			stolen := payments.Record
			stolen.Server = w.ID("stock")
			w.Write("stock", stolen)
		}, chainaudit.KindWrongAudience, chainaudit.SeverityAlarm, "had signed for spiffe://shop.test/payments"},
		"one span for two calls": {func(_ *testing.T, w *chaintest.World) {
			orders := w.Begin("gateway").Call("orders", create, untraced)
			trace := chaintest.NewTrace()
			for _, to := range []string{"stock", "payments"} {
				r := orders.Record
				r.Server, r.Peer, r.Method = w.ID(to), w.ID("orders"), charge
				r.Chain = w.Forge(chaintest.Forgery{
					By: "orders", To: to, Method: charge, Token: orders.Token, Depth: 1, Parent: orders.Chain.Last().Hash(), Trace: trace,
				})
				w.Write(to, r)
			}
		}, chainaudit.KindWrongAudience, chainaudit.SeverityAlarm, "the same span"},
		"a forged parent": {func(_ *testing.T, w *chaintest.World) {
			orders := w.Begin("gateway").Call("orders", create)
			forged(w, orders, chaintest.Forgery{By: "stock", Depth: 1, Parent: orders.Chain.Last().Hash()})
		}, chainaudit.KindForgedParent, chainaudit.SeverityAlarm, "made to spiffe://shop.test/orders and not to it"},
		"a parent that nobody has": {func(_ *testing.T, w *chaintest.World) {
			orders := w.Begin("gateway").Call("orders", create)
			forged(w, orders, chaintest.Forgery{By: "orders", Depth: 1, Parent: callchain.Hash{1}})
		}, chainaudit.KindMissingParent, chainaudit.SeverityWarning, "nobody has a record"},
		"a gap in depth": {func(_ *testing.T, w *chaintest.World) {
			orders := w.Begin("gateway").Call("orders", create)
			forged(w, orders, chaintest.Forgery{By: "orders", Depth: 5, Parent: orders.Chain.Last().Hash()})
		}, chainaudit.KindDepthGap, chainaudit.SeverityAlarm, "5 calls"},
		"a chain of another transaction": {func(_ *testing.T, w *chaintest.World) {
			other := w.Begin("gateway").Call("orders", create).Call("payments", charge)
			here := w.Begin("gateway").Call("orders", create).Call("payments", charge)
			spliced := here.Record
			spliced.Chain = other.Chain
			w.Write("payments", spliced)
		}, chainaudit.KindSplicedLink, chainaudit.SeverityAlarm, "of the transaction"},
		"a chain of another token": {func(_ *testing.T, w *chaintest.World) {
			orders := w.Begin("gateway").Call("orders", create)
			after := orders.Checkpoint().Call("payments", charge)
			spliced := after.Record
			spliced.Chain, spliced.Server = orders.Chain, w.ID("orders")
			w.Write("orders", spliced)
		}, chainaudit.KindSplicedLink, chainaudit.SeverityAlarm, "of this transaction"},
		"another beginning": {func(t *testing.T, w *chaintest.World) {
			w.Begin("gateway").Call("orders", create)
			edit(t, w, "orders", false, replace(t, `"req_wl":"spiffe://shop.test/gateway"`, `"req_wl":"spiffe://shop.test/stock"`))
		}, chainaudit.KindTwoRoots, chainaudit.SeverityAlarm, "begun a chain of their own"},
		"two accounts of the beginning": {func(t *testing.T, w *chaintest.World) {
			order(w)
			edit(t, w, "ledger", false, replace(t, `"req_wl":"spiffe://shop.test/gateway"`, `"req_wl":"spiffe://shop.test/stock"`))
		}, chainaudit.KindTwoRoots, chainaudit.SeverityAlarm, "made up a beginning"},
		"a token that nobody issued": {func(t *testing.T, w *chaintest.World) {
			first := w.Begin("gateway")
			order(w)
			first.Call("orders", create)
			w.EditIssued(func(lines []string) []string {
				i := lineOf(t, lines, first.Token.TransactionID(), 0)
				return slices.Delete(lines, i, i+1)
			})
		}, chainaudit.KindTokenNotIssued, chainaudit.SeverityAlarm, "does not have"},
		"a token that was issued to somebody else": {func(_ *testing.T, w *chaintest.World) {
			order(w)
			w.EditIssued(func(lines []string) []string {
				lines[0] = strings.Replace(lines[0], "/gateway", "/stock", 1)
				return lines
			})
		}, chainaudit.KindTokenNotIssued, chainaudit.SeverityAlarm, "issued it to spiffe://shop.test/stock"},
		"a forged traceparent": {func(_ *testing.T, w *chaintest.World) {
			orders := w.Begin("gateway").Call("orders", create)
			orders.Call("payments", charge, func(o *chaintest.Options) { o.Traceparent = chaintest.NewTrace() })
		}, chainaudit.KindTraceMismatch, chainaudit.SeverityWarning, "traceparent"},
		"a record without a chain": {func(_ *testing.T, w *chaintest.World) {
			orders := w.Begin("gateway").Call("orders", create)
			r := orders.Record
			r.Chain = nil
			w.Write("orders", r)
		}, chainaudit.KindRecordMismatch, chainaudit.SeverityAlarm, "without a chain"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := chaintest.New(t, nil)
			tc.make(t, w)
			r := audit(t, w)
			wantFinding(t, r, tc.kind, tc.severity, tc.words)
		})
	}
}

// forged lets a workload call payments with a link of its own making.
func forged(w *chaintest.World, at *chaintest.Place, f chaintest.Forgery) {
	f.To, f.Method, f.Token, f.Trace = "payments", charge, at.Token, chaintest.NewTrace()
	r := at.Record
	r.Server, r.Peer, r.Method, r.Mode, r.Received, r.Span = w.ID("payments"), w.ID(f.By), charge, callchain.ModeHead, f.Trace, callchain.Trace{}
	r.Chain = w.Forge(f)
	w.Write("payments", r)
}

func wantFinding(t *testing.T, r *chainaudit.Report, kind chainaudit.Kind, severity chainaudit.Severity, words string) {
	t.Helper()
	if r.Clean() {
		t.Error("the report is clean")
	}
	for _, f := range all(r) {
		if f.Kind == kind && f.Severity == severity && strings.Contains(f.Text, words) {
			return
		}
	}
	t.Errorf("no %s %q with %q:", severity, kind, words)
	for _, f := range all(r) {
		t.Logf("%s: %s: %s", f.Severity, f.Kind, f.Text)
	}
}

func TestSpansThatDoNotFitAreFound(t *testing.T) {
	isClient := func(s *chaintest.Span, method string) bool { return s.Kind == "client" && "/"+s.Name == method }
	without := func(w *chaintest.World, method, key string) {
		w.EditSpans(func(spans []chaintest.Span) []chaintest.Span {
			for i := range spans {
				if isClient(&spans[i], method) {
					delete(spans[i].Attributes, key)
				}
			}
			return spans
		})
	}
	tests := map[string]struct {
		make     func(t *testing.T, w *chaintest.World)
		kind     chainaudit.Kind
		severity chainaudit.Severity
		words    string
	}{
		"a hop that nobody signed": {func(_ *testing.T, w *chaintest.World) {
			w.Begin("gateway").Call("orders", create).Call("payments", charge)
			addCall(w, charge, map[string]string{"rpc.method": "shop.v1.Ledger/Post", "txn_token.result": "ok", "txn_chain.mode": "path"})
		}, chainaudit.KindHopWithoutLink, chainaudit.SeverityAlarm, "with the token"},
		"a hop without a token": {func(_ *testing.T, w *chaintest.World) {
			w.Begin("gateway").Call("orders", create).Call("payments", charge)
			addCall(w, charge, map[string]string{"rpc.method": "shop.v1.Ledger/Post"})
		}, chainaudit.KindHopWithoutLink, chainaudit.SeverityWarning, "nobody has signed"},
		"the attribute of the link was removed": {func(_ *testing.T, w *chaintest.World) {
			w.Begin("gateway").Call("orders", create).Call("payments", charge)
			without(w, charge, "txn_chain.link.hash")
		}, chainaudit.KindSpanMismatch, chainaudit.SeverityWarning, "was removed"},
		"a call that is in no log": {func(_ *testing.T, w *chaintest.World) {
			w.Begin("gateway").Call("orders", create).Call("payments", charge, unrecorded)
		}, chainaudit.KindLinkWithoutRecord, chainaudit.SeverityWarning, "payments"},
		"links exchanged": {func(_ *testing.T, w *chaintest.World) {
			w.Begin("gateway").Call("orders", create).Call("payments", charge)
			w.EditSpans(func(spans []chaintest.Span) []chaintest.Span {
				for i := range spans {
					if isClient(&spans[i], charge) {
						spans[i].Attributes["txn_chain.link.hash"] = spans[1].Attributes["txn_chain.link.hash"]
					}
				}
				return spans
			})
		}, chainaudit.KindSpanMismatch, chainaudit.SeverityAlarm, "another link"},
		"a span moved below another one": {func(_ *testing.T, w *chaintest.World) {
			w.Begin("gateway").Call("orders", create).Call("payments", charge)
			w.EditSpans(func(spans []chaintest.Span) []chaintest.Span {
				last := &spans[len(spans)-1]
				last.Parent = spans[1].Trace.SpanID
				return spans
			})
		}, chainaudit.KindTraceMismatch, chainaudit.SeverityWarning, "was moved there"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := chaintest.New(t, nil)
			tc.make(t, w)
			wantFinding(t, audit(t, w), tc.kind, tc.severity, tc.words)
		})
	}
}

// addCall adds spans of a call that the handler of method made, without a link.
func addCall(w *chaintest.World, method string, attributes map[string]string) {
	w.EditSpans(func(spans []chaintest.Span) []chaintest.Span {
		for _, s := range spans {
			if s.Kind != "server" || "/"+s.Name != method {
				continue
			}
			client, server := s, s
			client.Kind, client.Service, client.Parent, client.Attributes = "client", s.Service, s.Trace.SpanID, nil
			client.Name = attributes["rpc.method"]
			client.Trace.SpanID[0] ^= 1
			server.Service, server.Parent, server.Attributes = "ledger", client.Trace.SpanID, attributes
			server.Name = client.Name
			server.Trace.SpanID[0] ^= 2
			return append(spans, client, server)
		}
		return spans
	})
}

func TestCallsThatNeedNoLinkAreNoFinding(t *testing.T) {
	for name, attributes := range map[string]map[string]string{
		"the token service":      {"rpc.method": "trat.v1.TokenService/Exchange", "txn_token.result": "ok"},
		"health checks":          {"rpc.method": "grpc.health.v1.Health/Check"},
		"a method in mode off":   {"rpc.method": "shop.v1.Ledger/Post", "txn_token.result": "ok", "txn_chain.mode": "off"},
		"an exempt method":       {"rpc.method": "shop.v1.Ledger/Post", "txn_token.result": "exempt"},
		"a call that was denied": {"rpc.method": "shop.v1.Ledger/Post", "txn_token.result": "denied"},
	} {
		t.Run(name, func(t *testing.T) {
			w := chaintest.New(t, nil)
			w.Begin("gateway").Call("orders", create).Call("payments", charge)
			addCall(w, charge, attributes)
			wantClean(t, audit(t, w))
		})
	}
	w := chaintest.New(t, nil)
	orders := w.Begin("gateway").Call("orders", create)
	r := orders.Record
	r.Chain, r.Mode, r.Result = nil, callchain.ModeOff, "off"
	w.Write("orders", r)
	wantClean(t, audit(t, w))
}
