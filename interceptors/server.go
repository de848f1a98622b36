package interceptors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// ServerConfig holds what the guard's trust rests on. Every field is required.
type ServerConfig struct {
	// Verifier decides about tokens and names the trust domain. Its leeway (trat.WithLeeway)
	// is that of links too.
	Verifier *trat.Verifier
	// SVIDs is this workload's own identity, in the same trust domain. It must be able
	// to answer when NewServer is called.
	SVIDs x509svid.Source
	// Bundles holds the authorities that other workloads' certificates chain to, the
	// own trust domain's among them when NewServer is called.
	Bundles x509bundle.Source
}

// Server is the guard of one gRPC server. It is safe for concurrent use. Until
// CheckCoverage has passed it denies everything but health checks.
type Server struct {
	settings
	verifier    *trat.Verifier
	svids       x509svid.Source
	bundles     x509bundle.Source
	trustDomain spiffeid.TrustDomain
	foreign     map[spiffeid.TrustDomain]bool
	rules       Rules
	failures    failures
	id          spiffeid.ID // this workload: the audience of links
	chains      *callchain.Verifier
	chainLog    callchain.Recorder // nil: none
	replays     replays
	streams     streams
	evaluations evaluations
	telemetry   serverTelemetry
	misconfig   *rate.Limiter // of the log line about a method without a rule
	unchecked   *rate.Limiter // of the log line about coverage

	// installed says that the interceptors were asked for, or are there by hand.
	installed atomic.Bool
	// methods is what CheckCoverage compiled: the registered methods by full name. Nil
	// until it has passed.
	methods atomic.Pointer[map[string]*method]

	loosened map[string]loosening // by UnsafeEnforcement, by key
	overlays []Overlay
	// tightening is held to change enforced, how strictly each method is guarded by its full
	// name, of whatever coverage check, and methods.
	tightening sync.Mutex
	enforced   map[string]*atomic.Uint32
	// health and unregistered stand for the methods that are not in methods.
	health, unregistered *method
}

// NewServer makes a guard. rules may be empty, where everything stands in proto files, but
// not nil. All problems of config, rules and options are reported at once; what depends on
// the methods that the rules are for, CheckCoverage reports.
func NewServer(cfg ServerConfig, rules Rules, opts ...ServerOption) (*Server, error) {
	s := &Server{
		settings:  defaultSettings(),
		verifier:  cfg.Verifier,
		svids:     cfg.SVIDs,
		bundles:   cfg.Bundles,
		foreign:   make(map[spiffeid.TrustDomain]bool),
		rules:     maps.Clone(rules),
		loosened:  make(map[string]loosening),
		enforced:  make(map[string]*atomic.Uint32),
		misconfig: rate.NewLimiter(rate.Every(time.Minute), 1),
		unchecked: rate.NewLimiter(rate.Every(time.Minute), 1),
		replays:   replays{limit: defaultReplayLimit, overflow: ReplayOverflowAllow, logs: newLimitedLog()},
	}
	s.failures.init()
	problems := []error{s.checkConfig()}
	if rules == nil {
		problems = append(problems, errors.New("rules are nil; an empty map leaves it to proto files"))
	}
	for _, key := range sortedKeys(rules) {
		problems = append(problems, rules[key].validate(key))
	}
	for _, opt := range opts {
		if opt == nil {
			problems = append(problems, errors.New("nil option"))
			continue
		}
		problems = append(problems, opt.applyServer(s))
	}
	problems = append(problems, s.initChains(), s.evaluations.init(s.meter()), s.telemetry.init(s), s.streams.init(s.meter()))
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("interceptors: new guard: %w", err)
	}
	s.health = newMethod("", Exempt(healthWhy), nil)
	s.unregistered = newMethod("", Rule{}, nil)
	for td := range s.foreign {
		s.logger.Warn("TraT guard admits peers of another trust domain", "trust_domain", td.Name())
	}
	return s, nil
}

// checkConfig validates the required inputs and sets the trust domain.
func (s *Server) checkConfig() error {
	var problems []error
	if s.verifier == nil {
		problems = append(problems, errors.New("no Verifier"))
	} else {
		td, err := spiffeid.TrustDomainFromString(s.verifier.TrustDomain())
		if err != nil {
			problems = append(problems, fmt.Errorf("the Verifier's trust domain: %w", err))
		}
		s.trustDomain = td
	}
	id, err := checkIdentity(s.svids, s.trustDomain)
	s.id = id
	problems = append(problems, err)
	switch {
	case s.bundles == nil:
		problems = append(problems, errors.New("no Bundles"))
	case !s.trustDomain.IsZero():
		if _, err := s.bundles.GetX509BundleForTrustDomain(s.trustDomain); err != nil {
			problems = append(problems, fmt.Errorf("bundle of the own trust domain: %w", err))
		}
	}
	return errors.Join(problems...)
}

// initChains makes what judges call chains, after all options were applied.
func (s *Server) initChains() error {
	once := slices.ContainsFunc(slices.Collect(maps.Values(s.rules)), func(r Rule) bool { return r.data.Replay == rules.ReplayOnce })
	problems := []error{s.replays.init(s.clock, once)}
	if s.bundles != nil && s.verifier != nil {
		var err error
		s.chains, err = callchain.NewVerifier(s.bundles, callchain.WithClock(s.clock), callchain.WithLeeway(s.verifier.Leeway()))
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// checkIdentity demands an own SVID in td and returns whose it is; a zero td is somebody
// else's problem.
func checkIdentity(svids x509svid.Source, td spiffeid.TrustDomain) (spiffeid.ID, error) {
	if svids == nil {
		return spiffeid.ID{}, errors.New("no SVIDs")
	}
	svid, err := svids.GetX509SVID()
	if err != nil {
		return spiffeid.ID{}, fmt.Errorf("own X.509-SVID: %w", err)
	}
	if !td.IsZero() && !svid.ID.MemberOf(td) {
		return spiffeid.ID{}, fmt.Errorf("own identity %s is not in the trust domain %s", svid.ID, td.Name())
	}
	return svid.ID, nil
}

// ServerOptions returns what grpc.NewServer needs for the guard: both interceptors and
// the header list limit. It is the intended way to install it: CheckCoverage fails
// unless it was called, or InstalledByHand given. Interceptors that
// belong outside the guard (see the package documentation) come before it in the
// option list, those that belong inside after it.
func (s *Server) ServerOptions() []grpc.ServerOption {
	s.installed.Store(true)
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.Unary),
		grpc.ChainStreamInterceptor(s.Stream),
		grpc.MaxHeaderListSize(s.maxHeaderList),
	}
}

// Unary is the grpc.UnaryServerInterceptor. It is part of ServerOptions.
func (s *Server) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, c := s.decide(ctx, calledMethod(ctx, info), unaryCall, req)
	if c.err != nil {
		return nil, grpcerr.Error(c.err)
	}
	resp, err := handler(ctx, req)
	if err != nil {
		err = c.method.afterHandler(ctx, &s.settings, err)
	}
	return resp, err
}

// calledMethod is the method that the peer has called. What info says stands in generated
// code: it is the name in the proto file, whatever name the service was registered under.
func calledMethod(ctx context.Context, info *grpc.UnaryServerInfo) string {
	if called, ok := grpc.Method(ctx); ok && called != "" {
		return called
	}
	return info.FullMethod
}

// decide makes every check there is before the handler, and reports the outcome: c.err is
// nil if the handler may run, in a mode that is not strict with c.wouldDeny beside it. req
// is nil for a stream. It returns the handler's context.
func (s *Server) decide(ctx context.Context, fullMethod string, shape shape, req any) (context.Context, call) {
	ctx, c := s.admit(ctx, fullMethod)
	if c.err == nil {
		c.err = s.judge(ctx, &c, fullMethod, shape, req)
	}
	s.report(ctx, &c, fullMethod)
	return ctx, c
}
