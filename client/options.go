package client

import (
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Option tunes a Client. Options cannot loosen a check: what is trusted is in
// Config. Of the same option given twice the later one holds, unless it says
// otherwise. A nil value is an error.
type Option interface{ apply(*options) error }

type options struct {
	clock    trat.Clock
	log      *slog.Logger
	meters   metric.MeterProvider
	tracers  trace.TracerProvider
	verifier []trat.VerifierOption
	dial     []grpc.DialOption
	silence  time.Duration
	keyWait  time.Duration
}

func newOptions(opts []Option) (*options, []error) {
	o := &options{
		clock:   time.Now,
		log:     slog.Default(),
		meters:  otel.GetMeterProvider(),
		tracers: otel.GetTracerProvider(),
		silence: maxSilence,
		keyWait: maxKeyWait,
	}
	var problems []error
	for _, opt := range opts {
		if opt == nil {
			problems = append(problems, trat.Errorf(trat.ReasonParameterInvalid, "Option", "nil"))
			continue
		}
		if err := opt.apply(o); err != nil {
			problems = append(problems, err)
		}
	}
	return o, problems
}

type optionFunc func(*options) error

func (f optionFunc) apply(o *options) error { return f(o) }

func nilOption(name string) error {
	return trat.Errorf(trat.ReasonParameterInvalid, name, "nil")
}

// WithClock sets the clock that key ages, tokens, certificates and the times of
// self-signed tokens are judged by; the default is time.Now. It must be safe for
// concurrent use. Network timeouts do not follow it.
func WithClock(clock trat.Clock) Option {
	return optionFunc(func(o *options) error {
		if clock == nil {
			return nilOption("WithClock")
		}
		o.clock = clock
		return nil
	})
}

// WithLogger sets where the key watch tells what happened to it, and Exchange that
// an answer was refused; the default is slog.Default. Records never hold a
// token, a claim or a key.
func WithLogger(log *slog.Logger) Option {
	return optionFunc(func(o *options) error {
		if log == nil {
			return nilOption("WithLogger")
		}
		o.log = log
		return nil
	})
}

// WithMeterProvider sets where metrics go; the default is OpenTelemetry's global
// provider, as it is when New is called.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(o *options) error {
		if p == nil {
			return nilOption("WithMeterProvider")
		}
		o.meters = p
		return nil
	})
}

// WithTracerProvider sets where the span of an Exchange call goes; the default is
// OpenTelemetry's global provider, as it is when New is called. The key watch,
// which lasts as long as the connection, has no span.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(o *options) error {
		if p == nil {
			return nilOption("WithTracerProvider")
		}
		o.tracers = p
		return nil
	})
}

// WithVerifierOptions passes options to the trat.Verifier, after the clock. It
// adds to those given before.
func WithVerifierOptions(opts ...trat.VerifierOption) Option {
	return optionFunc(func(o *options) error {
		o.verifier = append(o.verifier, opts...)
		return nil
	})
}

// WithDialOptions passes options to the connection, for a resolver or a user agent
// for instance. It adds to those given before. They come before the Client's own,
// so they cannot replace its transport credentials, and each call checks the
// pinned SPIFFE ID again.
func WithDialOptions(opts ...grpc.DialOption) Option {
	return optionFunc(func(o *options) error {
		for _, opt := range opts {
			if opt == nil {
				return nilOption("WithDialOptions")
			}
		}
		o.dial = append(o.dial, opts...)
		return nil
	})
}
