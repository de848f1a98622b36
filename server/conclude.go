package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/grpc/codes"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// largeToken is the size from which an issued token is reported: verifiers refuse
// those beyond trat.MaxSize, and a context that grows gets there.
const largeToken = trat.MaxSize * 3 / 4

// conclude writes down what became of an attempt: audit record, metrics, span
// attributes, and the cause of a refusal in the log. It changes nothing about it, and
// returns the record. Of refusals for the requester's limits one a second is written
// down, and the others are counted in the next.
func (s *Server) conclude(ctx context.Context, a *attempt, err error) Record {
	outcome := outcomeOf(err)
	record := s.record(a, outcome)
	if a.unrecorded {
		s.telemetry.concluded(ctx, &record, outcome, s.clock())
		return record
	}
	if err := s.audit(ctx, record); err != nil {
		s.telemetry.auditFailed(ctx)
		s.logger.LogAttrs(ctx, slog.LevelError, "audit record not written",
			slog.String(string(semconv.TokenDecisionID), record.DecisionID), slog.Any("error", err))
	}
	s.telemetry.concluded(ctx, &record, outcome, s.clock())
	if err != nil {
		s.logger.LogAttrs(ctx, outcome.level(), "exchange refused", refusalAttrs(&record, err)...)
		return record
	}
	if record.TokenSize > largeToken && !record.Repeated {
		s.telemetry.sizeAlarm(ctx)
		s.logger.LogAttrs(ctx, slog.LevelWarn, "issued token is near the size limit",
			slog.String(semconv.EventName, semconv.EventSizeAlarm),
			slog.String(string(semconv.TokenDecisionID), record.DecisionID),
			slog.Int(string(semconv.TokenSize), record.TokenSize),
			slog.String(string(semconv.TokenReqWL), record.Requester),
			slog.String(string(semconv.TokenPolicyRule), record.Rule))
	}
	return record
}

// refusalAttrs are what the log says of a refusal. What is not known is left out.
func refusalAttrs(r *Record, err error) []slog.Attr {
	attrs := []slog.Attr{
		slog.String(string(semconv.TokenDecisionID), r.DecisionID),
		slog.String(string(semconv.ErrorType), string(r.Reason)),
	}
	if r.Requester != "" {
		attrs = append(attrs, slog.String(string(semconv.TokenReqWL), r.Requester))
	}
	if r.RequestID != "" {
		attrs = append(attrs, slog.String(string(semconv.TokenRequestID), r.RequestID))
	}
	return append(attrs, slog.Any("error", err))
}

// audit calls the Auditor and takes a panic of it for an error. The record does not end
// with the call: a caller could otherwise ask, hang up, and leave no trace.
func (s *Server) audit(ctx context.Context, r Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic (%T)", v)
		}
	}()
	return s.auditor.Record(context.WithoutCancel(ctx), r)
}

// record takes from the attempt what may be kept. The request's own text is not: a
// caller may have put its token into the wrong parameter.
func (s *Server) record(a *attempt, o outcome) Record {
	if a.cached != nil {
		r := a.cached.record
		r.DecisionID, r.Time, r.Repeated = a.decision, a.started, true
		return r
	}
	r := Record{DecisionID: a.decision, Time: a.started, Reason: o.reason, Parameters: o.parameters, OmittedRefusals: a.omitted, RequestID: a.request.id}
	if !a.requester.ID.IsZero() {
		r.Requester = a.requester.ID.String()
	}
	if a.supported {
		r.SubjectTokenType = a.request.subjectTokenType
	}
	if a.policy != nil {
		r.PolicyVersion = a.policy.Version()
	}
	if a.principal != nil {
		pseudonyms := s.pseudonyms.at(a.started)
		r.SubjectIssuer = a.principal.Issuer
		r.SubjectPseudonym, r.SubjectPseudonymKey = pseudonyms.ofSubject(a.principal.Subject), pseudonyms.name
		r.ReplacedFingerprint = a.principal.Transaction.Fingerprint()
	}
	r.ChainResult = a.receipt.result
	if called := a.receipt.chain; called.Len() > 0 {
		r.ChainLinkHash, r.ChainLinks = called.Last().Hash().String(), called.Len()
	}
	r.Rule, r.DroppedMembers = a.grant.Rule, a.grant.Dropped
	if a.grant.Evaluation != nil {
		r.EvaluationPDP, r.EvaluationFailedOpen = a.grant.Evaluation.PDP, a.failedOpen
	}
	if o.reason != "" {
		return r
	}
	r.Fingerprint = base64.RawURLEncoding.EncodeToString(a.digest[:])
	r.TransactionID = a.claims.TransactionID
	r.TokenSize = len(a.token)
	r.ReplacementCount = a.claims.ReplacementCount
	r.Scope = a.claims.Scope.String()
	r.IssuedAt, r.Expiry = a.claims.IssuedAt, a.claims.Expiry
	r.OutlivesSubject = !a.principal.Expiry.IsZero() && a.principal.Expiry.Before(a.claims.Expiry)
	return r
}

// outcome is how an attempt ended, in the words of the telemetry.
type outcome struct {
	result string      // a semconv.Result value
	reason trat.Reason // empty when issued
	code   codes.Code
	// parameters are those at fault, by the names that the peer is told.
	parameters []string
}

func outcomeOf(err error) outcome {
	if err == nil {
		return outcome{result: semconv.ResultOK, code: codes.OK}
	}
	reason, ok := trat.ReasonOf(err)
	switch {
	case ok && grpcerr.Code(reason) != codes.Internal:
	case !ok && errors.Is(err, context.Canceled):
		return outcome{result: semconv.ResultError, reason: "CANCELLED", code: codes.Canceled}
	case !ok && errors.Is(err, context.DeadlineExceeded):
		return outcome{result: semconv.ResultError, reason: "DEADLINE_EXCEEDED", code: codes.DeadlineExceeded}
	default:
		reason = trat.ReasonInternal
	}
	o := outcome{result: semconv.ResultDenied, reason: reason, code: grpcerr.Code(reason), parameters: grpcerr.Parameters(err)}
	if o.code == codes.Internal || o.code == codes.Unavailable {
		o.result = semconv.ResultError
	}
	return o
}

// level is ERROR for our own faults, WARN for what we depend on, INFO for what the
// caller did.
func (o outcome) level() slog.Level {
	switch o.code {
	case codes.Internal:
		return slog.LevelError
	case codes.Unavailable:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}
