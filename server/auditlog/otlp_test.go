package auditlog

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

// kept is an exporter that keeps what it gets.
type kept struct{ records []sdklog.Record }

func (k *kept) Export(_ context.Context, records []sdklog.Record) error {
	for _, r := range records {
		k.records = append(k.records, r.Clone())
	}
	return nil
}
func (*kept) Shutdown(context.Context) error   { return nil }
func (*kept) ForceFlush(context.Context) error { return nil }

// Covers TTS-42.
func TestOTLPHasWhatTheLogHas(t *testing.T) {
	exporter := &kept{}
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(exporter)))
	auditor := NewOTLP(provider)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	full := fullRecord(t)
	refused := server.Record{Time: testTime, Reason: trat.ReasonIssuanceDenied, Requester: "spiffe://shop.test/gateway"}
	for _, r := range []server.Record{full, refused} {
		if err := auditor.Record(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if len(exporter.records) != 2 {
		t.Fatalf("%d records", len(exporter.records))
	}
	for i, want := range []struct {
		record         server.Record
		event, message string
		severity       log.Severity
	}{
		{full, "txn_token.replaced", "Transaction Token replaced", log.SeverityInfo},
		{refused, "txn_token.issuance.denied", "Transaction Token refused", log.SeverityWarn},
	} {
		got := exporter.records[i]
		if got.EventName() != want.event || got.Severity() != want.severity || got.Body().AsString() != want.message ||
			!got.Timestamp().Equal(want.record.Time) || got.TraceID() != span.TraceID() || got.SpanID() != span.SpanID() {
			t.Errorf("record %+v", got)
		}
		values := make(map[string]any)
		got.WalkAttributes(func(a attribute.KeyValue) bool {
			values[string(a.Key)] = a.Value.AsInterface()
			return true
		})
		wanted := make(map[string]any)
		for _, f := range fields {
			v, ok := f.value(&want.record)
			switch {
			case !ok:
			case v.Kind() == slog.KindTime:
				wanted[f.key] = v.Time().Format(time.RFC3339Nano)
			default:
				wanted[f.key] = v.Any()
			}
		}
		if diff := cmp.Diff(wanted, values); diff != "" {
			t.Errorf("attributes (-want +got):\n%s", diff)
		}
	}
}

func TestOTLPReportsThatNothingIsExported(t *testing.T) {
	if err := NewOTLP(noop.NewLoggerProvider()).Record(t.Context(), server.Record{}); err == nil {
		t.Error("no error")
	}
}

// auditorFunc is an auditor.
type auditorFunc func() error

func (f auditorFunc) Record(context.Context, server.Record) error { return f() }

// Covers TTS-42.
func TestTeeGivesTheRecordToAll(t *testing.T) {
	full, down := errors.New("disk full"), errors.New("collector down")
	var got []string
	sink := func(name string, err error) server.Auditor {
		return auditorFunc(func() error {
			got = append(got, name)
			return err
		})
	}
	err := Tee(sink("a", full), auditorFunc(func() error { panic("secret") }), sink("b", nil), sink("c", down)).Record(t.Context(), server.Record{})
	if !errors.Is(err, full) || !errors.Is(err, down) || !strings.Contains(err.Error(), "panic") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got by %q", got)
	}
	if err := Tee(sink("a", nil)).Record(t.Context(), server.Record{}); err != nil {
		t.Error(err)
	}
	if err := Tee().Record(t.Context(), server.Record{}); err == nil {
		t.Error("a record that is kept nowhere is no error")
	}
}
