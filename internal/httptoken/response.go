package httptoken

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// httpResponse is a whole response, made before its first byte is written, so that a fault on
// the way leaves nothing half said.
type httpResponse struct {
	status int
	header http.Header // beside the headers of every response
	body   []byte      // JSON; empty with 304 only
	reason trat.Reason // of a refusal
	// hangUp closes the connection, because the request was not read to its end.
	hangUp bool
}

// tokenResponse is RFC 8693 section 2.2.1. It has no refresh_token (draft section 11.4).
type tokenResponse struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"`
	Scope           string `json:"scope"`
}

// errorResponse is RFC 6749 section 5.2, which lets further members in. Its texts are
// constant but for the names of parameters.
type errorResponse struct {
	Error       string      `json:"error"`
	Description string      `json:"error_description"`
	Reason      trat.Reason `json:"reason,omitempty"`
	Parameters  []parameter `json:"parameters,omitempty"`
}

// parameter is a google.rpc.BadRequest.FieldViolation.
type parameter struct {
	Name   string      `json:"name"`
	Reason trat.Reason `json:"reason"`
}

func issued(response *tratv1.ExchangeResponse) httpResponse {
	return jsonResponse(http.StatusOK, tokenResponse{
		AccessToken:     response.GetAccessToken(),
		IssuedTokenType: response.GetIssuedTokenType(),
		TokenType:       response.GetTokenType(),
		ExpiresIn:       response.GetExpiresIn(),
		Scope:           response.GetScope(),
	})
}

// refused turns a status made by internal/grpcerr into OAuth's words. Nothing of another
// error is told. With bad, which err is then about, it says what is wrong with the form.
func refused(err error, bad *formError) httpResponse {
	reason, ok := grpcerr.ReasonFrom(err)
	if !ok {
		if code := status.Code(err); code == codes.DeadlineExceeded || code == codes.Canceled {
			return outOfTime()
		}
		err, reason = grpcerr.Error(trat.ReasonInternal), trat.ReasonInternal
	}
	oauth, st := grpcerr.OAuth(reason), status.Convert(err)
	statusCode, header := oauth.Status, make(http.Header)
	body := errorResponse{Error: oauth.Code, Description: st.Message(), Reason: reason}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				body.Parameters = append(body.Parameters, parameter{v.GetField(), trat.Reason(v.GetReason())})
			}
		case *errdetails.RetryInfo:
			header.Set("Retry-After", wholeSeconds(d.GetRetryDelay().AsDuration()))
		}
	}
	if bad != nil {
		body.Description = bad.text
		if bad.status != 0 {
			statusCode = bad.status
		}
	}
	resp := jsonResponse(statusCode, body)
	resp.header, resp.reason, resp.hangUp = header, reason, bad != nil
	return resp
}

// wholeSeconds rounds up, to one at least: Retry-After has no fractions.
func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10)
}

// outOfTime has no reason of ours, as over gRPC: the caller gave up, or this service did.
func outOfTime() httpResponse {
	return jsonResponse(http.StatusServiceUnavailable, errorResponse{
		Error:       grpcerr.OAuth(trat.ReasonDependencyUnavailable).Code,
		Description: "the request took too long",
	})
}

// noSuchThing answers a request that is for none of the endpoints.
func noSuchThing(statusCode int, text string) httpResponse {
	resp := jsonResponse(statusCode, errorResponse{Error: grpcerr.OAuth(trat.ReasonParameterInvalid).Code, Description: text})
	resp.hangUp = true
	return resp
}

func jsonResponse(statusCode int, v any) httpResponse {
	body, err := json.Marshal(v)
	if err != nil { // structs of strings and numbers: cannot be
		return httpResponse{status: http.StatusInternalServerError, body: []byte(`{"error":"server_error"}`), reason: trat.ReasonInternal}
	}
	return httpResponse{status: statusCode, body: body}
}
