package grpcerr

import (
	"net/http"

	"github.com/grpc-trat/grpc-trat/trat"
)

// OAuthError is what a reason becomes over HTTP.
type OAuthError struct {
	// Code is the parameter "error" of RFC 6749 section 5.2, RFC 8693 section 2.2.2 and,
	// for what those have no word for, RFC 6749 section 4.1.2.1 and RFC 8628 section 3.5.
	Code string
	// Status is the HTTP status code.
	Status int
}

// The errors of a token endpoint. Their status is 400 but where RFC 6749 section 5.2 says
// otherwise, or where it is no fault of the request.
var (
	invalidRequest         = OAuthError{"invalid_request", http.StatusBadRequest}
	invalidClient          = OAuthError{"invalid_client", http.StatusUnauthorized}
	unauthorizedClient     = OAuthError{"unauthorized_client", http.StatusBadRequest}
	unsupportedGrantType   = OAuthError{"unsupported_grant_type", http.StatusBadRequest}
	invalidScope           = OAuthError{"invalid_scope", http.StatusBadRequest}
	invalidTarget          = OAuthError{"invalid_target", http.StatusBadRequest}
	slowDown               = OAuthError{"slow_down", http.StatusTooManyRequests}
	temporarilyUnavailable = OAuthError{"temporarily_unavailable", http.StatusServiceUnavailable}
	serverError            = OAuthError{"server_error", http.StatusInternalServerError}
	// tokenTooLarge: a limit, as for gRPC, but one that no waiting lifts, so that the word
	// is not slow_down.
	tokenTooLarge = OAuthError{"invalid_request", http.StatusTooManyRequests}
)

// OAuth returns what reason becomes over HTTP. It is server_error for a reason that no
// OAuth request can meet, and for a word that is not one: met all the same, it is a fault
// of the service.
func OAuth(reason trat.Reason) OAuthError {
	if e := table[reason].oauth; e != (OAuthError{}) {
		return e
	}
	return serverError
}
