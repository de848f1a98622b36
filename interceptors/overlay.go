package interceptors

import (
	"errors"
	"fmt"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

// Overlay is what a platform team demands of methods beyond what services do by
// themselves: rules by method or service, which can only tighten. ParseOverlay makes one.
// It is immutable.
type Overlay struct{ rules rules.Overlay }

// ParseOverlay reads an overlay file, in YAML:
//
//	version: 1
//	rules:
//	  /shop.v1.PaymentsService/*:
//	    callers: [/orders]
//	    enforcement: ENFORCEMENT_STRICT
//
// Each rule has the form of trat.v1.Rule in protobuf's JSON (docs/rules.md), but for exempt.
// All problems are reported at once, each with its line. Whether an overlay fits the
// services of a program is for CheckCoverage to find.
func ParseOverlay(text []byte) (Overlay, error) {
	parsed, err := rules.ParseOverlay(text)
	if err != nil {
		return Overlay{}, fmt.Errorf("interceptors: %w", err)
	}
	if parsed == nil {
		parsed = rules.Overlay{}
	}
	return Overlay{parsed}, nil
}

// WithOverlay tightens the rules of methods. Where the overlay has rules for a service and
// for a method of it, both hold. A method that is exempt and for which it has a rule is not
// any more. CheckCoverage fails if the overlay demands less of anything than what is in
// force without it, or names what is not registered. Repeated use adds overlays, each of
// which tightens the ones before it.
func WithOverlay(o Overlay) ServerOption {
	return serverOption(func(s *Server) error {
		if o.rules == nil {
			return errors.New("WithOverlay: the zero Overlay: use ParseOverlay")
		}
		s.overlays = append(s.overlays, o)
		return nil
	})
}
