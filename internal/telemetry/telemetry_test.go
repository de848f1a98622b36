package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/trace"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var service = telemetry.Service{Name: "tratd", Version: "v1"}

// cleanEnvironment unsets what the machine may have set.
func cleanEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
		"OTEL_LOGS_EXPORTER", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
	} {
		t.Setenv(name, "")
	}
}

// collector is an OTLP receiver.
type collector struct {
	coltrace.UnimplementedTraceServiceServer
	spans chan *coltrace.ExportTraceServiceRequest
	logs  *logsCollector
}

func (c *collector) Export(_ context.Context, r *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	c.spans <- r
	return &coltrace.ExportTraceServiceResponse{}, nil
}

// metricsCollector takes metrics and forgets them.
type metricsCollector struct {
	colmetrics.UnimplementedMetricsServiceServer
}

func (metricsCollector) Export(context.Context, *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	return &colmetrics.ExportMetricsServiceResponse{}, nil
}

// logsCollector takes log records.
type logsCollector struct {
	collogs.UnimplementedLogsServiceServer
	records chan *collogs.ExportLogsServiceRequest
}

func (c *logsCollector) Export(_ context.Context, r *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	c.records <- r
	return &collogs.ExportLogsServiceResponse{}, nil
}

// startCollector returns a collector and its endpoint.
func startCollector(t *testing.T) (*collector, string) {
	t.Helper()
	c := &collector{
		spans: make(chan *coltrace.ExportTraceServiceRequest, 1),
		logs:  &logsCollector{records: make(chan *collogs.ExportLogsServiceRequest, 1)},
	}
	g := grpc.NewServer()
	coltrace.RegisterTraceServiceServer(g, c)
	colmetrics.RegisterMetricsServiceServer(g, metricsCollector{})
	collogs.RegisterLogsServiceServer(g, c.logs)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Serve(listener) })
	t.Cleanup(func() { g.Stop(); wg.Wait() })
	return c, "http://" + listener.Addr().String()
}

func TestEnvironmentDecidesWhatIsExported(t *testing.T) {
	_, endpoint := startCollector(t)
	tests := map[string]struct {
		env                   map[string]string
		traces, metrics, logs bool
		err                   string
	}{
		"nothing is set":       {},
		"one endpoint for all": {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}, traces: true, metrics: true, logs: true},
		"traces only":          {env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint}, traces: true},
		"metrics only":         {env: map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": endpoint}, metrics: true},
		"all but traces":       {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_EXPORTER": "none"}, metrics: true, logs: true},
		"logs only":            {env: map[string]string{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": endpoint}, logs: true},
		"all but logs":         {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_LOGS_EXPORTER": "none"}, traces: true, metrics: true},
		"disabled":             {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SDK_DISABLED": "true"}},
		"protocol grpc":        {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, traces: true, metrics: true, logs: true},
		"protocol of one signal": {
			env:    map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
			traces: true,
		},
		"protocol http": {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, err: "OTEL_EXPORTER_OTLP_PROTOCOL: only grpc is supported"},
		"protocols of all signals": {
			env: map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json",
				"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/json",
			},
			err: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: only grpc is supported\nOTEL_EXPORTER_OTLP_METRICS_PROTOCOL: only grpc is supported\n" +
				"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: only grpc is supported",
		},
		"another exporter": {env: map[string]string{"OTEL_METRICS_EXPORTER": "prometheus"}, err: "OTEL_METRICS_EXPORTER: only otlp and none are supported"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cleanEnvironment(t)
			for name, value := range tc.env {
				t.Setenv(name, value)
			}
			p, err := telemetry.Setup(t.Context(), service)
			if tc.err != "" {
				if err == nil || err.Error() != "telemetry: "+tc.err {
					t.Fatalf("got %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.HasPrefix(fmt.Sprintf("%T", p.Tracer), "*trace."); got != tc.traces {
				t.Errorf("traces are exported: %t (%T)", got, p.Tracer)
			}
			if got := strings.HasPrefix(fmt.Sprintf("%T", p.Meter), "*metric."); got != tc.metrics {
				t.Errorf("metrics are exported: %t (%T)", got, p.Meter)
			}
			_, noLogs := p.Logger.(lognoop.LoggerProvider)
			if p.LogsExported != tc.logs || noLogs == tc.logs {
				t.Errorf("logs are exported: %t (%T)", p.LogsExported, p.Logger)
			}
			if err := p.Shutdown(t.Context()); err != nil { // nothing was recorded
				t.Error(err)
			}
		})
	}
}

func TestSpansArriveWithTheServiceThatMadeThem(t *testing.T) {
	cleanEnvironment(t)
	c, endpoint := startCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=v2,deployment.environment.name=test")
	p, err := telemetry.Setup(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracer.Tracer("test").Start(t.Context(), "work")
	span.End()
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, attribute := range (<-c.spans).GetResourceSpans()[0].GetResource().GetAttributes() {
		got[attribute.GetKey()] = attribute.GetValue().GetStringValue()
	}
	for key, want := range map[string]string{"service.name": "tratd", "service.version": "v2", "deployment.environment.name": "test", "telemetry.sdk.language": "go"} {
		if got[key] != want {
			t.Errorf("%s = %q, want %q", key, got[key], want)
		}
	}
}

func TestLogRecordsArriveWithTheirSpan(t *testing.T) {
	cleanEnvironment(t)
	c, endpoint := startCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", endpoint)
	p, err := telemetry.Setup(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	var record log.Record
	record.SetEventName("txn_token.issued")
	record.SetSeverity(log.SeverityInfo)
	record.AddAttributes(attribute.String("txn_token.txn", "txn"))
	p.Logger.Logger("test").Emit(trace.ContextWithSpanContext(t.Context(), span), record)
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	from := (<-c.logs.records).GetResourceLogs()[0]
	got := from.GetScopeLogs()[0].GetLogRecords()[0]
	if got.GetEventName() != "txn_token.issued" || got.GetAttributes()[0].GetValue().GetStringValue() != "txn" ||
		got.GetTraceId()[0] != 1 || got.GetSpanId()[0] != 2 {
		t.Errorf("record %v", got)
	}
	name := ""
	for _, a := range from.GetResource().GetAttributes() {
		if a.GetKey() == "service.name" {
			name = a.GetValue().GetStringValue()
		}
	}
	if name != "tratd" {
		t.Errorf("service.name %q", name)
	}
}

// Covers PRIV-01.
func TestLoggerReplacesWhatLooksLikeAToken(t *testing.T) {
	const token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
	for _, format := range []telemetry.LogFormat{telemetry.JSON, telemetry.Text} {
		var out bytes.Buffer
		logger := telemetry.NewLogger(&out, slog.LevelDebug, format)
		logger = logger.With("with", "a "+token+" b").WithGroup("group")
		type deep struct{ Next *struct{ Token string } }
		logger.Debug("message "+token, "error", errors.New("cause "+token), "struct", struct{ Token string }{token},
			slog.Group("inner", "text", token), "bytes", 5, "duration", time.Second,
			"raw", []byte(token), "deep", deep{&struct{ Token string }{token}}, token, "as key", "list", []string{token})
		if strings.Contains(out.String(), "eyJ") || strings.Contains(out.String(), "ZXlK") || strings.Contains(out.String(), "c2lnbmF0dXJl") {
			t.Errorf("a token is in %s", out.String())
		}
		if !strings.Contains(out.String(), "a [redacted] b") || !strings.Contains(out.String(), "cause [redacted]") {
			t.Errorf("more than the token is gone: %s", out.String())
		}
		if format == telemetry.JSON && !json.Valid(out.Bytes()) {
			t.Errorf("no JSON any more: %s", out.String())
		}
	}
}

func TestLoggerNamesTheSpan(t *testing.T) {
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	var out bytes.Buffer
	logger := telemetry.NewLogger(&out, slog.LevelInfo, telemetry.JSON)
	logger.InfoContext(trace.ContextWithSpanContext(t.Context(), span), "in a span")
	logger.DebugContext(t.Context(), "not logged")
	logger.InfoContext(t.Context(), "in no span")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || strings.Contains(lines[1], "trace_id") {
		t.Fatalf("lines %q", lines)
	}
	var record map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &record); err != nil {
		t.Fatal(err)
	}
	if record["trace_id"] != "01000000000000000000000000000000" || record["span_id"] != "0200000000000000" {
		t.Errorf("record %v", record)
	}
}
