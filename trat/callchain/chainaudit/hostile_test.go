package chainaudit_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/chaintest"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/render"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

// template returns the first line of a call in a log, before and after its txn.
func template(t *testing.T, lines []string) (before, after string) {
	t.Helper()
	line := lines[lineOf(t, lines, `"txn":"`, 0)]
	before, rest, _ := strings.Cut(line, `"txn":"`)
	_, after, _ = strings.Cut(rest, `"`)
	return before, after
}

// Findings that there is no room to keep count all the same: harmless ones, of which anybody
// can make many, do not crowd out what makes a report bad.
func TestHarmlessFindingsDoNotHideOthers(t *testing.T) {
	w := chaintest.New(t, nil)
	orders := w.Begin("gateway").Call("orders", create)
	for range 20 {
		r := orders.Record
		r.Chain, r.Token, r.Result, r.Reason = nil, nil, "missing", "CHAIN_MISSING"
		w.Write("orders", r)
	}
	spans := w.WriteTraces()
	text, err := os.ReadFile(spans)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(spans, append(text, "not spans\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, chainaudit.Input{Logs: w.Close(), Traces: []string{spans}}, chainaudit.Options{MaxFindings: 5})
	if r.Clean() || r.Kinds[chainaudit.KindInputUnreadable] != 1 || r.Kinds[chainaudit.KindRefused] != 20 || r.Counts.Infos < 20 {
		t.Errorf("clean %v, counts %+v, kinds %v", r.Clean(), r.Counts, r.Kinds)
	}
	if len(r.Findings) != 5 || r.Findings[0].Kind != chainaudit.KindInputUnreadable || r.MoreFindings != 16 {
		t.Errorf("%d findings and %d more, the first %+v", len(r.Findings), r.MoreFindings, r.Findings[0])
	}
}

// A server that makes up transactions in the trace of a real one does not keep spans from it
// unnoticed.
func TestInventedTransactionsDoNotHideSpans(t *testing.T) {
	w := chaintest.New(t, nil)
	w.Begin("gateway").Call("orders", create).Call("payments", charge)
	addCall(w, create, map[string]string{"rpc.method": "shop.v1.Ledger/Post"})
	begin := w.Begin("mallory")
	fake := begin.Call("mallory", create)
	w.Close()
	w.EditSpans(func(spans []chaintest.Span) []chaintest.Span {
		return slices.DeleteFunc(spans, func(s chaintest.Span) bool { return s.Service == "mallory" })
	})
	var trace callchain.Trace
	w.EditSpans(func(spans []chaintest.Span) []chaintest.Span {
		trace = spans[0].Trace
		return spans
	})
	lines := w.Lines("mallory")
	i := lineOf(t, lines, `"event.name":"txn_chain.audit"`, 0)
	last := lines[len(lines)-1]
	var invented []string
	for n := range 100 {
		invented = append(invented, strings.Replace(lines[i], fake.Token.TransactionID(), fmt.Sprintf("invented-%d", n), 1))
		invented[n] = strings.Replace(invented[n], `"result":"ok"`, fmt.Sprintf(`"result":"ok","reason":"POLICY_DENIED","received":"%x-%x"`, trace.TraceID, trace.SpanID), 1)
	}
	w.Rechain("mallory", append(append(lines[:i], invented...), last))
	logs := []string{w.LogPath("mallory"), w.LogPath("orders"), w.LogPath("payments"), w.LogPath("gateway")}
	r := run(t, chainaudit.Input{Logs: logs[:3], Traces: []string{w.WriteTraces()}}, chainaudit.Options{Keep: 1000, Workers: 1})
	if r.Kinds[chainaudit.KindHopWithoutLink] == 0 && r.Kinds[chainaudit.KindTraceCrowded] == 0 {
		t.Errorf("kinds %v", r.Kinds)
	}
}

// A line in the name of another server is not that server's.
func TestRecordsInTheNameOfAnotherServerDoNotAccuseIt(t *testing.T) {
	w := chaintest.New(t, nil)
	orders := w.Begin("gateway").Call("orders", create)
	w.Begin("gateway").Call("mallory", create)
	r := orders.Record
	r.Chain = nil // accepted without a chain
	w.Write("mallory", r)
	report := audit(t, w)
	wantFinding(t, report, chainaudit.KindLogDamaged, chainaudit.SeverityAlarm, "spiffe://shop.test/mallory")
	for _, f := range all(report) {
		if f.Severity == chainaudit.SeverityAlarm && slices.Contains(f.Servers, "spiffe://shop.test/orders") {
			t.Errorf("%s: %s", f.Kind, f.Text)
		}
	}
}

// A log that says that it is part of another one takes nothing away from it.
func TestLogWithTheIDOfAnotherHidesNothingOfIt(t *testing.T) {
	w := chaintest.New(t, nil)
	w.Begin("gateway").Call("orders", create).Call("payments", charge)
	w.Begin("gateway").Call("mallory", create)
	w.Close()
	id := func(name string) string {
		id, _, err := chainlog.First(w.LogPath(name))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	mine, theirs := id("mallory"), id("orders")
	lines := w.Lines("mallory")
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], mine, theirs)
	}
	filler := lines[len(lines)-1]
	for range 20 {
		lines = append(lines, filler)
	}
	w.Rechain("mallory", lines)
	for _, order := range [][]string{{"mallory", "orders", "payments"}, {"orders", "mallory", "payments"}} {
		var logs []string
		for _, name := range order {
			logs = append(logs, w.LogPath(name))
		}
		r := run(t, chainaudit.Input{Logs: logs}, chainaudit.Options{})
		if r.Clean() || r.Counts.Records != 3 {
			t.Errorf("clean %v, counts %+v", r.Clean(), r.Counts)
		}
		for _, f := range all(r) {
			if f.Severity == chainaudit.SeverityAlarm && slices.Equal(f.Servers, []string{"spiffe://shop.test/orders"}) {
				t.Errorf("%v: %s: %s", order, f.Kind, f.Text)
			}
		}
	}
}

// An authority that only one log names is reported whatever time the log gives for it.
func TestAuthorityIsDisputedWhateverTimeItsLogGives(t *testing.T) {
	w := chaintest.New(t, nil)
	w.Begin("gateway").Call("payments", charge)
	orders := w.Begin("gateway").Call("orders", create)
	w.Advance(time.Hour)
	w.Restart("orders")
	w.Rotate()
	w.Begin("gateway").Call("orders", create)
	w.Advance(time.Hour)
	r := orders.Record
	r.Server, r.Time, r.Chain, r.Result, r.Reason = w.ID("payments"), w.Now(), nil, "missing", "CHAIN_MISSING"
	w.Write("payments", r)
	w.Close()
	lines := w.Lines("payments")
	if i := slices.IndexFunc(lines[5:], func(l string) bool { return strings.Contains(l, "txn_chain.audit.bundle") }); i >= 0 {
		lines = slices.Delete(lines, 5+i, 6+i) // payments never trusted it
		w.Rechain("payments", lines)
	}
	lines = w.Lines("orders")
	for i, line := range lines {
		if strings.Contains(line, "txn_chain.audit.bundle") {
			before, after, _ := strings.Cut(line, `"time":"`)
			lines[i] = before + `"time":"2099` + after[len("2026"):]
		}
	}
	w.Rechain("orders", lines)
	wantFinding(t, audit(t, w), chainaudit.KindBundleDisputed, chainaudit.SeverityWarning, "spiffe://shop.test/orders says")
}

// What a server writes into its log does not take time that grows with its square.
func TestHostileLogsAreReadInLinearTime(t *testing.T) {
	const lines = 10_000
	deadline := func(t *testing.T, w *chaintest.World) {
		t.Helper()
		start := time.Now()
		run(t, chainaudit.Input{Logs: []string{w.LogPath("mallory")}}, chainaudit.Options{Keep: -1})
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("took %v", d)
		}
	}
	hostile := func(t *testing.T, line func(i int, call, bundle string) string) *chaintest.World {
		t.Helper()
		w := chaintest.New(t, nil)
		w.Begin("gateway").Call("mallory", create)
		w.Close()
		have := w.Lines("mallory")
		call := have[lineOf(t, have, `"event.name":"txn_chain.audit"`, 0)]
		bundle := have[lineOf(t, have, `"event.name":"txn_chain.audit.bundle"`, 0)]
		for i := range lines {
			have = append(have, line(i, call, bundle))
		}
		w.Rechain("mallory", have)
		return w
	}
	t.Run("bundles", func(t *testing.T) {
		deadline(t, hostile(t, func(i int, _, bundle string) string {
			before, after, _ := strings.Cut(bundle, `"authorities":["`)
			_, after, _ = strings.Cut(after, `"]`)
			var authorities []string
			for n := range 20 {
				authorities = append(authorities, callchain.Hash{byte(i), byte(i >> 8), byte(i >> 16), byte(n), 1}.String())
			}
			return before + `"authorities":["` + strings.Join(authorities, `","`) + `"]` + after
		}))
	})
	t.Run("links that do not verify", func(t *testing.T) {
		deadline(t, hostile(t, func(i int, call, _ string) string {
			before, after, _ := strings.Cut(call, `"link":"`)
			_, after, _ = strings.Cut(after, `"`)
			call = before + `"link":"` + callchain.Hash{byte(i), byte(i >> 8), byte(i >> 16), 1}.String() + `"` + after
			before, after, _ = strings.Cut(call, `"tth":"`)
			_, after, _ = strings.Cut(after, `"`)
			return before + `"tth":"` + callchain.Hash{byte(i), byte(i >> 8), byte(i >> 16), 2}.String() + `"` + after
		}))
	})
}

// Whatever a log and a trace export say, the report can be written in every form.
func TestWhateverLogsSayCanBeWritten(t *testing.T) {
	evil := "\x1b]0;x\a\u202e<script>alert(1)</script>\n\u2028&\"'`${x}"
	w := chaintest.New(t, nil)
	order(w)
	w.Begin("gateway").Call("mallory", create)
	w.Close()
	lines := w.Lines("mallory")
	i := lineOf(t, lines, `"event.name":"txn_chain.audit"`, 0)
	quoted := fmt.Sprintf("%q", evil)
	quoted = strings.NewReplacer(`\x1b`, `\u001b`, `\a`, `\u0007`, "`", "`").Replace(quoted)
	before, after := template(t, lines)
	odd := []string{
		before + `"txn":` + quoted + after,
		strings.Replace(lines[i], `"time":"2026`, `"time":"0001`, 1),
		strings.Replace(lines[i], `"time":"2026`, `"time":"9999`, 1),
		strings.Replace(lines[i], `"iat":"2026`, `"iat":"9999`, 1),
		strings.Replace(lines[i], `"result":"ok"`, `"result":`+quoted+`,"reason":`+quoted, 1),
		strings.Replace(lines[i], `"mode":"path"`, `"mode":`+quoted, 1),
		strings.Replace(lines[i], create, strings.Trim(quoted, `"`), 1),
		strings.Replace(lines[i], `"req_wl":"spiffe://shop.test/gateway"`, `"req_wl":`+quoted, 1),
	}
	w.Rechain("mallory", append(lines, odd...))
	w.EditSpans(func(spans []chaintest.Span) []chaintest.Span {
		for i := range spans {
			if i%3 == 0 {
				spans[i].Service, spans[i].Name = evil, evil
			}
		}
		return spans
	})
	r := run(t, chainaudit.Input{Logs: []string{w.LogPath("mallory"), w.LogPath("orders")}, Traces: []string{w.WriteTraces()}}, chainaudit.Options{})
	var html, text, json bytes.Buffer
	if err := render.WriteHTML(&html, r, time.Now()); err != nil {
		t.Error(err)
	}
	texts, jsons := render.NewTextWriter(&text), render.NewJSONWriter(&json)
	for _, x := range r.Transactions {
		if err := texts.Transaction(x); err != nil {
			t.Error(err)
		}
		if err := jsons.Transaction(x); err != nil {
			t.Error(err)
		}
	}
	if err := texts.Summary(r); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"\x1b", "\a", "\u202e", "\u2028"} {
		if strings.Contains(html.String()+text.String(), bad) {
			t.Errorf("there is a %q", bad)
		}
	}
	if strings.Contains(html.String(), "<script>alert") {
		t.Error("the page has a script")
	}
}

// Whoever receives a call knows the id of the caller's span. A span that it makes up with that
// id does not accuse the caller.
func TestInventedSpansDoNotAccuseTheCaller(t *testing.T) {
	for _, later := range []time.Duration{-time.Second, time.Second} {
		w := chaintest.New(t, nil)
		w.Begin("gateway").Call("orders", create).Call("mallory", charge)
		w.EditSpans(func(spans []chaintest.Span) []chaintest.Span {
			for _, s := range spans {
				if s.Kind == "client" && s.Service == "orders" {
					s.Start = s.Start.Add(later)
					s.Attributes = map[string]string{"txn_chain.link.hash": callchain.Hash{1}.String(), "rpc.method": strings.TrimPrefix(charge, "/")}
					return append(spans, s)
				}
			}
			t.Fatal("there is no such span")
			return nil
		})
		r := audit(t, w)
		wantFinding(t, r, chainaudit.KindSpanMismatch, chainaudit.SeverityWarning, "two spans")
		if r.Counts.Alarms > 0 {
			t.Errorf("%+v", all(r))
		}
	}
}

// A caller can make a server lose records, by calling it too often. What is missing then does
// not accuse the server.
func TestLostRecordsDoNotAccuseTheServer(t *testing.T) {
	w := chaintest.New(t, nil)
	w.Begin("gateway").Call("orders", create, refused(trat.ReasonPolicyDenied)).Call("payments", charge)
	w.Close()
	lines := w.Lines("orders")
	closed := lines[len(lines)-1]
	resumed := strings.Replace(lines[0], "txn_token.audit.opened", "txn_token.audit.resumed", 1)
	resumed = strings.Replace(resumed, `,"hash":`, `,"txn_token.audit.lost":1,"hash":`, 1)
	w.Rechain("orders", append(lines[:len(lines)-1], resumed, closed))
	r := audit(t, w)
	wantFinding(t, r, chainaudit.KindRecordMismatch, chainaudit.SeverityWarning, "it lost records")
	if r.Counts.Alarms > 0 {
		t.Errorf("%+v", all(r))
	}
}
