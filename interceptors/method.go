package interceptors

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/otel/metric"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// shape is which interceptor a call came through.
type shape uint8

const (
	unaryCall shape = iota
	streamCall
)

// method is a rule as it applies to one registered method, with everything looked up
// that can be looked up before a call.
type method struct {
	name          string // "pkg.Service/Method", for telemetry
	exempt        bool
	why           string // of an exemption
	relay         bool
	scopes        []string
	callers       []spiffeid.Matcher
	chain         chainRule
	checks        []CheckFunc
	messageChecks []CheckFunc
	program       *rules.Program     // of the rule from all its sources
	accepted      []metric.AddOption // of the verification counter, for the usual outcome
}

// newMethod compiles rule for fullMethod; "" stands for all unregistered methods.
func newMethod(fullMethod string, rule Rule) *method {
	m := &method{
		name:          strings.TrimPrefix(fullMethod, "/"),
		exempt:        rule.kind == ruleExempt,
		why:           rule.why,
		relay:         rule.relay,
		scopes:        rule.scopes,
		callers:       rule.callers,
		chain:         rule.chain.withDefaults(),
		checks:        rule.checks,
		messageChecks: rule.messageChecks,
	}
	if m.name == "" {
		m.name = semconv.OtherMethod
	}
	m.accepted = []metric.AddOption{metric.WithAttributeSet(verificationAttributes(m, m.acceptedResult(), ""))}
	return m
}

// acceptedResult is the result of a call that was let through.
func (m *method) acceptedResult() string {
	if m.exempt {
		return semconv.ResultExempt
	}
	return semconv.ResultOK
}

// mode is how strictly the method is guarded.
func (m *method) mode() string {
	if m.exempt {
		return semconv.ModeOff
	}
	return semconv.ModeStrict
}

// allowsCaller reports whether peer may call, token or not.
func (m *method) allowsCaller(peer spiffeid.ID) bool {
	if len(m.callers) == 0 {
		return true
	}
	return slices.ContainsFunc(m.callers, func(match spiffeid.Matcher) bool { return match(peer) == nil })
}

// judge runs the checks of a call that is otherwise admitted: of a unary one those on
// its request. A method whose checks cannot run in this shape is refused: what kind it
// is was learned from grpc.ServiceInfo, how a call arrives is grpc-go's decision.
func (m *method) judge(ctx context.Context, s shape, token *trat.Token, req any) error {
	if s == unaryCall && len(m.messageChecks) > 0 || s == streamCall && len(m.checks) > 0 {
		return trat.Errorf(trat.ReasonPolicyDenied, "", "the method's checks do not fit its kind")
	}
	if s == streamCall {
		return nil
	}
	return runChecks(ctx, m.checks, token, req)
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

// afterHandler returns what the caller gets for the handler's error.
func (m *method) afterHandler(ctx context.Context, s *settings, err error) error {
	if m.relay {
		return err
	}
	return s.notRelayed(ctx, m.name, err)
}
