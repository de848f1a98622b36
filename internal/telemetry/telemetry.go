// Package telemetry sets up what a program of this module exports: OpenTelemetry's SDK
// with OTLP over gRPC, configured by OpenTelemetry's own environment variables, and
// structured logs. Libraries do not use it: they take the API's providers.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// Service names the program in what it exports, unless OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES say otherwise.
type Service struct {
	Name    string
	Version string
}

// Providers are what instrumentation is made with. A signal that is not exported has a
// no-op provider, so that it costs nothing.
type Providers struct {
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	// Logger is for records that are made as OpenTelemetry's, such as audit records. The
	// log of operations does not go there: see NewLogger.
	Logger log.LoggerProvider
	// LogsExported says whether Logger is exported: who relies on it can refuse to start.
	LogsExported bool
	// Propagators are W3C trace context and baggage, and no other format.
	Propagators propagation.TextMapPropagator

	shutdown []func(context.Context) error
}

// Setup reads the environment: a signal, TRACES, METRICS or LOGS, is exported when
// OTEL_EXPORTER_OTLP_ENDPOINT or its own OTEL_EXPORTER_OTLP_<signal>_ENDPOINT is set, and
// neither OTEL_SDK_DISABLED is true nor OTEL_<signal>_EXPORTER is none. Headers, TLS,
// intervals and samplers are OpenTelemetry's variables too. Only the protocol grpc is
// supported: another one is an error, and so is everything else that would make a configured
// export silently not happen. It does not wait for the collector.
func Setup(ctx context.Context, service Service) (*Providers, error) {
	p := &Providers{
		Tracer:      tracenoop.NewTracerProvider(),
		Meter:       metricnoop.NewMeterProvider(),
		Logger:      lognoop.NewLoggerProvider(),
		Propagators: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}
	signals := []struct {
		name   string
		export func(context.Context, *resource.Resource) error
	}{{"TRACES", p.exportTraces}, {"METRICS", p.exportMetrics}, {"LOGS", p.exportLogs}}
	var exports []func(context.Context, *resource.Resource) error
	var problems []error
	for _, signal := range signals {
		ok, err := exported(signal.name)
		if ok {
			exports = append(exports, signal.export)
		}
		// A variable that all signals have is one problem.
		if err != nil && !slices.ContainsFunc(problems, func(e error) bool { return e.Error() == err.Error() }) {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	if len(exports) == 0 {
		return p, nil
	}
	res, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", service.Name),
			attribute.String("service.version", service.Version),
		),
		resource.WithFromEnv(), // last: it has the final say
	)
	if err != nil {
		return nil, fmt.Errorf("telemetry: resource: %w", err)
	}
	for _, export := range exports {
		if err := export(ctx, res); err != nil {
			return nil, fmt.Errorf("telemetry: %w", errors.Join(err, p.Shutdown(ctx)))
		}
	}
	return p, nil
}

func (p *Providers) exportTraces(ctx context.Context, res *resource.Resource) error {
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return fmt.Errorf("trace exporter: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))
	p.Tracer = provider
	p.shutdown = append(p.shutdown, provider.Shutdown)
	return nil
}

func (p *Providers) exportMetrics(ctx context.Context, res *resource.Resource) error {
	exporter, err := otlpmetricgrpc.New(ctx)
	if err != nil {
		return fmt.Errorf("metric exporter: %w", err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)), sdkmetric.WithResource(res))
	p.Meter = provider
	p.shutdown = append(p.shutdown, provider.Shutdown)
	return nil
}

func (p *Providers) exportLogs(ctx context.Context, res *resource.Resource) error {
	exporter, err := otlploggrpc.New(ctx)
	if err != nil {
		return fmt.Errorf("log exporter: %w", err)
	}
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)), sdklog.WithResource(res))
	p.Logger, p.LogsExported = provider, true
	p.shutdown = append(p.shutdown, provider.Shutdown)
	return nil
}

// Shutdown sends what is pending, until ctx is done, and ends the export.
func (p *Providers) Shutdown(ctx context.Context) error {
	var problems []error
	for _, shutdown := range p.shutdown {
		problems = append(problems, shutdown(ctx))
	}
	return errors.Join(problems...)
}

// exported reports whether the environment asks for a signal, TRACES, METRICS or LOGS.
func exported(signal string) (bool, error) {
	if os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return false, nil
	}
	switch exporter := os.Getenv("OTEL_" + signal + "_EXPORTER"); exporter {
	case "none":
		return false, nil
	case "", "otlp":
	default:
		return false, fmt.Errorf("OTEL_%s_EXPORTER: only otlp and none are supported", signal)
	}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") == "" {
		return false, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch os.Getenv(name) {
		case "":
		case "grpc":
			return true, nil
		default:
			return false, fmt.Errorf("%s: only grpc is supported", name)
		}
	}
	return true, nil
}

// LogErrors sends the errors of OpenTelemetry's background work, such as a collector
// that does not answer, to logger. It is global to the process.
func LogErrors(logger *slog.Logger) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		logger.Warn("telemetry is not exported", "error", err)
	}))
}
