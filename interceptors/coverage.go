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

// CheckCoverage compares the rules with the services that are registered on srv; call
// it after the last registration and before Serve. It fails, with all problems at
// once, when a registered method has no rule (health excepted, reflection not), when a
// rule names no registered method or service, and when a rule has a Check but covers a
// streaming method, or a CheckMessage but covers a unary one. A wildcard rule with both
// fits both kinds. Methods registered later are denied. It fails as well when the guard
// was not installed: when ServerOptions was never called, and InstalledByHand not given.
//
// Until it has passed, the guard denies everything but health checks, with
// COVERAGE_UNCHECKED; if it is called again and fails, the guard does so again. It logs
// every exemption with its reason. Ready reports whether it has passed.
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
	services := srv.GetServiceInfo()
	methods := make(map[string]*method)
	used := make(map[string]bool, len(s.rules))
	var problems []error
	if !s.installed.Load() {
		problems = append(problems, errNotInstalled)
	}
	for _, service := range sortedKeys(services) {
		for _, info := range services[service].Methods {
			fullMethod := "/" + service + "/" + info.Name
			key, rule, ok := s.ruleFor(service, fullMethod)
			if !ok {
				problems = append(problems, fmt.Errorf("method %q has no rule", fullMethod))
				continue
			}
			used[key] = true
			fitted, err := rule.fit(info, key == fullMethod)
			if err != nil {
				problems = append(problems, fmt.Errorf("rule %q on method %q: %w", key, fullMethod, err))
			}
			methods[fullMethod] = newMethod(fullMethod, fitted)
		}
	}
	for _, key := range sortedKeys(s.rules) {
		if used[key] {
			continue
		}
		if strings.HasSuffix(key, "/"+wildcard) && covered(services, key) {
			continue // every method of the service has an exact rule
		}
		problems = append(problems, fmt.Errorf("rule %q names nothing that is registered", key))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("interceptors: coverage: %w", err)
	}
	s.logExemptions(methods)
	s.methods.Store(&methods)
	return nil
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

// ruleFor returns the rule of a method and its key: the exact one, else the service's,
// else the default for health.
func (s *Server) ruleFor(service, fullMethod string) (key string, rule Rule, ok bool) {
	for _, key := range []string{fullMethod, "/" + service + "/" + wildcard} {
		if rule, ok := s.rules[key]; ok {
			return key, rule, true
		}
	}
	if isHealth(fullMethod) {
		return healthPrefix + wildcard, Exempt(healthWhy), true
	}
	return "", Rule{}, false
}

// healthIsDefault reports whether no rule says anything about health.
func (s *Server) healthIsDefault() bool {
	for key := range s.rules {
		if strings.HasPrefix(key, healthPrefix) {
			return false
		}
	}
	return true
}

// covered reports whether the wildcard key's service is registered.
func covered(services map[string]grpc.ServiceInfo, key string) bool {
	service, _, err := splitKey(key)
	_, ok := services[service]
	return err == nil && ok
}

// fit returns the rule with only the checks that run on a method of info's kind, and
// an error when there are checks that could not.
func (r Rule) fit(info grpc.MethodInfo, exact bool) (Rule, error) {
	applies, other := &r.checks, &r.messageChecks
	misfit := errors.New("CheckMessage is for streams, this method is unary: use Check")
	if info.IsClientStream || info.IsServerStream {
		applies, other = other, applies
		misfit = errors.New("Check is for unary methods, this one streams: use CheckMessage")
	}
	if len(*other) > 0 && (exact || len(*applies) == 0) {
		return r, misfit
	}
	*other = nil
	return r, nil
}

// logExemptions lists what runs without a token.
func (s *Server) logExemptions(methods map[string]*method) {
	for _, name := range sortedKeys(methods) {
		if m := methods[name]; m.exempt {
			s.logger.Info("TraT guard exempts a method", "rpc.method", m.name, "why", m.why)
		}
	}
}
