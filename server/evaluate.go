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
// token. So does a request without a decision, unless the rule says otherwise, and it is
// not for the request's own sake: then the audit record has it.
func (s *Server) evaluate(ctx context.Context, a *attempt) error {
	wanted := a.grant.Evaluation
	if wanted == nil {
		return nil
	}
	evaluator := s.evaluators[wanted.PDP]
	if evaluator == nil {
		return trat.Errorf(trat.ReasonDependencyUnavailable, "", "policy decision point %q is not configured", wanted.PDP)
	}
	allowed, err := evaluator.Evaluate(ctx, s.evaluationRequest(a))
	switch {
	case err != nil && ctx.Err() != nil: // the call has ended, and that is all that it says
		return ctx.Err()
	case err != nil && wanted.FailOpen && !faultsRequest(err):
		a.failedOpen = true
		s.logger.LogAttrs(ctx, slog.LevelWarn, "no access decision, and policy goes on without",
			slog.String(string(semconv.TokenDecisionID), a.decision),
			slog.String(string(semconv.TokenEvaluationPDP), wanted.PDP), slog.Any("error", err))
		return nil
	case err != nil:
		return trat.Errorf(trat.ReasonDependencyUnavailable, "", "policy decision point %q: %w", wanted.PDP, err)
	case !allowed:
		return trat.Errorf(trat.ReasonIssuanceDenied, "", "policy decision point %q denies", wanted.PDP)
	}
	return nil
}

// faultsRequest says whether err finds fault with the evaluation request. What is in it
// comes in part from the requester, who must not be able to ask in such a way that nobody
// decides.
func faultsRequest(err error) bool {
	e, ok := errors.AsType[*authzen.Error](err)
	if !ok {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	// An answer that decides nothing may be all that there is for such a request: a PDP whose
	// policy is undefined for it says so with status 200.
	return e.Kind == authzen.KindRequest || e.Kind == authzen.KindAnswer
}

// evaluationRequest is what a policy decision point is asked (AuthZEN Authorization API 1.0
// section 6): may this subject have a token for this purpose? Scope and requester, which
// most policies are about, are properties of the resource as well as where AuthZEN would
// have them: there are PDPs whose policies do not see the action's properties and the
// context.
func (s *Server) evaluationRequest(a *attempt) authzen.Request {
	scope, requester := a.grant.Scope.String(), a.requester.ID.String()
	facts := map[string]any{"requester": requester}
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
		Action: authzen.Action{Name: "exchange", Properties: map[string]any{"scope": scope}},
		Resource: authzen.Resource{
			Type:       "txn_token",
			ID:         s.trustDomain.Name(),
			Properties: map[string]any{"scope": scope, "requester": requester},
		},
		Context: facts,
	}
}
