package httptoken

import (
	"context"
	"errors"
	"net/http"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// token is the token endpoint (RFC 6749 section 3.2, RFC 8693).
func (h *handler) token(r *http.Request) httpResponse {
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
		peer, ok := spiffecreds.PeerFromContext(r.Context())
		if !ok || claimed != peer.ID.String() {
			return nil, &formError{
				text: "client_id is not the SPIFFE ID of the client's certificate",
				err:  trat.Errorf(trat.ReasonClientUnauthenticated, "", "client_id is not the peer's SPIFFE ID"),
			}
		}
	}
	return f, nil
}

// refuse has the service conclude a request that never becomes one to Exchange. What is
// wrong with the form is for those alone whom the service refuses for that.
func (h *handler) refuse(ctx context.Context, cause error) httpResponse {
	err := h.service.Refuse(ctx, cause)
	var bad *formError
	if reason, ok := grpcerr.ReasonFrom(err); !ok || !errors.As(cause, &bad) || bad.err.Reason != reason {
		bad = nil
	}
	return refused(err, bad)
}
