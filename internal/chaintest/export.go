package chaintest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Span is one span as it is exported.
type Span struct {
	Trace      callchain.Trace // and the span itself
	Parent     [8]byte
	Service    string
	Name       string
	Kind       string // "client", "server"
	Start      time.Time
	Attributes map[string]string
}

func (w *World) span(s Span) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spans = append(w.spans, s)
}

// AddSpan adds a span to those that are exported.
func (w *World) AddSpan(s Span) { w.span(s) }

// EditSpans may change or remove spans before they are written.
func (w *World) EditSpans(edit func([]Span) []Span) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spans = edit(w.spans)
}

// WriteTraces writes the spans as the OpenTelemetry Collector's file exporter does, a few
// in each line, and returns the path.
func (w *World) WriteTraces() string {
	w.tb.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	const perLine = 7
	for len(w.spans) > 0 {
		n := min(perLine, len(w.spans))
		resources := make([]any, 0, n)
		for _, s := range w.spans[:n] {
			resources = append(resources, s.json())
		}
		line, err := json.Marshal(map[string]any{"resourceSpans": resources})
		w.check(err)
		b.Write(append(line, '\n'))
		w.spans = w.spans[n:]
	}
	path := filepath.Join(w.dir, "traces.json")
	w.check(os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

func (s *Span) json() any {
	span := map[string]any{
		"traceId": hex.EncodeToString(s.Trace.TraceID[:]), "spanId": hex.EncodeToString(s.Trace.SpanID[:]),
		"parentSpanId": spanID(s.Parent), "name": s.Name, "kind": map[string]int{"server": 2, "client": 3}[s.Kind],
		"startTimeUnixNano": strconv.FormatInt(s.Start.UnixNano(), 10), "endTimeUnixNano": strconv.FormatInt(s.Start.UnixNano()+1e6, 10),
		"attributes": attributes(s.Attributes), "status": map[string]any{},
	}
	return map[string]any{
		"resource":   map[string]any{"attributes": attributes(map[string]string{"service.name": s.Service})},
		"scopeSpans": []any{map[string]any{"scope": map[string]any{"name": "otelgrpc"}, "spans": []any{span}}},
	}
}

func attributes(m map[string]string) []any {
	list := make([]any, 0, len(m))
	for key, value := range m {
		list = append(list, map[string]any{"key": key, "value": map[string]any{"stringValue": value}})
	}
	return list
}

func (w *World) noteIssued(c *trat.Claims, token *trat.Token) {
	event, link := "txn_token.issued", ""
	if c.ReplacementCount > 0 {
		event, link = "txn_token.replaced", callchain.Hash(c.CallChainHash).String()
	}
	line := fmt.Sprintf(`{"event.name":%q,"txn_token.req_wl":%q,"txn_token.txn":%q,"txn_token.fingerprint":%q,"txn_chain.link.hash":%q}`,
		event, c.RequestingWorkload, c.TransactionID, token.Fingerprint(), link)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.issued = append(w.issued, line)
}

// EditIssued may change what the token service has written.
func (w *World) EditIssued(edit func(lines []string) []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.issued = edit(w.issued)
}

// WriteIssued writes what an audit reads of the log of the token service, and returns the
// path.
func (w *World) WriteIssued() string {
	w.tb.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	path := filepath.Join(w.dir, "issued.jsonl")
	w.check(os.WriteFile(path, []byte(strings.Join(w.issued, "\n")+"\n"), 0o600))
	return path
}
