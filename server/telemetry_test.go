package server_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// collect returns the metrics by name.
func (f *fixture) collect(t *testing.T) map[string]metricdata.Aggregation {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := f.Metrics.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]metricdata.Aggregation)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			found[m.Name] = m.Data
		}
	}
	return found
}

// data returns the values of a metric, which must be there and of type A.
func data[A metricdata.Aggregation](t *testing.T, metrics map[string]metricdata.Aggregation, name string) A {
	t.Helper()
	values, ok := metrics[name].(A)
	if !ok {
		t.Fatalf("%s is a %T", name, metrics[name])
	}
	return values
}

// counter returns the sum over all attribute sets.
func (f *fixture) counter(t *testing.T, name string) (sum int64) {
	t.Helper()
	for _, point := range data[metricdata.Sum[int64]](t, f.collect(t), name).DataPoints {
		sum += point.Value
	}
	return sum
}

// counts returns the values of a counter by their attributes, as JSON.
func (f *fixture) counts(t *testing.T, name string) map[string]int64 {
	t.Helper()
	counts := make(map[string]int64)
	for _, point := range data[metricdata.Sum[int64]](t, f.collect(t), name).DataPoints {
		text, err := json.Marshal(flat(point.Attributes.ToSlice()))
		if err != nil {
			t.Fatal(err)
		}
		counts[string(text)] = point.Value
	}
	return counts
}

// values returns how many values a histogram has.
func (f *fixture) values(t *testing.T, name string) (n uint64) {
	t.Helper()
	for _, point := range data[metricdata.Histogram[float64]](t, f.collect(t), name).DataPoints {
		n += point.Count
	}
	return n
}

func flat(set []attribute.KeyValue) map[string]string {
	m := make(map[string]string, len(set))
	for _, kv := range set {
		m[string(kv.Key)] = kv.Value.String()
	}
	return m
}

func TestMetricsOfADecision(t *testing.T) {
	f := newFixture(t)
	if _, err := f.Server.Exchange(f.as(t, gateway), goodRequest()); err != nil {
		t.Fatal(err)
	}
	foreign := goodRequest()
	foreign.RequestId, foreign.SubjectTokenType = "", "urn:x:chosen-by-the-caller"
	for range 2 {
		if _, err := f.Server.Exchange(f.as(t, gateway), foreign); err == nil {
			t.Fatal("no error")
		}
	}
	got := f.counts(t, "txn_token.issuances")
	want := map[string]int64{
		`{"txn_token.result":"ok","txn_token.subject_token_type":"urn:ietf:params:oauth:token-type:access_token"}`:            1,
		`{"error.type":"SUBJECT_TOKEN_TYPE_UNSUPPORTED","txn_token.result":"denied","txn_token.subject_token_type":"_OTHER"}`: 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("txn_token.issuances (-want +got):\n%s", diff)
	}
	for name, count := range map[string]uint64{"txn_token.issuance.duration": 3, "txn_token.lifetime": 1} {
		if sum := f.values(t, name); sum != count {
			t.Errorf("%s has %d values, want %d", name, sum, count)
		}
	}
	if size := data[metricdata.Histogram[int64]](t, f.collect(t), "txn_token.token.size").DataPoints[0]; size.Count != 1 || size.Sum < 300 || size.Sum > 700 {
		t.Errorf("txn_token.token.size: %d values, sum %d", size.Count, size.Sum)
	}
}

// ended is a SpanProcessor that hands every span on, in the order in which they end.
type ended chan sdktrace.ReadOnlySpan

func (ended) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (e ended) OnEnd(s sdktrace.ReadOnlySpan) { e <- s }

func (ended) Shutdown(context.Context) error { return nil }

func (ended) ForceFlush(context.Context) error { return nil }

// endedSpans waits for the spans of n calls, one call after the other: a span ends a moment
// after its caller has the answer. It returns them in the order of the calls.
func (f *fixture) endedSpans(n int) tracetest.SpanStubs {
	spans := make([]sdktrace.ReadOnlySpan, n)
	for i := range spans {
		spans[i] = <-f.spans
	}
	slices.SortFunc(spans, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	return tracetest.SpanStubsFromReadOnlySpans(spans)
}

// Covers PRIV-01, PRIV-02, PRIV-03.
func TestSpanTellsTheDecisionAndNoSecret(t *testing.T) {
	f := newFixture(t)
	client := f.dial(t, f.serve(t), gateway)
	response, err := client.Exchange(t.Context(), goodRequest())
	if err != nil {
		t.Fatal(err)
	}
	denied := goodRequest()
	denied.RequestId, denied.Scope = "req-2", "order.delete"
	if _, err := client.Exchange(t.Context(), denied); err == nil {
		t.Fatal("no error")
	}
	token := f.verify(t, response.GetAccessToken())

	spans := f.endedSpans(2)
	got := flat(spans[0].Attributes)
	for key, want := range map[string]string{
		"txn_token.result":             "ok",
		"txn_token.txn":                token.TransactionID(),
		"txn_token.req_wl":             gateway.String(),
		"txn_token.subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
		"txn_token.remaining_lifetime": "15",
	} {
		if got[key] != want {
			t.Errorf("%s = %q, want %q", key, got[key], want)
		}
	}
	if len(got["txn_token.hash"]) != 16 || got["txn_token.size"] == "" {
		t.Errorf("attributes %v", got)
	}
	if got := flat(spans[1].Attributes); got["txn_token.result"] != "denied" || got["error.type"] != "SCOPE_EXCEEDED" {
		t.Errorf("attributes of the refusal: %v", got)
	}
	for _, span := range spans {
		text, err := json.Marshal(span)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"eyJ", "alice", "192.0.2.1", "9007199254740993"} {
			if contains(string(text), secret) {
				t.Errorf("%q is in span %s", secret, text)
			}
		}
		if len(span.Events) != 0 {
			t.Errorf("span has events: %v", span.Events)
		}
	}
}
