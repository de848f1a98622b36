package service

import (
	"context"
	"errors"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/grpc-trat/grpc-trat/trat/tratotel"
)

// startTelemetry exports spans and metrics over OTLP as the standard environment
// variables say (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_BSP_*, OTEL_RESOURCE_ATTRIBUTES...);
// without an endpoint nothing is recorded. The returned function sends what is left.
func startTelemetry(ctx context.Context, name string) (func(context.Context) error, error) {
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(
		propagation.TraceContext{}, propagation.Baggage{}))
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
		return func(context.Context) error { return nil }, nil
	}
	res, resErr := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", name)),
		resource.WithFromEnv(), resource.WithTelemetrySDK())
	spans, spansErr := otlptracegrpc.New(ctx)
	metrics, metricsErr := otlpmetricgrpc.New(ctx)
	if err := errors.Join(resErr, spansErr, metricsErr); err != nil {
		return nil, err
	}
	tracers := sdktrace.NewTracerProvider(
		// Every span of a transaction says so, also those of databases and the like.
		sdktrace.WithSpanProcessor(tratotel.NewSpanProcessor()),
		sdktrace.WithBatcher(spans), sdktrace.WithResource(res))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)), sdkmetric.WithResource(res))
	otel.SetTracerProvider(tracers)
	otel.SetMeterProvider(meters)
	return func(ctx context.Context) error {
		return errors.Join(tracers.Shutdown(ctx), meters.Shutdown(ctx))
	}, nil
}
