package interceptors

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/trat"
)

// judge makes the checks that come after token and chain: conditions, what binds the
// request of a unary call, the checks of code, the decision of a policy decision point, and
// last that the call was not accepted before. req is nil for a stream, whose messages are
// judged as they come (checkMessage).
func (s *Server) judge(ctx context.Context, c *call, fullMethod string, shape shape, req any) error {
	m := c.method
	if m.exempt {
		return nil
	}
	// What kind the method is was learned from grpc.ServiceInfo, how a call arrives is
	// grpc-go's decision. No mode admits one whose checks would not run.
	if shape == unaryCall && len(m.messageChecks) > 0 || shape == streamCall && len(m.checks) > 0 {
		return trat.Errorf(trat.ReasonPolicyDenied, "", "the method's checks do not fit its kind")
	}
	if c.token == nil {
		return nil // in shadow mode, and nothing of this can be said without
	}
	if m.asks || shape == unaryCall && m.program.ChecksMessages() {
		if err := s.refuse(ctx, c, layerRule, m.judgeByRule(ctx, c, shape, req)); err != nil {
			return err
		}
	}
	if shape == unaryCall {
		if err := s.refuse(ctx, c, layerRule, runChecks(ctx, m.checks, c.token, req)); err != nil {
			return err
		}
	}
	if err := s.evaluate(ctx, c, req); err != nil {
		return err
	}
	return s.refuse(ctx, c, layerRule, s.markUsed(ctx, c, fullMethod, req))
}

// judgeByRule holds the call to the conditions and bindings of its rule.
func (m *method) judgeByRule(ctx context.Context, c *call, shape shape, req any) error {
	facts := c.facts(c.start)
	if err := m.program.CheckCall(ctx, facts); err != nil || shape == streamCall {
		return err
	}
	return m.judgeMessage(ctx, facts, req)
}

// judgeMessage holds one message to what the rule says about messages.
func (m *method) judgeMessage(ctx context.Context, facts *rules.Call, message any) error {
	if !m.program.ChecksMessages() {
		return nil
	}
	typed, ok := message.(proto.Message)
	if !ok {
		return trat.Errorf(trat.ReasonPolicyDenied, "", "the rule is about a protobuf message, and %T is none", message)
	}
	return m.program.CheckMessage(ctx, facts, typed)
}

// facts is what a rule is evaluated against at now. The call must have a token.
func (c *call) facts(now time.Time) *rules.Call {
	return &rules.Call{Token: c.token, Peer: c.peer, Chain: c.chain, Now: now}
}

// checksMessages reports whether checkMessage may have anything to do for the messages of an
// admitted stream: the rule is about them, or the mode let the stream be opened although
// something had failed, and may be another by the time of a message.
func (c *call) checksMessages() bool {
	return len(c.method.messageChecks) > 0 || c.method.program.ChecksMessages() || c.token == nil || c.opening != nil
}

// checkMessage judges one message that the stream of an admitted call has received. An
// error ends the stream. Not for concurrent use on one call.
func (s *Server) checkMessage(ctx context.Context, c *call, message any) error {
	if c.token == nil { // the stream was opened in shadow mode; the mode may be another by now
		return s.refuse(ctx, c, layerToken, trat.Errorf(trat.ReasonTxnTokenMissing, "", "the stream was opened without a valid token"))
	}
	err := c.opening // was let through by a mode which may be another by now
	if err == nil {
		err = c.method.judgeMessage(ctx, c.facts(s.clock()), message)
	}
	if err == nil {
		err = runChecks(ctx, c.method.messageChecks, c.token, message)
	}
	return s.refuse(ctx, c, layerRule, err)
}

// runChecks returns the refusal of the first check that does not allow.
func runChecks(ctx context.Context, checks []CheckFunc, token *trat.Token, message any) error {
	for _, check := range checks {
		err := check(ctx, token, message)
		switch {
		case err == nil:
		case errors.Is(err, trat.ReasonPolicyUnavailable):
			return &trat.Error{Reason: trat.ReasonPolicyUnavailable, Err: err}
		default:
			return &trat.Error{Reason: trat.ReasonPolicyDenied, Err: err}
		}
	}
	return nil
}
