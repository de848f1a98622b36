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

// isForeignRefusal reports whether a handler's error says, in the words of this
// project, that a caller was refused: by a called service, by a token service, or by
// the own carrier. None of it is about the caller of the handler.
func isForeignRefusal(err error) bool {
	if errors.As(err, new(relayed)) {
		return false
	}
	st, ok := status.FromError(err) // finds wrapped ones too, as grpc-go will
	if !ok || st.Code() != codes.Unauthenticated && st.Code() != codes.PermissionDenied {
		return false
	}
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
	if !isForeignRefusal(err) {
		return err
	}
	const reason = trat.ReasonDownstreamRejected
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(semconv.ErrorType.String(string(reason)))
	}
	inner := "unknown"
	if r, ok := grpcerr.ReasonFrom(err); ok {
		inner = string(r)
	}
	s.logs.warn(ctx, s, "a called service refused this one",
		slog.String(string(semconv.ErrorType), string(reason)),
		slog.String("downstream.error.type", inner),
		slog.String(string(semconv.RPCMethod), method))
	return grpcerr.Error(&trat.Error{Reason: reason})
}
