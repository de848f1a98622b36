package interceptors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/internal/rules"
	"github.com/grpc-trat/grpc-trat/internal/seats"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// DefaultEvaluationLimit is how many evaluations a guard waits for at once: as many as an
// authzen.Client has connections to a PDP that speaks HTTP/1.1.
const DefaultEvaluationLimit = 1024

// DecisionPoint is a policy decision point (OpenID AuthZEN) that rules with
// access_evaluation ask before the handler runs; an *authzen.Client is one. An error means
// that there is no decision, and refuses the call as a denial does; its text goes to the
// log, so it must hold nothing of the request. Evaluate bounds its own time, ends with ctx,
// and is safe for concurrent use.
type DecisionPoint interface {
	Evaluate(ctx context.Context, r authzen.Request) (bool, error)
}

// WithDecisionPoint sets the policy decision point of rules with access_evaluation. Without
// it, such a rule fails CheckCoverage. It is asked about each call that everything else has
// admitted but the replay check: POLICY_DENIED if it denies, POLICY_UNAVAILABLE if there is
// no decision in the time of the caller, of the TraT and of its own.
func WithDecisionPoint(pdp DecisionPoint) ServerOption {
	return serverOption(func(s *Server) error {
		if pdp == nil {
			return errors.New("WithDecisionPoint: nil decision point")
		}
		s.evaluations.pdp = pdp
		return nil
	})
}

// WithEvaluationLimit sets how many evaluations the guard waits for at once; the default is
// DefaultEvaluationLimit. A call beyond is refused at once, with POLICY_UNAVAILABLE: behind
// a slow PDP a queue only grows. One workload has half of them at most.
func WithEvaluationLimit(n int) ServerOption {
	return serverOption(func(s *Server) error {
		if n < 1 {
			return fmt.Errorf("WithEvaluationLimit: %d is below 1", n)
		}
		s.evaluations.seats = seats.New(n)
		return nil
	})
}

// evaluations is what the guard asks a policy decision point with.
type evaluations struct {
	pdp        DecisionPoint // nil: none
	seats      *seats.Seats
	duration   metric.Float64Histogram
	durationBy map[string][]metric.RecordOption // by result
}

func (e *evaluations) init(meter metric.Meter) (err error) {
	if e.seats == nil {
		e.seats = seats.New(DefaultEvaluationLimit)
	}
	e.duration, err = semconv.ServerEvaluationDuration.Float64Histogram(meter)
	e.durationBy = make(map[string][]metric.RecordOption)
	for _, result := range []string{semconv.ResultOK, semconv.ResultDenied, semconv.ResultError} {
		set := attribute.NewSet(semconv.TokenResult.String(result))
		e.durationBy[result] = []metric.RecordOption{metric.WithAttributeSet(set)}
	}
	return err
}

// checkDecisionPoint finds a rule that asks where nobody answers.
func (s *Server) checkDecisionPoint(p *rules.Program) error {
	if p.Rule.Evaluation != nil && s.evaluations.pdp == nil {
		return errors.New("access_evaluation, but the guard has no policy decision point: give NewServer one by WithDecisionPoint")
	}
	return nil
}

// evaluate asks the policy decision point about a call with a verified token, if the rule
// wants one to agree. req is nil for a stream.
func (s *Server) evaluate(ctx context.Context, c *call, req any) error {
	p := c.method.program
	if p.Rule.Evaluation == nil {
		return nil
	}
	facts := c.facts(c.start)
	message, _ := req.(proto.Message)
	resourceType, resourceID, asked, err := p.Resource(ctx, facts, message)
	if err == nil && asked {
		err = s.ask(ctx, c, evaluationRequest(facts, c.method.name, resourceType, resourceID))
	}
	return s.refuse(ctx, c, layerRule, err)
}

// ask puts one question to the policy decision point, within a span, as long as there is
// room for it.
func (s *Server) ask(ctx context.Context, c *call, question authzen.Request) error {
	began := s.clock()
	tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer(semconv.ScopeName, trace.WithSchemaURL(semconv.SchemaURL))
	ctx, span := tracer.Start(ctx, semconv.VerifySpan, trace.WithSpanKind(trace.SpanKindInternal))
	defer span.End()

	err := s.decision(ctx, c, question, c.token.Expiry().Add(s.verifier.Leeway()).Sub(began))
	result := semconv.ResultOK
	if err != nil {
		reason := reasonOf(err)
		result = resultOf(reason)
		span.SetAttributes(semconv.ErrorType.String(string(reason)))
	}
	span.SetAttributes(semconv.TokenResult.String(result), semconv.TokenMode.String(c.method.mode()))
	s.evaluations.duration.Record(ctx, s.clock().Sub(began).Seconds(), s.evaluations.durationBy[result]...)
	return err
}

// decision waits until timeout at most: nobody waits for good.
func (s *Server) decision(ctx context.Context, c *call, question authzen.Request, timeout time.Duration) error {
	e := &s.evaluations
	switch caller := c.peer.String(); {
	case e.pdp == nil: // CheckCoverage has said so
		return trat.Errorf(trat.ReasonPolicyUnavailable, "", "no policy decision point")
	case !e.seats.Take(caller):
		return trat.Errorf(trat.ReasonPolicyUnavailable, "", "too many evaluations are under way")
	default:
		defer e.seats.Leave(caller)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	allowed, err := e.pdp.Evaluate(ctx, question)
	if err == nil {
		err = ctx.Err() // an answer that comes too late is none
	}
	switch {
	case err != nil:
		return trat.Errorf(trat.ReasonPolicyUnavailable, "", "policy decision point: %w", err)
	case !allowed:
		return trat.Errorf(trat.ReasonPolicyDenied, "", "the policy decision point denies")
	}
	return nil
}
