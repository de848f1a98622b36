package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// writeLog makes stocks' log of one call, and returns its directory.
func writeLog(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	d := trattest.New(t, "shop.test")
	const method = "/shop.v1.StocksService/Reserve"
	token := d.Token(trattest.Requester(d.ID("gateway").String()))
	log, err := chainlog.OpenFile(chainlog.FileConfig{
		Path: filepath.Join(dir, chainLog("stocks")), Logger: slog.New(slog.DiscardHandler),
		Server: d.ID("stocks"), Bundles: d.Source("stocks"), Clock: d.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	log.Record(t.Context(), callchain.Record{
		Time: d.Now(), Server: d.ID("stocks"), Peer: d.ID("orders"), Method: method, Mode: callchain.ModePath,
		Token: token, Chain: d.Chain(token, []string{"gateway", "orders"}, "stocks", method), Result: "ok",
	})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRechainedIsTheLogItself(t *testing.T) {
	log, err := readLog(writeLog(t), "stocks")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Join(log, "\n"), strings.Join(rechained(log), "\n")); diff != "" {
		t.Errorf("-log +rechained:\n%s", diff)
	}
}

func TestTamperingFindsRecordsAndTheirLinks(t *testing.T) {
	dir := writeLog(t)
	log, err := readLog(dir, "stocks")
	if err != nil {
		t.Fatal(err)
	}
	i, err := record(log, "Reserve")
	if err != nil {
		t.Fatal(err)
	}
	p, err := receiptOf(log[i])
	if err != nil {
		t.Fatal(err)
	}
	if len(p.full) != 2 || !strings.Contains(log[i], `"`+p.withoutCertificates()+`"`) {
		t.Errorf("%d links, or not as they were", len(p.full))
	}
	if _, err := record(log, "Charge"); err == nil {
		t.Error("found a record of a call that nobody made")
	}
	before := strings.Join(log, "\n")
	tamperings()[0].mustChange(t, dir, before)
}

func (x tampering) mustChange(t *testing.T, dir, before string) {
	t.Helper()
	if err := x.do(dir); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(dir, chainLog("stocks")))
	if err != nil || strings.Count(string(after), "\n") != strings.Count(before, "\n") {
		t.Errorf("%s: not one line less: %v", x.name, err)
	}
}

func TestSpansAreWrittenAsACollectorWritesThem(t *testing.T) {
	line, err := exportLine(&collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{
			TraceId: []byte{0xab, 1}, SpanId: []byte{0xcd, 2}, ParentSpanId: []byte{0xef, 3}, Kind: tracepb.Span_SPAN_KIND_SERVER,
			Name: "a/b", StartTimeUnixNano: 1 << 60, Attributes: []*commonpb.KeyValue{attr("k", textValue("q8E="))},
		}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	const text = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"ab01","spanId":"cd02","parentSpanId":"ef03","kind":2,
		"name":"a/b","startTimeUnixNano":"1152921504606846976","attributes":[{"key":"k","value":{"stringValue":"q8E="}}]}]}]}]}`
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if strings.Count(string(line), "\n") != 1 || !strings.HasSuffix(string(line), "\n") {
		t.Errorf("not one line: %q", line)
	}
}

func TestSummaryIsTheLastLine(t *testing.T) {
	sum, err := summaryOf(`{"type":"transaction"}` + "\n" + `{"type":"summary","counts":{"hops":5},"kinds":{"trace mismatch":1,"refused call":2}}` + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := sum.findings(), "refused call: 2, trace mismatch: 1"; got != want || sum.Counts.Hops != 5 {
		t.Errorf("%q and %d hops", got, sum.Counts.Hops)
	}
	for _, bad := range []string{"", `{"type":"transaction"}`, "{"} {
		if _, err := summaryOf(bad); err == nil {
			t.Errorf("%q is no summary", bad)
		}
	}
}
