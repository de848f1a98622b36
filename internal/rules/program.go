package rules

import (
	"context"
	"errors"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Target is the method that a rule is compiled for.
type Target struct {
	// FullMethod is "/pkg.Service/Method".
	FullMethod string
	// TrustDomain is that of the called service: callers that are paths are in it.
	TrustDomain spiffeid.TrustDomain
	// Input is the request's message type; nil when it is not known, which a rule about
	// requests does not survive.
	Input protoreflect.MessageDescriptor
	// ClientStreams and ServerStreams say what kind of method it is.
	ClientStreams, ServerStreams bool
}

// Streams reports whether the method streams in either direction.
func (t Target) Streams() bool { return t.ClientStreams || t.ServerStreams }

// Call is what a rule is evaluated against, but for the request.
type Call struct {
	Token *trat.Token
	Peer  spiffeid.ID
	Chain *callchain.Chain // nil: none was required, or verified
	Now   time.Time
}

// Program is a compiled Rule. It is immutable and safe for concurrent use.
type Program struct {
	// Rule is what it was compiled from, with every default filled in.
	Rule Rule
	// Through and NotThrough are matchers of those in Rule.Chain.
	Through, NotThrough []spiffeid.Matcher
}

var errNotBuilt = errors.New("rules: not built")

// Compile compiles rule for one method. All problems are reported at once.
func Compile(rule Rule, target Target) (*Program, error) { return nil, errNotBuilt }

// AllowsCaller reports whether the rule lets peer call, token or not. It does not allocate.
func (p *Program) AllowsCaller(peer spiffeid.ID) bool { return false }

// CheckToken holds the token to the rule: INSUFFICIENT_SCOPE, or POLICY_DENIED for a member
// of tctx that is not there. The error is an *trat.Error.
func (p *Program) CheckToken(token *trat.Token) error { return errNotBuilt }

// CheckCall holds a verified call to the conditions that do not name the request:
// POLICY_DENIED. The error is an *trat.Error.
func (p *Program) CheckCall(ctx context.Context, call *Call) error { return errNotBuilt }

// ChecksMessages reports whether CheckMessage can deny.
func (p *Program) ChecksMessages() bool { return true }

// CheckMessage holds a received message to the bindings and to the conditions that name the
// request: POLICY_DENIED, with the field at fault. A message of another type than the
// target's is denied. The error is an *trat.Error.
func (p *Program) CheckMessage(ctx context.Context, call *Call, message proto.Message) error {
	return errNotBuilt
}

// Resource returns what a policy decision point is asked about; asked is false when the
// rule asks none. message is nil for a stream. An error is POLICY_DENIED.
func (p *Program) Resource(ctx context.Context, call *Call, message proto.Message) (resourceType, resourceID string, asked bool, err error) {
	return "", "", true, errNotBuilt
}
