package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Evaluator is a policy decision point that the policy may ask before a token is issued;
// *authzen.Client is one. An error means that there is no decision. Evaluate bounds its own
// time, ends with ctx, and is safe for concurrent use.
type Evaluator interface {
	Evaluate(ctx context.Context, r authzen.Request) (bool, error)
}

// evaluate asks the policy decision point that the grant names. A denial refuses the
// token. So does a question without an answer, unless the rule says otherwise, and it is
// not for the question's sake: then the audit record has it.
func (s *Server) evaluate(ctx context.Context, a *attempt) error {
	question := a.grant.Evaluation
	if question == nil {
		return nil
	}
	evaluator := s.evaluators[question.PDP]
	if evaluator == nil {
		return trat.Errorf(trat.ReasonDependencyUnavailable, "", "policy decision point %q is not configured", question.PDP)
	}
	allowed, err := evaluator.Evaluate(ctx, s.question(a))
	switch {
	case err != nil && ctx.Err() != nil: // the call has ended, and that is all that it says
		return ctx.Err()
	case err != nil && question.FailOpen && !faultsQuestion(err):
		a.failedOpen = true
		s.logger.LogAttrs(ctx, slog.LevelWarn, "no access decision, and policy goes on without",
			slog.String(string(semconv.TokenDecisionID), a.decision),
			slog.String(string(semconv.TokenEvaluationPDP), question.PDP), slog.Any("error", err))
		return nil
	case err != nil:
		return trat.Errorf(trat.ReasonDependencyUnavailable, "", "policy decision point %q: %w", question.PDP, err)
	case !allowed:
		return trat.Errorf(trat.ReasonIssuanceDenied, "", "policy decision point %q denies", question.PDP)
	}
	return nil
}

// faultsQuestion says whether err finds fault with the question. What is in it comes in
// part from the requester, who must not be able to ask in such a way that nobody decides.
func faultsQuestion(err error) bool {
	e, ok := errors.AsType[*authzen.Error](err)
	if !ok {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return e.Kind == authzen.KindRequest
}

// question is what a policy decision point is asked (AuthZEN Authorization API 1.0
// section 6): may this subject have a token for this purpose?
func (s *Server) question(a *attempt) authzen.Request {
	facts := map[string]any{"requester": a.requester.ID.String()}
	for name, object := range map[string]trat.Object{"tctx": a.grant.TransactionContext, "rctx": a.grant.RequestContext} {
		if !object.IsZero() {
			facts[name] = object
		}
	}
	return authzen.Request{
		Subject: authzen.Subject{
			Type: "subject",
			ID:   a.principal.Subject,
			Properties: map[string]any{
				"issuer":     a.principal.Issuer,
				"token_type": a.request.subjectTokenType,
			},
		},
		Action:   authzen.Action{Name: "exchange", Properties: map[string]any{"scope": a.grant.Scope.String()}},
		Resource: authzen.Resource{Type: "txn_token", ID: s.trustDomain.Name()},
		Context:  facts,
	}
}
