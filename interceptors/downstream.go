package interceptors

import (
	"context"
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// ReasonFrom returns the reason of an error, wherever it was made: in this process
// (trat.ReasonOf), or by the guard or the token service that sent it as a status. It
// reports false for errors that are not about TraTs.
func ReasonFrom(err error) (trat.Reason, bool) {
	if reason, ok := trat.ReasonOf(err); ok {
		return reason, true
	}
	return grpcerr.ReasonFrom(err)
}

// Relay marks err, the answer of a called service, for being returned by a handler as
// its own, whatever it says about tokens (see Rule.RelayDownstream). Nil stays nil.
func Relay(err error) error {
	if err == nil {
		return nil
	}
	return relayed{err}
}

type relayed struct{ error }

func (r relayed) Unwrap() error { return r.error }

// GRPCStatus keeps the status as it is: without it grpc-go would put the error's text
// in place of the status message.
func (r relayed) GRPCStatus() *status.Status { return status.Convert(r.error) }

// foreign returns what the caller gets instead of a handler's error that says, in the
// words of this project, what became of a call that the handler made: that a called
// service, a token service or the own carrier refused it, or could not judge it, or that
// its TraT ran out. None of it is about the caller of the handler, nor about the keys and
// the set-up of this service. It returns nil for every other error, and for one that Relay
// marked.
func foreign(err error) (instead *status.Status, reason trat.Reason, message string) {
	if errors.As(err, new(relayed)) {
		return nil, "", ""
	}
	st, ok := status.FromError(err) // finds wrapped ones too, as grpc-go will
	if !ok || !isOurs(st) {
		return nil, "", ""
	}
	switch st.Code() {
	case codes.Unauthenticated, codes.PermissionDenied:
		reason, message = trat.ReasonDownstreamRejected, "a called service refused this one"
	case codes.Unavailable:
		reason, message = trat.ReasonDependencyUnavailable, "a called service was not able to judge the call of this one"
	case codes.DeadlineExceeded:
		// It remains a matter of time, and is not worth another try: INTERNAL says neither.
		reason, message = trat.ReasonDownstreamRejected, "a call of this service has outlived its TraT"
		return grpcerr.Marked(status.New(codes.DeadlineExceeded, outOfTime), reason), reason, message
	default:
		return nil, "", ""
	}
	return grpcerr.Status(&trat.Error{Reason: reason}), reason, message
}

// outOfTime is what the caller reads of a call further down that was not answered in time.
const outOfTime = "a service that this one called did not answer in time"

// isOurs reports whether st is about TraTs.
func isOurs(st *status.Status) bool {
	for _, detail := range st.Details() {
		// By domain, not by word: a newer service may use a word unknown here.
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == grpcerr.Domain {
			return true
		}
	}
	return false
}

// notRelayed returns what the caller gets for a handler's error.
func (s *settings) notRelayed(ctx context.Context, method string, err error) error {
	instead, reason, message := foreign(err)
	if instead == nil {
		return err
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(semconv.ErrorType.String(string(reason)))
	}
	inner := "unknown"
	if r, ok := grpcerr.ReasonFrom(err); ok {
		inner = string(r)
	}
	s.logs.warn(ctx, s, message,
		slog.String(string(semconv.ErrorType), string(reason)),
		slog.String("downstream.error.type", inner),
		slog.String(string(semconv.RPCMethod), method))
	return instead.Err()
}
