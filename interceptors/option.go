package interceptors

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// ServerOption tunes a Server. Options only tune: what trust rests on is in
// ServerConfig, and what loosens is named Unsafe.
type ServerOption interface{ applyServer(*Server) error }

// ClientOption tunes a Client.
type ClientOption interface{ applyClient(*Client) error }

// EdgeOption tunes an Edge.
type EdgeOption interface{ applyEdge(*Edge) error }

// Option tunes a Server, a Client or an Edge.
type Option interface {
	ServerOption
	ClientOption
	EdgeOption
}

// settings are what Server, Client and Edge have in common.
type settings struct {
	clock         trat.Clock
	logger        *slog.Logger
	meters        metric.MeterProvider
	maxHeaderList uint32
	logs          *limitedLog // of refusals that are not laid to one peer
}

func defaultSettings() settings {
	return settings{
		clock:         time.Now,
		logger:        slog.Default(),
		meters:        otel.GetMeterProvider(),
		maxHeaderList: DefaultMaxHeaderListSize,
		logs:          newLimitedLog(),
	}
}

// meter returns the meter of this module's scope.
func (s *settings) meter() metric.Meter {
	return s.meters.Meter(semconv.ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
}

type sharedOption func(*settings) error

func (o sharedOption) applyServer(s *Server) error { return o(&s.settings) }
func (o sharedOption) applyClient(c *Client) error { return o(&c.settings) }
func (o sharedOption) applyEdge(e *Edge) error     { return o(&e.settings) }

// WithLogger sets where refusals are logged; the default is slog.Default(). Records
// have constant messages and hold no token, subject or claim value but, of a verified
// token, its transaction id.
func WithLogger(logger *slog.Logger) Option {
	return sharedOption(func(s *settings) error {
		if logger == nil {
			return errors.New("WithLogger: nil logger")
		}
		s.logger = logger
		return nil
	})
}

// WithClock sets the time source; the default is time.Now.
func WithClock(clock trat.Clock) Option {
	return sharedOption(func(s *settings) error {
		if clock == nil {
			return errors.New("WithClock: nil clock")
		}
		s.clock = clock
		return nil
	})
}

// WithMeterProvider sets where metrics go; the default is the global provider at the
// time of construction. Spans need no provider: those of otelgrpc are annotated.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return sharedOption(func(s *settings) error {
		if provider == nil {
			return errors.New("WithMeterProvider: nil provider")
		}
		s.meters = provider
		return nil
	})
}

// WithMaxHeaderListSize sets the header list that is accepted, in bytes as HTTP/2
// counts them; the default is DefaultMaxHeaderListSize. Less than 8 KiB is refused:
// the carrier sends that much.
func WithMaxHeaderListSize(bytes uint32) Option {
	return sharedOption(func(s *settings) error {
		if bytes < 8<<10 {
			return fmt.Errorf("WithMaxHeaderListSize: %d bytes, at least %d", bytes, 8<<10)
		}
		s.maxHeaderList = bytes
		return nil
	})
}

type serverOption func(*Server) error

func (o serverOption) applyServer(s *Server) error { return o(s) }

// UnsafeAllowPeerTrustDomain lets mTLS peers of another trust domain call, each with a
// TraT of this one. Repeated use adds trust domains. NewServer logs each.
func UnsafeAllowPeerTrustDomain(td spiffeid.TrustDomain) ServerOption {
	return serverOption(func(s *Server) error {
		if td.IsZero() {
			return errors.New("UnsafeAllowPeerTrustDomain: no trust domain")
		}
		s.foreign[td] = true
		return nil
	})
}

// WithFailureLimit bounds what one peer can make the guard spend on bad tokens and chains:
// after burst of them the guard refuses that peer's calls with RATE_LIMITED, without
// verifying, until its allowance of perSecond has grown again. Malformed and invalid tokens
// count, and of chains what cannot be read as one, or has a bad certificate or signature.
// What has expired does not, nor a chain that is of another call; a peer that sends only good
// ones is never limited, and neither is one peer for another's. A peer is a SPIFFE ID:
// replicas that share one share its allowance. The default is 10 per second and 100.
func WithFailureLimit(perSecond float64, burst int) ServerOption {
	return serverOption(func(s *Server) error {
		if !(perSecond > 0) || math.IsInf(perSecond, 0) || burst < 1 {
			return fmt.Errorf("WithFailureLimit: %v per second and %d, both must be positive and finite", perSecond, burst)
		}
		s.failures.perSecond, s.failures.burst = perSecond, burst
		return nil
	})
}

// WithScopeAttribute adds the token's scope to server spans. It may reveal what the
// business does, so it is off by default.
func WithScopeAttribute() ServerOption {
	return serverOption(func(s *Server) error {
		s.telemetry.withScope = true
		return nil
	})
}

// InstalledByHand says that the program gives Unary and Stream to the server itself,
// both of them and on every server, instead of ServerOptions. Nothing can tell whether
// it does: if it does not, its methods are open to everybody, and CheckCoverage passes
// all the same. The limit of the header list is then the program's to set too.
func InstalledByHand() ServerOption {
	return serverOption(func(s *Server) error {
		s.installed.Store(true)
		return nil
	})
}

type clientOption func(*Client) error

func (o clientOption) applyClient(c *Client) error { return o(c) }

// UnsafeAllowServerTrustDomain lets TraTs go to servers of another trust domain, where
// they mean nothing and can be stolen. Repeated use adds trust domains. NewClient logs
// each.
func UnsafeAllowServerTrustDomain(td spiffeid.TrustDomain) ClientOption {
	return clientOption(func(c *Client) error {
		if td.IsZero() {
			return errors.New("UnsafeAllowServerTrustDomain: no trust domain")
		}
		c.foreign[td] = true
		return nil
	})
}

// WithoutToken names a method, "/pkg.Service/Method", that is called without a TraT,
// even when the context has one, and to any server. The reason why must not be empty.
// Health checks need no WithoutToken, nor does a method that is exempt in its proto file when
// the context has no TraT (Client): WithoutToken is for what this program keeps its TraTs from.
func WithoutToken(fullMethod, why string) ClientOption {
	return clientOption(func(c *Client) error {
		if why == "" {
			return fmt.Errorf("WithoutToken: %q needs its reason", fullMethod)
		}
		if err := exactMethod(fullMethod); err != nil {
			return fmt.Errorf("WithoutToken: %w", err)
		}
		c.withoutToken[fullMethod] = true
		return nil
	})
}
