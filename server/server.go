package server

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"buf.build/go/protovalidate"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/seats"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Server is a TokenService. Make one with New. Safe for concurrent use.
type Server struct {
	tratv1.UnimplementedTokenServiceServer

	trustDomain spiffeid.TrustDomain
	issuer      string
	keys        Keys
	policy      func() *policy.Policy
	subjects    Subjects
	auditor     Auditor
	logger      *slog.Logger
	clock       trat.Clock
	evaluators  map[string]Evaluator
	chains      *callchain.Verifier // of receipts

	validator  protovalidate.Validator
	pseudonyms *pseudonymizer
	telemetry  *telemetry
	rates      *rates
	exchanges  *seats.Seats
	responses  *responseCache

	watchers  *seats.Seats
	closed    chan struct{}
	closeOnce sync.Once
}

// New makes a Server. It does no I/O and starts no goroutine; the error names every
// problem of cfg.
func New(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	validator, err := protovalidate.New(
		protovalidate.WithMessages(&tratv1.ExchangeRequest{}), protovalidate.WithDisableLazy())
	if err != nil {
		return nil, fmt.Errorf("server: compile the request's constraints: %w", err)
	}
	chains, err := callchain.NewVerifier(cfg.Bundles, callchain.WithClock(cfg.Clock))
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	telemetry, err := newTelemetry(cfg.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return &Server{
		trustDomain: cfg.TrustDomain,
		issuer:      cfg.Issuer,
		keys:        cfg.Keys,
		policy:      cfg.Policy,
		subjects:    cfg.Subjects,
		auditor:     cfg.Auditor,
		logger:      cfg.Logger,
		clock:       cfg.Clock,
		evaluators:  maps.Clone(cfg.Evaluators),
		chains:      chains,
		validator:   validator,
		pseudonyms:  newPseudonymizer(slices.Clone(cfg.PseudonymKey), cfg.PseudonymPeriod),
		telemetry:   telemetry,
		rates:       newRates(cfg.RequestsPerSecond, cfg.Burst, maxRated, cfg.Clock()),
		exchanges:   seats.New(cfg.MaxConcurrent),
		responses:   newResponseCache(maxCachedResponses),
		watchers:    seats.New(cfg.MaxWatchers),
		closed:      make(chan struct{}),
	}, nil
}

// Register adds the TokenService to r.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	tratv1.RegisterTokenServiceServer(r, s)
}

// Close ends the open WatchKeys calls, and later ones after their first message, so
// that a graceful stop of the gRPC server can finish. Exchange goes on working. It can
// be called more than once.
func (s *Server) Close() {
	s.closeOnce.Do(func() { close(s.closed) })
}
