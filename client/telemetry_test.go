package client_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// collect returns this module's metrics by name.
func collect(t *testing.T, reader metric.Reader) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]metricdata.Metrics)
	for _, scope := range all.ScopeMetrics {
		if scope.Scope.Name != "github.com/grpc-trat/grpc-trat" {
			continue
		}
		for _, m := range scope.Metrics {
			found[m.Name] = m
		}
	}
	return found
}

func refreshes(t *testing.T, reader metric.Reader) map[string]int64 {
	t.Helper()
	sum, ok := collect(t, reader)["txn_token.keys.refreshes"].Data.(metricdata.Sum[int64])
	if !ok {
		return nil
	}
	counts := make(map[string]int64)
	for _, p := range sum.DataPoints {
		result, _ := p.Attributes.Value("txn_token.result")
		reason, _ := p.Attributes.Value("error.type")
		counts[strings.TrimSpace(result.AsString()+" "+reason.AsString())] = p.Value
	}
	return counts
}

func TestKeyMetrics(t *testing.T) {
	reader := metric.NewManualReader()
	meters := metric.NewMeterProvider(metric.WithReader(reader))
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, log := f.ready(t, client.WithMeterProvider(meters))

	f.publish(f.keys(1))
	f.publish(f.keys(2))
	log.wait(1, "txn_token.keys.refreshed", "version=2")
	f.publish(f.keys(0))
	log.wait(1, "a key set was refused")
	f.domain.Advance(42 * time.Second)

	age, ok := collect(t, reader)["txn_token.keys.age"].Data.(metricdata.Gauge[float64])
	if !ok || len(age.DataPoints) != 1 || age.DataPoints[0].Value != 42 || age.DataPoints[0].Attributes.Len() != 0 {
		t.Errorf("txn_token.keys.age = %+v", age)
	}
	want := map[string]int64{"ok": 3, "error KEYS_UNAVAILABLE": 1}
	if diff := cmp.Diff(want, refreshes(t, reader)); diff != "" {
		t.Errorf("txn_token.keys.refreshes (-want +got):\n%s", diff)
	}

	f.stop()
	log.wait(2, watchTrouble)
	if n := refreshes(t, reader)["error DEPENDENCY_UNAVAILABLE"]; n < 2 {
		t.Errorf("%d interruptions counted", n)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := collect(t, reader)["txn_token.keys.age"]; ok {
		t.Error("the age is observed after Close")
	}
}

func TestExchangeHasOneSpanAndMarksTheCallers(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracers := trace.NewTracerProvider(trace.WithSpanProcessor(recorder))
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t, client.WithTracerProvider(tracers))

	ctx, span := tracers.Tracer("test").Start(timeout(t), "gateway")
	token, err := c.Exchange(ctx, request())
	if err != nil {
		t.Fatal(err)
	}
	span.End()
	if err := c.Close(); err != nil { // ends the watch, which must have no span
		t.Fatal(err)
	}

	var names []string
	for _, s := range recorder.Ended() {
		names = append(names, s.Name())
		for _, a := range s.Attributes() {
			if strings.Contains(a.Value.String(), "eyJ") {
				t.Errorf("%s of %s holds a token", a.Key, s.Name())
			}
		}
	}
	if diff := cmp.Diff([]string{"trat.v1.TokenService/Exchange", "gateway"}, names); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	got := make(map[attribute.Key]attribute.Value)
	for _, a := range recorder.Ended()[1].Attributes() {
		got[a.Key] = a.Value
	}
	if got["txn_token.txn"].AsString() != token.TransactionID() || got["txn_token.size"].AsInt64() != int64(token.Size()) {
		t.Errorf("attributes = %v", got)
	}
	if hash := got["txn_token.hash"].AsString(); len(hash) != 16 || strings.Trim(hash, "0123456789abcdef") != "" {
		t.Errorf("txn_token.hash = %q", hash)
	}
}

func TestRefusedExchangeLeavesTheCallersSpanAlone(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracers := trace.NewTracerProvider(trace.WithSpanProcessor(recorder))
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	ctx, span := tracers.Tracer("test").Start(t.Context(), "gateway")
	if _, err := c.Exchange(ctx, client.Request{}); err == nil {
		t.Fatal("no error")
	}
	span.End()
	if n := len(recorder.Ended()[0].Attributes()); n != 0 {
		t.Errorf("%d attributes", n)
	}
}
