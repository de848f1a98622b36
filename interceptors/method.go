package interceptors

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/otel/metric"

	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
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
	name    string         // "pkg.Service/Method", for telemetry
	why     string         // of an exemption
	exempt  bool           // needs no token
	relay   bool           // see Rule.RelayDownstream
	program *rules.Program // of the rule from all its sources; nil for health and unregistered
	chain   callchain.Mode // program.Rule.Chain.Mode, as package callchain has it
	// asks says that the rule has conditions, and so that there is something to ask of a
	// call beside its token, chain and message.
	asks bool

	// What code says beside the program.
	callers, through, notThrough []spiffeid.Matcher
	checks, messageChecks        []CheckFunc

	// enforced is an Enforcement; after the coverage check only Tighten changes it.
	enforced *atomic.Uint32
	// accepted is of the verification counter, for the usual outcome, by Enforcement.
	accepted [EnforceStrict + 1][]metric.AddOption
}

// newMethod makes the method for fullMethod, "" for all unregistered methods, of the Go
// part of its rule and the program that its data was compiled to.
func newMethod(fullMethod string, rule Rule, program *rules.Program) *method {
	m := &method{
		name:          strings.TrimPrefix(fullMethod, "/"),
		exempt:        rule.kind == ruleExempt,
		why:           rule.data.Exempt,
		relay:         rule.relay,
		program:       program,
		callers:       rule.callers,
		through:       rule.through,
		notThrough:    rule.notThrough,
		checks:        rule.checks,
		messageChecks: rule.messageChecks,
		enforced:      new(atomic.Uint32),
	}
	if m.name == "" {
		m.name = semconv.OtherMethod
	}
	enforcement := EnforceStrict
	if program != nil {
		m.exempt, m.why = program.Rule.Exempt != "", program.Rule.Exempt
		m.chain = chainMode(program.Rule.Chain.Mode)
		m.asks = len(program.Rule.When) > 0
		m.through = slices.Concat(program.Through, rule.through)
		m.notThrough = slices.Concat(program.NotThrough, rule.notThrough)
		if !m.exempt {
			enforcement = Enforcement(program.Rule.Enforcement)
		}
	}
	m.enforced.Store(uint32(enforcement))
	for e := range m.accepted {
		set := verificationAttributes(m.name, m.acceptedResult(), m.modeFor(Enforcement(e)), "")
		m.accepted[e] = []metric.AddOption{metric.WithAttributeSet(set)}
	}
	return m
}

// chainMode is mode as package callchain has it.
func chainMode(mode rules.ChainMode) callchain.Mode {
	switch mode {
	case rules.ChainOff:
		return callchain.ModeOff
	case rules.ChainHead:
		return callchain.ModeHead
	default:
		return callchain.ModePath
	}
}

// acceptedResult is the result of a call that was let through.
func (m *method) acceptedResult() string {
	if m.exempt {
		return semconv.ResultExempt
	}
	return semconv.ResultOK
}

// enforcement is how strictly the method is guarded now.
func (m *method) enforcement() Enforcement {
	return Enforcement(m.enforced.Load()) //nolint:gosec // one was stored
}

// mode is what telemetry calls it.
func (m *method) mode() string { return m.modeFor(m.enforcement()) }

func (m *method) modeFor(e Enforcement) string {
	if m.exempt {
		return semconv.ModeOff
	}
	return e.String()
}

// allowsCaller reports whether peer may call, token or not.
func (m *method) allowsCaller(peer spiffeid.ID) bool {
	if len(m.callers) > 0 && !slices.ContainsFunc(m.callers, func(match spiffeid.Matcher) bool { return match(peer) == nil }) {
		return false
	}
	return m.program.AllowsCaller(peer)
}

// judgeChain decides whether a verified chain, which came with token, is what the rule
// wants.
func (m *method) judgeChain(token *trat.Token, chain *callchain.Chain) error {
	if permitted := m.program.Rule.Chain.MaxLinks; chain.Len() > permitted {
		return trat.Errorf(trat.ReasonChainTooDeep, "", "%d links, the rule permits %d", chain.Len(), permitted)
	}
	avoided := func(match spiffeid.Matcher) bool { return !chain.Passes(match) }
	if slices.ContainsFunc(m.through, avoided) {
		return trat.Errorf(trat.ReasonPolicyDenied, "through", "the request did not come through a workload that the rule demands")
	}
	if len(m.notThrough) > 0 && token.CallChainHash() != [32]byte{} {
		return trat.Errorf(trat.ReasonPolicyDenied, "through", "a part of the chain ended with another token, and the rule excludes workloads")
	}
	if slices.ContainsFunc(m.notThrough, chain.Passes) {
		return trat.Errorf(trat.ReasonPolicyDenied, "through", "the request came through a workload that the rule excludes")
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
