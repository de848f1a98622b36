package interceptors

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Rules says what each method requires beyond what stands beside it in its proto file
// (proto/trat/v1/rules.proto). A key is a full method, "/pkg.Service/Method", or all
// methods of one service, "/pkg.Service/*"; the exact one wins. Where a method has a rule
// in its proto file too, both hold; what only one of them can say, and both say
// differently, CheckCoverage reports. A method that has a rule in neither is denied, and
// CheckCoverage reports it. The map may be empty.
type Rules map[string]Rule

// CheckFunc decides about a call with more than scope and peer. For unary methods req
// is the request message, for streams one received message; it must not be changed or
// kept. Nil allows. An error denies with POLICY_DENIED, or with POLICY_UNAVAILABLE
// (code UNAVAILABLE) when errors.Is finds trat.ReasonPolicyUnavailable in it, for a
// decision that could not be made. The error's text goes to the log only; keep claim
// and request values out of it. A CheckFunc is called concurrently.
type CheckFunc = func(ctx context.Context, token *trat.Token, req any) error

// Rule is what one method requires. It is an immutable value: the methods return a
// changed copy. The zero Rule is no rule; NewServer refuses it. It says what a
// proto file can, but for how strictly it is enforced (UnsafeEnforcement); matchers and
// checks only code can.
type Rule struct {
	kind ruleKind
	data rules.Rule
	// What only Go can say.
	callers, through, notThrough []spiffeid.Matcher
	checks, messageChecks        []CheckFunc
	relay                        bool
	problems                     []error
}

type ruleKind uint8

const (
	ruleUnset ruleKind = iota
	ruleRequire
	ruleExempt
)

// Require demands a valid TraT whose scope holds every one of scopes; with none, any
// valid TraT. Each must be one scope token (RFC 6749 section 3.3): NewServer refuses
// others. It also demands the call chain back to the workload that requested the TraT,
// signed by every workload on the way, with a last link that was not used before;
// ChainHead, ChainOff and ReplayOff demand less, Through, NotThrough, MaxLinks,
// StrictTrace and Once more.
func Require(scopes ...string) Rule {
	return Rule{kind: ruleRequire, data: rules.Rule{Scopes: slices.Clone(scopes)}}
}

// Exempt lets a method be called without a TraT. A TraT that comes anyway is neither
// read nor passed on. The reason why must not be empty; CheckCoverage logs it. A
// wildcard key cannot be exempt: a method added later must not be born open.
func Exempt(why string) Rule {
	return Rule{kind: ruleExempt, data: rules.Rule{Exempt: why}}
}

// FromCallers allows only mTLS peers that one of the matchers accepts, such as
// spiffeid.MatchID(id) or spiffeid.MatchOneOf(ids...). Without FromCallers every
// workload of the trust domain may call. Repeated use adds callers. A nil matcher, or
// no matcher at all, is refused by NewServer. Match on parsed IDs, never on string
// prefixes.
func (r Rule) FromCallers(callers ...spiffeid.Matcher) Rule {
	if len(callers) == 0 {
		r = r.problem(errors.New("FromCallers names nobody"))
	}
	r.callers = append(slices.Clip(r.callers), callers...)
	return r
}

// Check adds a decision on the request of a unary method; repeated use adds further
// ones, all of which must allow. On a streaming method it is a coverage error.
func (r Rule) Check(f CheckFunc) Rule {
	r.checks = append(slices.Clip(r.checks), f)
	return r
}

// CheckMessage adds a decision on each message that a stream receives, made before
// the handler sees the message; repeated use adds further ones, all of which must
// allow. A refusal ends the stream, whatever the handler returns. On a unary method
// it is a coverage error. Without it a stream costs nothing per message.
func (r Rule) CheckMessage(f CheckFunc) Rule {
	r.messageChecks = append(slices.Clip(r.messageChecks), f)
	return r
}

// RelayDownstream lets the handler return what a called service said about the token
// or the chain as its own. Without it a refusal becomes INTERNAL with
// DOWNSTREAM_REJECTED, for the caller must not take the refusal of this service for a
// refusal of itself; and UNAVAILABLE for want of keys, policy or a coverage check
// becomes UNAVAILABLE with DEPENDENCY_UNAVAILABLE, for it is not this service that
// lacks them. Relay does the same for one error.
func (r Rule) RelayDownstream() Rule {
	r.relay = true
	return r
}

// CheckOf makes a CheckFunc for one request type. A message of another type is
// refused.
func CheckOf[T proto.Message](f func(ctx context.Context, token *trat.Token, req T) error) CheckFunc {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, token *trat.Token, req any) error {
		message, ok := req.(T)
		if !ok {
			return fmt.Errorf("check is for %T, message is %T", message, req)
		}
		return f(ctx, token, message)
	}
}

// problem notes what is wrong with r, for NewServer to report.
func (r Rule) problem(err error) Rule {
	r.problems = append(slices.Clip(r.problems), err)
	return r
}
