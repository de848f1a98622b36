package interceptors

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

// Enforcement is what becomes of a call that a method's rule refuses. The zero Enforcement
// is none of them; a greater one is stricter.
type Enforcement uint8

const (
	// EnforceShadow lets it through and reports. A TraT that is not valid does not reach the
	// handler and is not passed on.
	EnforceShadow = Enforcement(rules.Shadow)
	// EnforcePresence refuses it if it has no valid TraT, and else lets it through and reports
	// what EnforceStrict would have refused it for.
	EnforcePresence = Enforcement(rules.Presence)
	// EnforceStrict refuses it. It is the default.
	EnforceStrict = Enforcement(rules.Strict)
)

// String is the mode as telemetry names it: "strict", "presence" or "shadow"; "none" for any
// other value.
func (e Enforcement) String() string {
	switch e {
	case EnforceStrict:
		return semconv.ModeStrict
	case EnforcePresence:
		return semconv.ModePresence
	case EnforceShadow:
		return semconv.ModeShadow
	default:
		return "none"
	}
}

func (e Enforcement) validate() error {
	if e < EnforceShadow || e > EnforceStrict {
		return errors.New("the mode is none of EnforceStrict, EnforcePresence and EnforceShadow")
	}
	return nil
}

// layer is what a check is about, which decides whether the enforcement mode lets a call
// through that fails it.
type layer uint8

const (
	layerPeer  layer = iota // who calls, and that there is a rule: in force in every mode
	layerToken              // in force but in shadow
	layerRule               // in force in strict mode only
)

// inForce reports whether e refuses calls for a failure in l.
func (e Enforcement) inForce(l layer) bool {
	switch l {
	case layerRule:
		return e != EnforceShadow && e != EnforcePresence
	case layerToken:
		return e != EnforceShadow
	default:
		return true
	}
}

// refuse returns err, an *trat.Error or nil, if c's method refuses calls for a failure in l.
// Else it sees to it that the first such failure of the call is reported, and returns nil.
// Not for concurrent use on one call.
func (s *Server) refuse(ctx context.Context, c *call, l layer, err error) error {
	if err == nil || c.method.enforcement().inForce(l) {
		return err
	}
	if c.wouldDeny == nil {
		c.wouldDeny = err
		if c.noted == nil {
			c.opening = err
		} else if noted := err; c.noted.CompareAndSwap(nil, &noted) { // a message and the end of a stream may meet
			s.reportRefusal(ctx, c)
		}
	}
	return nil
}

// loosening is what UnsafeEnforcement said.
type loosening struct {
	mode Enforcement
	why  string
}

// UnsafeEnforcement sets how strictly a method, "/pkg.Service/Method", or all methods of a
// service, "/pkg.Service/*", are guarded; the exact one wins. It is for a fleet whose
// callers do not send TraTs yet, for as long as that is so: watch
// txn_token.server.verifications for would_deny, and then go back to strict. The reason why
// must not be empty; CheckCoverage logs it for each method, at WARN, and the number of
// methods in each mode is a metric.
//
// A rule in a proto file that says "enforcement" takes effect only if the program says the
// same here. A program that says less than "ENFORCEMENT_STRICT" in a proto file is a
// coverage error, and so is a key that names nothing registered, or one exempt method. An
// overlay may tighten what is said here, and Server.Tighten may at run time.
func UnsafeEnforcement(key string, mode Enforcement, why string) ServerOption {
	return serverOption(func(s *Server) error {
		_, _, err := splitKey(key)
		problems := []error{err, mode.validate()}
		if strings.TrimSpace(why) == "" {
			problems = append(problems, errors.New("it needs its reason"))
		}
		if _, twice := s.loosened[key]; twice {
			problems = append(problems, errors.New("it is given twice"))
		}
		s.loosened[key] = loosening{mode: mode, why: why}
		if err := errors.Join(problems...); err != nil {
			return fmt.Errorf("UnsafeEnforcement: %q: %w", key, err)
		}
		return nil
	})
}

// Tighten raises, at run time, how strictly a method, "/pkg.Service/Method", or all methods
// of a service, "/pkg.Service/*", are guarded. It holds from the next call on, and for the
// next message of open streams, and for as long as the process runs: CheckCoverage does not
// undo it. An error says that the coverage check has not passed, that key names no method
// with a rule, or that one of them is guarded more strictly already; then nothing has
// changed, for only a restart loosens. Safe for concurrent use.
func (s *Server) Tighten(key string, mode Enforcement) error {
	if err := s.tighten(key, mode); err != nil {
		return fmt.Errorf("interceptors: tighten %q: %w", key, err)
	}
	return nil
}

func (s *Server) tighten(key string, mode Enforcement) error {
	service, name, err := splitKey(key)
	if err := errors.Join(err, mode.validate()); err != nil {
		return err
	}
	s.tightening.Lock()
	defer s.tightening.Unlock()
	methods := s.methods.Load()
	if methods == nil {
		return errUnchecked
	}
	var named []string
	for fullMethod, m := range *methods {
		if m.exempt || !names(service, name, fullMethod) {
			continue
		}
		if m.enforcement() > mode {
			return fmt.Errorf("method %q is in mode %s already", fullMethod, m.mode())
		}
		named = append(named, fullMethod)
	}
	if len(named) == 0 {
		return errors.New("it names no method with a rule")
	}
	for _, fullMethod := range named {
		(*methods)[fullMethod].enforced.Store(uint32(mode))
	}
	s.logger.Info("TraT guard is stricter from now on", "rule", key, "mode", mode.String())
	return nil
}
