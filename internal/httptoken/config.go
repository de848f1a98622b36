package httptoken

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/outbound"
	"github.com/grpc-trat/grpc-trat/trat"
)

// DefaultRequestTimeout is how long one exchange may take.
const DefaultRequestTimeout = 10 * time.Second

// TokenService decides every request; *server.Server does. It identifies the caller by the
// context alone, and its errors are statuses made by internal/grpcerr. Safe for
// concurrent use.
type TokenService interface {
	// Exchange decides a request.
	Exchange(ctx context.Context, req *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error)
	// Refuse concludes one that was found bad for the given cause before it could become
	// an ExchangeRequest.
	Refuse(ctx context.Context, cause error) error
	// MayReadKeys returns nil for a caller who may have the keys.
	MayReadKeys(ctx context.Context) error
}

// Keys is the published key set; *keys.Ring is one. Safe for concurrent use.
type Keys interface {
	// Snapshot returns the JWK Set (RFC 7517) and its version.
	Snapshot() (jwks []byte, version uint64)
}

// Config is what a handler is made of. New reports all problems of it at once.
type Config struct {
	// Issuer is the iss of the tokens, exactly: an https URL without query and fragment.
	// Required.
	Issuer string
	// BaseURL is where the endpoints are: the paths /token and /jwks are below its own.
	// Default Issuer.
	BaseURL string
	// Service decides every request, the bad forms too. Required.
	Service TokenService
	// Keys is what /jwks publishes. Required.
	Keys Keys
	// Logger gets one record per request. Required.
	Logger *slog.Logger

	// RequestTimeout bounds one exchange; default DefaultRequestTimeout.
	RequestTimeout time.Duration
	// Clock defaults to time.Now.
	Clock trat.Clock
	// TracerProvider, MeterProvider and Propagator default to the global ones.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator
}

// New returns the handler of all endpoints. It trusts no request that does not bring a
// peer of package spiffecreds in its context, as those of Server do.
func New(cfg Config) (http.Handler, error) {
	h, err := newHandler(cfg)
	if err != nil {
		return nil, fmt.Errorf("httptoken: %w", err)
	}
	return h, nil
}

// complete fills the defaults in and returns every problem.
func (c *Config) complete() error {
	var problems []error
	required := func(name string, ok bool) {
		if !ok {
			problems = append(problems, fmt.Errorf("%s is required", name))
		}
	}
	required("Service", c.Service != nil)
	required("Keys", c.Keys != nil)
	required("Logger", c.Logger != nil)
	if err := checkURL("Issuer", c.Issuer); err != nil {
		problems = append(problems, err)
	}
	if c.BaseURL == "" {
		c.BaseURL = c.Issuer
	} else if err := checkURL("BaseURL", c.BaseURL); err != nil {
		problems = append(problems, err)
	}
	if c.RequestTimeout < 0 {
		problems = append(problems, fmt.Errorf("RequestTimeout %s is negative", c.RequestTimeout))
	}
	c.defaults()
	return errors.Join(problems...)
}

func (c *Config) defaults() {
	if c.RequestTimeout == 0 {
		c.RequestTimeout = DefaultRequestTimeout
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.Propagator == nil {
		c.Propagator = otel.GetTextMapPropagator()
	}
}

// checkURL wants what RFC 8414 section 2 says of an issuer.
func checkURL(name, text string) error {
	if err := outbound.CheckURL(text, outbound.URLRules{}); err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	return nil
}
