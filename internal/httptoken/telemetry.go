package httptoken

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// telemetry makes the span that Exchange annotates, as otelgrpc does for gRPC.
type telemetry struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	duration   metric.Float64Histogram
}

func newTelemetry(cfg Config) (*telemetry, error) {
	meter := cfg.MeterProvider.Meter(semconv.ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
	duration, err := semconv.HTTPServerDuration.Float64Histogram(meter)
	return &telemetry{
		tracer:     cfg.TracerProvider.Tracer(semconv.ScopeName, trace.WithSchemaURL(semconv.SchemaURL)),
		propagator: cfg.Propagator,
		duration:   duration,
	}, err
}

// spanOf is the name of a request's span and what is known from the start. path is that of
// an endpoint, or empty: the caller's own text goes nowhere.
func spanOf(r *http.Request, path string) (name string, attributes []attribute.KeyValue) {
	name = method(r)
	if name == semconv.OtherMethod {
		name = "HTTP"
	}
	attributes = identify(r, path)
	if path != "" {
		name += " " + path
		attributes = append(attributes, semconv.URLPath.String(path))
	}
	return name, attributes
}

// finish records how a request ended. A refusal that is the caller's fault does not make
// the span an error.
func (t *telemetry) finish(r *http.Request, path string, resp httpResponse, took time.Duration) {
	outcome := []attribute.KeyValue{semconv.HTTPResponseStatusCode.Int(resp.status)}
	if word := resp.errorType(); word != "" {
		outcome = append(outcome, semconv.ErrorType.String(word))
	}
	span := trace.SpanFromContext(r.Context())
	span.SetAttributes(outcome...)
	if resp.status >= http.StatusInternalServerError {
		span.SetStatus(otelcodes.Error, "")
	}
	t.duration.Record(r.Context(), took.Seconds(), metric.WithAttributes(append(identify(r, path), outcome...)...))
}

// errorType is the reason of a refusal, and the status code of a failure without one.
func (resp httpResponse) errorType() string {
	switch {
	case resp.reason != "":
		return string(resp.reason)
	case resp.status >= http.StatusInternalServerError:
		return strconv.Itoa(resp.status)
	}
	return ""
}

func identify(r *http.Request, path string) []attribute.KeyValue {
	attributes := []attribute.KeyValue{semconv.HTTPRequestMethod.String(method(r)), semconv.URLScheme.String("https")}
	if path != "" {
		attributes = append(attributes, semconv.HTTPRoute.String(path))
	}
	return attributes
}

// method is the request's, from a closed set.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return r.Method
	}
	return semconv.OtherMethod
}

// log writes one record per request: the endpoint, never the URL or anything in it.
func (h *handler) log(r *http.Request, path string, resp httpResponse, took time.Duration) {
	attributes := []slog.Attr{
		slog.String(string(semconv.HTTPRequestMethod), method(r)),
		slog.String(string(semconv.HTTPRoute), path),
		slog.Int(string(semconv.HTTPResponseStatusCode), resp.status),
		slog.String("duration", fmt.Sprint(took)),
	}
	if peer, ok := spiffecreds.PeerFromContext(r.Context()); ok {
		attributes = append(attributes, slog.String(string(semconv.ChainPeerID), peer.ID.String()))
	}
	if word := resp.errorType(); word != "" {
		attributes = append(attributes, slog.String(string(semconv.ErrorType), word))
	}
	h.logger.LogAttrs(r.Context(), slog.LevelInfo, "finished request", attributes...)
}
