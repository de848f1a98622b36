package rules

import (
	"time"

	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
)

// Rule is what one method requires, as it was written. The zero Rule demands a valid TraT
// and its whole chain, each link of it once: what is not set has the default. Lists that
// are in one list of lists come from different sources; each of them must be satisfied.
type Rule struct {
	// Exempt is why the method needs no TraT; all else is then not set.
	Exempt string
	// Scopes must all be held; of each list in AnyScopes one must.
	Scopes    []string
	AnyScopes [][]string
	// Tctx are members that must be there, as paths of names joined by dots.
	Tctx []string
	// Callers are lists of SPIFFE IDs, or paths of them, with "*" for a segment.
	Callers [][]string
	Chain   Chain
	Replay  Replay
	Stream  Stream
	// Enforcement is zero for the default, Strict.
	Enforcement Enforcement
	// When are conditions in CEL.
	When []string
	// Bindings are those of fields, and those that were named from outside.
	Bindings []Binding
	// Evaluation asks a policy decision point; nil: none is asked.
	Evaluation *Evaluation
	// Sources say where the rule was written, the most specific first.
	Sources []Source
}

// Chain is what a rule requires of the call chain.
type Chain struct {
	Mode                ChainMode
	Through, NotThrough []string
	MaxLinks            int // 0: the default
	StrictTrace         bool
}

// ChainMode is how much of the chain is required. A greater one is stricter.
type ChainMode uint8

// The chain modes; zero is the default, ChainPath.
const (
	ChainOff ChainMode = iota + 1
	ChainHead
	ChainPath
)

// Replay is how often a call is accepted. A greater one is stricter.
type Replay uint8

// The replay modes; zero is the default, ReplayJTI.
const (
	ReplayOff Replay = iota + 1
	ReplayJTI
	ReplayOnce
)

// Stream is what becomes of streams that outlive their TraT.
type Stream struct {
	Expiry Expiry
	Grace  time.Duration // with ExpiryGrace only
	MaxAge time.Duration // 0: no bound
	Drain  time.Duration // 0: the handler is not told
}

// Expiry is what becomes of a stream when its TraT expires. A greater one is stricter.
type Expiry uint8

// The expiry policies; zero is the default, which depends on the kind of the method.
const (
	ExpiryOpenOnly Expiry = iota + 1
	ExpiryGrace
	ExpiryCloseAtExp
)

// Enforcement is what becomes of a call that the rule refuses. A greater one is stricter.
type Enforcement uint8

// The enforcement modes; zero is the default, Strict.
const (
	Shadow Enforcement = iota + 1
	Presence
	Strict
)

// Binding ties a field of a request to a member of tctx.
type Binding = binding.Binding

// Evaluation is what a policy decision point is asked about.
type Evaluation struct {
	ResourceType string // "": "grpc_service"
	ResourceID   string // a CEL expression; "": the name of the service
}

// Source is one place where a rule was written.
type Source struct {
	Kind SourceKind
	// Where names the place: the full name of the descriptor that has the option, the key of
	// a rule in code or in an overlay.
	Where string
}

// SourceKind is what kind of place it is.
type SourceKind string

// The kinds of sources.
const (
	FromMethod  SourceKind = "method option"
	FromService SourceKind = "service default"
	FromField   SourceKind = "field option"
	FromCode    SourceKind = "code"
	FromOverlay SourceKind = "overlay"
	FromDefault SourceKind = "built in" // health checking
)
