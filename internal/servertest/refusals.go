package servertest

import (
	"maps"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/codes"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Refusal is a request that is refused: GoodRequest, changed.
type Refusal struct {
	// As asks; default Gateway.
	As spiffeid.ID
	// Nobody asks: the call comes in without a verified connection.
	Nobody bool
	// Change makes the request of GoodRequest; nil leaves it.
	Change func(*tratv1.ExchangeRequest)
	// Prepare changes the World, and may change the request, after the caller has
	// connected; nil changes nothing. Audit records of what it does are to be dropped.
	Prepare func(testing.TB, *World, *tratv1.ExchangeRequest)

	// Reason is why it is refused.
	Reason trat.Reason
	// Fields are the parameters at fault, each with its reason.
	Fields map[string]string
}

// Answer is how a refusal is to be answered.
type Answer struct {
	Code   codes.Code // of gRPC
	OAuth  string     // the error of RFC 6749 section 5.2
	Status int        // of HTTP
	Retry  bool       // RetryInfo, Retry-After
}

// Answers are those for each reason of an exchange, written down from the specifications
// (draft section 11.4, RFC 6749 section 5.2, RFC 8693 section 2.2.2) and not taken from
// internal/grpcerr.
var Answers = map[trat.Reason]Answer{
	trat.ReasonParameterMissing:            {Code: codes.InvalidArgument, OAuth: "invalid_request", Status: 400},
	trat.ReasonParameterInvalid:            {Code: codes.InvalidArgument, OAuth: "invalid_request", Status: 400},
	trat.ReasonGrantTypeUnsupported:        {Code: codes.InvalidArgument, OAuth: "unsupported_grant_type", Status: 400},
	trat.ReasonAudienceNotServed:           {Code: codes.InvalidArgument, OAuth: "invalid_target", Status: 400},
	trat.ReasonScopeMalformed:              {Code: codes.InvalidArgument, OAuth: "invalid_scope", Status: 400},
	trat.ReasonScopeExceeded:               {Code: codes.PermissionDenied, OAuth: "invalid_scope", Status: 400},
	trat.ReasonSubjectScopeUnknown:         {Code: codes.PermissionDenied, OAuth: "invalid_scope", Status: 400},
	trat.ReasonSubjectTokenInvalid:         {Code: codes.InvalidArgument, OAuth: "invalid_request", Status: 400},
	trat.ReasonSubjectTokenExpired:         {Code: codes.InvalidArgument, OAuth: "invalid_request", Status: 400},
	trat.ReasonSubjectTokenTypeUnsupported: {Code: codes.InvalidArgument, OAuth: "invalid_request", Status: 400},
	trat.ReasonSubjectTokenReplayed:        {Code: codes.InvalidArgument, OAuth: "invalid_request", Status: 400},
	trat.ReasonClientUnauthenticated:       {Code: codes.Unauthenticated, OAuth: "invalid_client", Status: 401},
	trat.ReasonPeerSVIDExpired:             {Code: codes.Unauthenticated, OAuth: "invalid_client", Status: 401},
	trat.ReasonIssuanceDenied:              {Code: codes.PermissionDenied, OAuth: "unauthorized_client", Status: 400},
	trat.ReasonReplacementDenied:           {Code: codes.PermissionDenied, OAuth: "unauthorized_client", Status: 400},
	trat.ReasonReplacementLimit:            {Code: codes.PermissionDenied, OAuth: "unauthorized_client", Status: 400},
	trat.ReasonTokenTooLarge:               {Code: codes.ResourceExhausted, OAuth: "invalid_request", Status: 429},
	trat.ReasonRateLimited:                 {Code: codes.ResourceExhausted, OAuth: "slow_down", Status: 429, Retry: true},
	trat.ReasonDependencyUnavailable:       {Code: codes.Unavailable, OAuth: "temporarily_unavailable", Status: 503, Retry: true},
	trat.ReasonKeysUnavailable:             {Code: codes.Unavailable, OAuth: "temporarily_unavailable", Status: 503, Retry: true},
	trat.ReasonPolicyUnavailable:           {Code: codes.Unavailable, OAuth: "temporarily_unavailable", Status: 503},
	trat.ReasonInternal:                    {Code: codes.Internal, OAuth: "server_error", Status: 500},
}

// Refusals returns the whole table, by what is wrong.
func Refusals() map[string]Refusal {
	table := badRequests()
	maps.Copy(table, circumstances())
	maps.Copy(table, realTokens())
	return table
}

// Caller returns who asks, zero for nobody.
func (r Refusal) Caller() spiffeid.ID {
	switch {
	case r.Nobody:
		return spiffeid.ID{}
	case r.As.IsZero():
		return Gateway
	}
	return r.As
}

// Request makes the request and prepares the World for it, whose audit records it drops.
func (r Refusal) Request(t testing.TB, w *World) *tratv1.ExchangeRequest {
	t.Helper()
	request := GoodRequest()
	if r.Change != nil {
		r.Change(request)
	}
	if r.Prepare != nil {
		r.Prepare(t, w, request)
	}
	w.Records.Take()
	return request
}
