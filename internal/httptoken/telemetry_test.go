package httptoken_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/server/policy"
)

// metric returns the data of one metric, which must be there and of type A.
func metric[A metricdata.Aggregation](t *testing.T, f *fixture, name string) A {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := f.Metrics.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var found A
	var ok bool
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == name {
				found, ok = m.Data.(A)
			}
		}
	}
	if !ok {
		t.Fatalf("no metric %s of the type", name)
	}
	return found
}

func (f *fixture) sum(t *testing.T, name string) (sum int64) {
	t.Helper()
	for _, point := range metric[metricdata.Sum[int64]](t, f, name).DataPoints {
		sum += point.Value
	}
	return sum
}

func flat(set []attribute.KeyValue) map[string]string {
	m := make(map[string]string, len(set))
	for _, kv := range set {
		m[string(kv.Key)] = kv.Value.String()
	}
	return m
}

func TestExchangeOverHTTPIsASpanOfTheCallersTrace(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.serveHTTP(t), gateway)
	request := badForm{}.request(t)
	request.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if answer := do(t, client, request); answer.status != http.StatusOK {
		t.Fatal(answer.text)
	}
	spans := f.spans.GetSpans()
	if len(spans) != 1 {
		t.Fatalf("%d spans", len(spans))
	}
	span := spans[0]
	if span.Name != "POST /token" || span.SpanKind != trace.SpanKindServer || span.Status.Code != otelcodes.Unset ||
		span.Parent.SpanID().String() != "b7ad6b7169203331" || !span.Parent.IsRemote() ||
		span.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("span %q, %v, %v, parent %v", span.Name, span.SpanKind, span.Status, span.Parent)
	}
	got := flat(span.Attributes)
	for name, want := range map[string]string{
		"http.request.method": "POST", "http.route": "/token", "url.path": "/token", "url.scheme": "https",
		"http.response.status_code": "200",
		"txn_token.result":          "ok", "txn_token.req_wl": gateway.String(), // of Exchange
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if got["txn_token.txn"] == "" || got["error.type"] != "" {
		t.Errorf("attributes %v", got)
	}
}

func TestMetricsOfRequestsHaveClosedSetsOfValues(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.serveHTTP(t), gateway)
	for _, r := range []*http.Request{
		badForm{}.request(t),
		newRequest(t, http.MethodPost, "/token", ""),
		newRequest(t, "EVIL", "/chosen-by-the-caller", ""),
	} {
		do(t, client, r)
	}
	f.SetPolicy((*policy.Policy)(nil))
	do(t, client, badForm{}.request(t))
	got := make(map[string]uint64)
	for _, point := range metric[metricdata.Histogram[float64]](t, f, "http.server.request.duration").DataPoints {
		a := flat(point.Attributes.ToSlice())
		if len(a) > 5 || a["url.scheme"] != "https" {
			t.Errorf("attributes %v", a)
		}
		got[a["http.request.method"]+" "+a["http.route"]+" "+a["http.response.status_code"]+" "+a["error.type"]] = point.Count
	}
	want := map[string]uint64{
		"POST /token 200 ":                   1,
		"POST /token 415 PARAMETER_INVALID":  1,
		"_OTHER  404 ":                       1,
		"POST /token 503 POLICY_UNAVAILABLE": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	var names []string
	var last otelcodes.Code
	for _, span := range f.spans.GetSpans() {
		names, last = append(names, span.Name), span.Status.Code
	}
	if diff := cmp.Diff([]string{"POST /token", "POST /token", "HTTP", "POST /token"}, names); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if last != otelcodes.Error {
		t.Errorf("the span of an outage has status %v", last)
	}
}
