package grpcerr

import (
	"time"

	"google.golang.org/grpc/codes"

	"github.com/grpc-trat/grpc-trat/trat"
)

// entry is what a reason means on the wire.
type entry struct {
	code codes.Code
	// message is constant and safe for outsiders: no names, no values.
	message string
	// parameter is the ExchangeRequest field that the reason is about by its nature.
	parameter string
	// retryAfter is RetryInfo.retry_delay; zero means that waiting does not help.
	retryAfter time.Duration
	// quota is QuotaFailure's subject, which has the limit that was met; empty for none.
	quota string
	// oauth is the answer over HTTP; zero for a reason that no OAuth request can meet.
	oauth OAuthError
}

// retryDelay is long enough for a key to become active or a fetch to be tried again.
const retryDelay = time.Second

// table has every reason exactly once; a test compares it with the constants of
// package trat and with the enum of trat.v1.
var table = map[trat.Reason]entry{
	trat.ReasonTxnTokenMissing:   {code: codes.Unauthenticated, message: "the call carries no transaction token"},
	trat.ReasonTxnTokenMalformed: {code: codes.Unauthenticated, message: "the transaction token is malformed"},
	trat.ReasonTxnTokenInvalid:   {code: codes.Unauthenticated, message: "the transaction token is not valid"},
	trat.ReasonTxnTokenExpired:   {code: codes.Unauthenticated, message: "the transaction token has expired"},
	trat.ReasonTxnTokenAudience:  {code: codes.Unauthenticated, message: "the transaction token is for another trust domain"},

	trat.ReasonInsufficientScope: {code: codes.PermissionDenied, message: "the transaction's scope does not permit this call"},
	trat.ReasonPolicyDenied:      {code: codes.PermissionDenied, message: "policy does not permit this call"},
	trat.ReasonPeerDenied:        {code: codes.PermissionDenied, message: "the calling workload may not call this method", oauth: unauthorizedClient},

	trat.ReasonChainMissing:      {code: codes.PermissionDenied, message: "the call carries no call chain"},
	trat.ReasonChainLinkInvalid:  {code: codes.PermissionDenied, message: "the call chain has a link that is not valid"},
	trat.ReasonChainPeerMismatch: {code: codes.PermissionDenied, message: "the call chain does not end with the calling workload"},
	trat.ReasonChainRootMismatch: {code: codes.PermissionDenied, message: "the call chain does not begin with the requesting workload"},
	trat.ReasonChainTooDeep:      {code: codes.PermissionDenied, message: "the call chain is too long"},
	trat.ReasonChainReplayed:     {code: codes.PermissionDenied, message: "the call chain was used before"},

	trat.ReasonKeysUnavailable:   {code: codes.Unavailable, message: "the token service's keys are not available", retryAfter: retryDelay, oauth: temporarilyUnavailable},
	trat.ReasonPolicyUnavailable: {code: codes.Unavailable, message: "the policy is not available", oauth: temporarilyUnavailable},
	trat.ReasonCoverageUnchecked: {code: codes.Unavailable, message: "the service is not ready to accept calls"},

	trat.ReasonClientMetadataConflict: {code: codes.Internal, message: "the application set metadata that is reserved for transaction tokens"},
	trat.ReasonEgressBlocked:          {code: codes.PermissionDenied, message: "the called peer is outside the trust domain"},
	trat.ReasonMetadataTooLarge:       {code: codes.ResourceExhausted, message: "the call's metadata is too large"},
	trat.ReasonDownstreamRejected:     {code: codes.Internal, message: "a called service refused this service's request"},

	trat.ReasonClientUnauthenticated: {code: codes.Unauthenticated, message: "the calling workload is not authenticated", oauth: invalidClient},
	trat.ReasonPeerSVIDExpired:       {code: codes.Unauthenticated, message: "the calling workload's certificate has expired", oauth: invalidClient},

	trat.ReasonParameterMissing:     {code: codes.InvalidArgument, message: "a required parameter is missing", oauth: invalidRequest},
	trat.ReasonParameterInvalid:     {code: codes.InvalidArgument, message: "a parameter is not valid", oauth: invalidRequest},
	trat.ReasonGrantTypeUnsupported: {code: codes.InvalidArgument, message: "the grant type is not supported", parameter: "grant_type", oauth: unsupportedGrantType},
	trat.ReasonAudienceNotServed:    {code: codes.InvalidArgument, message: "the audience is not served here", parameter: "audience", oauth: invalidTarget},
	trat.ReasonScopeMalformed:       {code: codes.InvalidArgument, message: "the scope is malformed", parameter: "scope", oauth: invalidScope},
	trat.ReasonScopeExceeded:        {code: codes.PermissionDenied, message: "the requested scope exceeds what the subject token permits", oauth: invalidScope},
	trat.ReasonSubjectScopeUnknown:  {code: codes.PermissionDenied, message: "the subject token's authority cannot be determined", oauth: invalidScope},

	trat.ReasonSubjectTokenInvalid:         {code: codes.InvalidArgument, message: "the subject token is not valid", parameter: "subject_token", oauth: invalidRequest},
	trat.ReasonSubjectTokenExpired:         {code: codes.InvalidArgument, message: "the subject token has expired", parameter: "subject_token", oauth: invalidRequest},
	trat.ReasonSubjectTokenTypeUnsupported: {code: codes.InvalidArgument, message: "the subject token type is not supported", parameter: "subject_token_type", oauth: invalidRequest},
	trat.ReasonSubjectTokenReplayed:        {code: codes.InvalidArgument, message: "the subject token was used before", parameter: "subject_token", oauth: invalidRequest},

	trat.ReasonIssuanceDenied:        {code: codes.PermissionDenied, message: "no such token may be issued to the calling workload", oauth: unauthorizedClient},
	trat.ReasonReplacementDenied:     {code: codes.PermissionDenied, message: "the calling workload may not replace a transaction token", oauth: unauthorizedClient},
	trat.ReasonReplacementLimit:      {code: codes.PermissionDenied, message: "the transaction token may not be replaced again", oauth: unauthorizedClient},
	trat.ReasonTokenTooLarge:         {code: codes.ResourceExhausted, message: "the transaction token would be too large", quota: "transaction token", oauth: tokenTooLarge},
	trat.ReasonRateLimited:           {code: codes.ResourceExhausted, message: "too many requests", retryAfter: retryDelay, quota: "requester", oauth: slowDown},
	trat.ReasonDependencyUnavailable: {code: codes.Unavailable, message: "a service that the decision needs is not available", retryAfter: retryDelay, oauth: temporarilyUnavailable},
	trat.ReasonInternal:              {code: codes.Internal, message: "internal error", oauth: serverError},
}
