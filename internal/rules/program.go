package rules

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpc-trat/grpc-trat/internal/rules/binding"
	"github.com/grpc-trat/grpc-trat/internal/rules/syntax"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Call is what a rule is evaluated against, but for the request.
type Call struct {
	Token *trat.Token
	Peer  spiffeid.ID
	Chain *callchain.Chain // nil: none was required, or verified
	Now   time.Time
}

// Program is a compiled Rule. It is immutable and safe for concurrent use. The zero Program
// refuses everything, and so does that of an exemption, which there is nothing to ask.
type Program struct {
	// Rule is what it was compiled from, with every default filled in.
	Rule Rule
	// Through and NotThrough are matchers of those in Rule.Chain.
	Through, NotThrough []spiffeid.Matcher

	compiled   bool // and no exemption
	service    string
	input      protoreflect.MessageDescriptor
	callers    [][]spiffecreds.Pattern // of each list one must match
	members    *trat.Paths             // of Rule.Tctx; nil: none
	calls      []numbered              // conditions that do not name the request
	messages   []numbered              // conditions that do
	bindings   *binding.Set            // nil: none
	resourceID *text                   // nil: the name of the service
}

// numbered is a condition with its field in the rule.
type numbered struct {
	field string
	*condition
}

// AllowsCaller reports whether the rule lets peer call, token or not. It does not allocate.
func (p *Program) AllowsCaller(peer spiffeid.ID) bool {
	for _, list := range p.callers {
		if !anyMatches(list, peer) {
			return false
		}
	}
	return p.compiled
}

func anyMatches(list []spiffecreds.Pattern, peer spiffeid.ID) bool {
	for _, pattern := range list {
		if pattern.Match(peer) {
			return true
		}
	}
	return false
}

// CheckToken holds the token to the rule: INSUFFICIENT_SCOPE, or POLICY_DENIED for a member
// of tctx that is not there. The error is an *trat.Error. A token that holds all of it is
// found good without allocating, unless the rule names more than 16 members.
func (p *Program) CheckToken(token *trat.Token) error {
	if !p.compiled {
		return errNotCompiled
	}
	scope := token.Scope()
	for _, s := range p.Rule.Scopes {
		if !scope.Contains(s) {
			return trat.Errorf(trat.ReasonInsufficientScope, "scope", "the method requires %q", s)
		}
	}
	for _, list := range p.Rule.AnyScopes {
		if !slices.ContainsFunc(list, scope.Contains) {
			return trat.Errorf(trat.ReasonInsufficientScope, "scope", "the method requires one of %q", list)
		}
	}
	return p.checkMembers(token.TransactionContext())
}

// checkMembers finds all members in one pass.
func (p *Program) checkMembers(tctx trat.Object) error {
	if p.members == nil {
		return nil
	}
	var memory [usualMembers]trat.Value
	for i, value := range p.members.AppendValues(memory[:0], tctx) {
		if value.IsZero() || value.IsNull() {
			return trat.Errorf(trat.ReasonPolicyDenied, "tctx."+p.Rule.Tctx[i], "the method requires it, and it is absent")
		}
	}
	return nil
}

// usualMembers is for how many members checkMembers has memory at hand.
const usualMembers = 16

// CheckCall holds a verified call to the conditions that do not name the request:
// POLICY_DENIED. The error is an *trat.Error.
func (p *Program) CheckCall(ctx context.Context, call *Call) error {
	if !p.compiled {
		return errNotCompiled
	}
	return checkAll(ctx, p.calls, call, nil)
}

// ChecksMessages reports whether CheckMessage can deny.
func (p *Program) ChecksMessages() bool {
	return p.bindings != nil || len(p.messages) > 0 || !p.compiled
}

// CheckMessage holds a received message to the bindings and to the conditions that name the
// request: POLICY_DENIED, with the field at fault. A message of another type than the
// target's is denied. The error is an *trat.Error.
func (p *Program) CheckMessage(ctx context.Context, call *Call, message proto.Message) error {
	switch {
	case !p.compiled:
		return errNotCompiled
	case !p.ChecksMessages():
		return nil
	case message == nil || message.ProtoReflect().Descriptor() != p.input:
		return trat.Errorf(trat.ReasonPolicyDenied, "", "the message is not of the method's type")
	}
	if p.bindings != nil {
		if err := p.bindings.Check(call.Token.TransactionContext(), message.ProtoReflect()); err != nil {
			return err
		}
	}
	return checkAll(ctx, p.messages, call, message)
}

// checkAll returns the refusal of the first condition that does not hold. It has the text of
// the condition, as the rule has it: what place that is in a rule of several sources is
// written nowhere.
func checkAll(ctx context.Context, conditions []numbered, call *Call, message proto.Message) error {
	for _, c := range conditions {
		switch holds, err := c.holds(ctx, call, message); {
		case err != nil:
			return &trat.Error{Reason: trat.ReasonPolicyDenied, Field: c.field, Err: fmt.Errorf("%s: %w", syntax.Shown(c.source), err)}
		case !holds:
			return trat.Errorf(trat.ReasonPolicyDenied, c.field, "%s: the condition is not met", syntax.Shown(c.source))
		}
	}
	return nil
}

// Resource returns what a policy decision point is asked about; asked is false when the
// rule asks none. message is nil for a stream. An error is POLICY_DENIED.
func (p *Program) Resource(ctx context.Context, call *Call, message proto.Message) (resourceType, resourceID string, asked bool, err error) {
	switch {
	case !p.compiled:
		return "", "", true, errNotCompiled
	case p.Rule.Evaluation == nil:
		return "", "", false, nil
	case p.resourceID == nil:
		return p.Rule.Evaluation.resourceType(), p.service, true, nil
	case p.resourceID.namesRequest && (message == nil || message.ProtoReflect().Descriptor() != p.input):
		return "", "", true, trat.Errorf(trat.ReasonPolicyDenied, "", "the message is not of the method's type")
	}
	if resourceID, err = p.resourceID.value(ctx, call, message); err != nil {
		return "", "", true, &trat.Error{Reason: trat.ReasonPolicyDenied, Field: "access_evaluation.resource_id", Err: err}
	}
	return p.Rule.Evaluation.resourceType(), resourceID, true, nil
}

// whenField is the field of the condition at i.
func whenField(i int) string { return "when[" + strconv.Itoa(i) + "]" }

var errNotCompiled = trat.Errorf(trat.ReasonPolicyDenied, "", "the method's rule is not one to ask")
