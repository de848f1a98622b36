package httptoken

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"

	"google.golang.org/grpc/codes"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

// token is the token endpoint (RFC 6749 section 3.2, RFC 8693).
func (h *handler) token(r *http.Request) answer {
	f, err := h.read(r)
	if err != nil {
		return h.refuse(r.Context(), err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.timeout)
	defer cancel()
	response, err := h.service.Exchange(ctx, f.request())
	switch {
	case err != nil:
		return refused(err, nil)
	case response.GetAccessToken() == "": // cannot be, and is not to look like success
		return refused(grpcerr.Error(trat.ReasonInternal), nil)
	}
	return issued(response)
}

// read makes a form of the request, and compares what it says about the client with the
// connection.
func (h *handler) read(r *http.Request) (form, error) {
	if len(r.Header.Values("Authorization")) > 0 {
		return nil, noSecrets()
	}
	f, err := readForm(r)
	if err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	// RFC 8705 section 2 has clients name themselves. It adds nothing here, but must not
	// name another.
	if claimed := f[clientID]; claimed != "" {
		peer, err := h.caller(r.Context(), trat.ReasonIssuanceDenied)
		if err != nil {
			return nil, err
		}
		if claimed != peer.ID.String() {
			return nil, &formError{
				text: "client_id is not the SPIFFE ID of the client's certificate",
				err:  trat.Errorf(trat.ReasonClientUnauthenticated, "", "client_id is not the peer's SPIFFE ID"),
			}
		}
	}
	return f, nil
}

// refuse concludes a request that Exchange does not see, as Exchange would: who is not
// authenticated does not learn what a good request looks like, there is one audit record,
// and the cause is in the log.
func (h *handler) refuse(ctx context.Context, cause error) answer {
	peer, err := h.caller(ctx, trat.ReasonIssuanceDenied)
	var bad *formError
	if err == nil {
		err = cause
		errors.As(cause, &bad)
	}
	reason, ok := trat.ReasonOf(err)
	if !ok {
		reason = trat.ReasonInternal
	}
	record := server.Record{DecisionID: newDecisionID(), Time: h.clock(), Reason: reason}
	if !peer.ID.IsZero() {
		record.Requester = peer.ID.String()
	}
	// The record does not end with the call: a caller could ask, hang up, and leave no trace.
	if err := h.auditor.Record(context.WithoutCancel(ctx), record); err != nil {
		h.telemetry.auditFailures.Add(ctx, 1)
		h.logger.LogAttrs(ctx, slog.LevelError, "audit record not written",
			slog.String(string(semconv.TokenDecisionID), record.DecisionID), slog.Any("error", err))
	}
	level := slog.LevelInfo
	if grpcerr.Code(reason) == codes.Internal {
		level = slog.LevelError
	}
	h.logger.LogAttrs(ctx, level, "form refused",
		slog.String(string(semconv.TokenDecisionID), record.DecisionID),
		slog.String(string(semconv.ErrorType), string(reason)),
		slog.String(string(semconv.TokenReqWL), record.Requester),
		slog.Any("error", err))
	return refused(grpcerr.Error(err), bad)
}

// newDecisionID returns 64 random bits, in hexadecimal, as those of Exchange.
func newDecisionID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails: it ends the process instead
	return hex.EncodeToString(id[:])
}
