package interceptors

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/trat"
)

var (
	errUnchecked    = trat.Errorf(trat.ReasonCoverageUnchecked, "", "CheckCoverage has not passed")
	errNotInstalled = errors.New("the guard is not installed: give its ServerOptions to grpc.NewServer, " +
		"or say InstalledByHand to NewServer")
)

// ServiceInfoProvider is what CheckCoverage asks; a *grpc.Server is one.
type ServiceInfoProvider interface {
	GetServiceInfo() map[string]grpc.ServiceInfo
}

// CheckCoverage puts the rules in force for the services that are registered on srv; call
// it after the last registration and before Serve. What a method requires is what stands
// beside it in its proto file and what the guard's Rules say, joined, and tightened by the
// overlays. It fails, with all problems at once and for each the method and where the rule
// was written, when
//
//   - a registered method has no rule (health excepted, reflection not);
//   - a rule, an overlay or an UnsafeEnforcement names nothing that is registered, or the
//     proto file of a registered service has a rule for a method that is not;
//   - rules contradict each other, or an overlay loosens one;
//   - a rule is wrong: an unknown field, a condition that is not of the messages' types,
//     an exemption without a reason, and whatever else docs/rules.md names;
//   - a rule is about the request of a service whose proto file is not linked in, or a service
//     or method is registered that its proto file does not have;
//   - a rule in code has a Check but covers a streaming method, or a CheckMessage but
//     covers a unary one. A wildcard rule with both fits both kinds;
//   - a rule needs a policy decision point or a store that the guard was not given;
//   - a proto file loosens a method and the program does not (UnsafeEnforcement);
//   - the guard was not installed: ServerOptions was never called, and InstalledByHand not
//     given.
//
// Methods registered later are denied. Until it has passed, the guard denies everything
// but health checks, with COVERAGE_UNCHECKED; if it is called again and fails, the guard
// does so again. It logs every exemption with its reason, and at WARN every method that is
// not guarded strictly with why. Ready reports whether it has passed, Rules what is in force.
//
// What it cannot see: whether what ServerOptions returned went into srv. Options that
// were dropped, or given to another server than the one checked, leave srv open, for
// grpc-go tells nobody what a server was made with. Call ServerOptions in the arguments
// of the grpc.NewServer that makes srv, and let a test call one method without a token.
// Nor can it see that grpc-go runs no interceptor for a hand-written grpc.StreamDesc
// that streams in neither direction, and reports it as a unary method. Generated code
// has none; do not register any.
func (s *Server) CheckCoverage(srv ServiceInfoProvider) error {
	s.methods.Store(nil)
	if srv == nil {
		return errors.New("interceptors: coverage: no server")
	}
	v := coverage{
		Server:   s,
		services: srv.GetServiceInfo(),
		methods:  make(map[string]*method),
		names:    make(map[string]bool),
	}
	if !s.installed.Load() {
		v.problem(errNotInstalled)
	}
	for _, name := range sortedKeys(v.services) {
		v.service(name)
	}
	v.unused()
	if err := errors.Join(v.problems...); err != nil {
		return fmt.Errorf("interceptors: coverage: %w", err)
	}
	s.enforce(v.methods)
	return nil
}

// enforce puts methods in force. What Tighten has said stays, and what it says later is for
// streams too that were opened before.
func (s *Server) enforce(methods map[string]*method) {
	s.tightening.Lock()
	defer s.tightening.Unlock()
	for fullMethod, m := range methods {
		if before, ok := s.enforced[fullMethod]; ok {
			before.Store(max(before.Load(), m.enforced.Load()))
			m.enforced = before
		}
		s.enforced[fullMethod] = m.enforced
	}
	for _, name := range sortedKeys(methods) {
		switch m := methods[name]; {
		case m.exempt:
			s.logger.Info("TraT guard exempts a method", "rpc.method", m.name, "why", m.why)
		case m.enforcement() != EnforceStrict:
			s.logger.Warn("TraT guard lets calls of a method through that break its rule",
				"rpc.method", m.name, "mode", m.mode(), "why", m.why)
		}
	}
	s.methods.Store(&methods)
}

// Ready reports why the guard denies every call (COVERAGE_UNCHECKED), nil once
// CheckCoverage has passed. A health service that asks it keeps callers away from a
// server that is not set up; whether there are keys to verify with is not its matter.
func (s *Server) Ready() error {
	if s.methods.Load() == nil {
		return fmt.Errorf("interceptors: %w", errUnchecked)
	}
	return nil
}

// healthIsDefault reports whether nothing is said about health.
func (s *Server) healthIsDefault() bool {
	for key := range s.rules {
		if strings.HasPrefix(key, healthPrefix) {
			return false
		}
	}
	for _, overlay := range s.overlays {
		for key := range overlay.rules {
			if strings.HasPrefix(key, healthPrefix) {
				return false
			}
		}
	}
	return true
}
