package grpcerr_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers ERR-01, ERR-02, ERR-03, ERR-04, ERR-05, ERR-06, ERR-07, ERR-08, ERR-09, ERR-10.
func TestEveryReasonOfAnExchangeHasItsOAuthError(t *testing.T) {
	type answer = grpcerr.OAuthError
	bad, unavailable := http.StatusBadRequest, http.StatusServiceUnavailable
	want := map[trat.Reason]answer{
		"PARAMETER_MISSING":              {"invalid_request", bad},
		"PARAMETER_INVALID":              {"invalid_request", bad},
		"SUBJECT_TOKEN_INVALID":          {"invalid_request", bad},
		"SUBJECT_TOKEN_EXPIRED":          {"invalid_request", bad},
		"SUBJECT_TOKEN_TYPE_UNSUPPORTED": {"invalid_request", bad},
		"SUBJECT_TOKEN_REPLAYED":         {"invalid_request", bad},
		"CLIENT_UNAUTHENTICATED":         {"invalid_client", http.StatusUnauthorized},
		"PEER_SVID_EXPIRED":              {"invalid_client", http.StatusUnauthorized},
		"ISSUANCE_DENIED":                {"unauthorized_client", bad},
		"REPLACEMENT_DENIED":             {"unauthorized_client", bad},
		"REPLACEMENT_LIMIT":              {"unauthorized_client", bad},
		"PEER_DENIED":                    {"unauthorized_client", bad},
		"GRANT_TYPE_UNSUPPORTED":         {"unsupported_grant_type", bad},
		"SCOPE_MALFORMED":                {"invalid_scope", bad},
		"SCOPE_EXCEEDED":                 {"invalid_scope", bad},
		"SUBJECT_SCOPE_UNKNOWN":          {"invalid_scope", bad},
		"AUDIENCE_NOT_SERVED":            {"invalid_target", bad},
		"DEPENDENCY_UNAVAILABLE":         {"temporarily_unavailable", unavailable},
		"KEYS_UNAVAILABLE":               {"temporarily_unavailable", unavailable},
		"POLICY_UNAVAILABLE":             {"temporarily_unavailable", unavailable},
		"RATE_LIMITED":                   {"slow_down", http.StatusTooManyRequests},
		"TOKEN_TOO_LARGE":                {"invalid_request", http.StatusTooManyRequests},
	}
	for _, reason := range append(declaredReasons(t), "NO_REASON") {
		expected, ok := want[reason]
		if !ok {
			expected = answer{"server_error", http.StatusInternalServerError}
		}
		if diff := cmp.Diff(expected, grpcerr.OAuth(reason)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
		delete(want, reason)
	}
	if len(want) > 0 {
		t.Errorf("no reasons of package trat: %v", want)
	}
}

// Covers ERR-09.
func TestLimitsAreQuotaFailures(t *testing.T) {
	want := map[trat.Reason]*errdetails.QuotaFailure{
		trat.ReasonRateLimited: {Violations: []*errdetails.QuotaFailure_Violation{
			{Subject: "requester", Description: "too many requests"},
		}},
		trat.ReasonTokenTooLarge: {Violations: []*errdetails.QuotaFailure_Violation{
			{Subject: "transaction token", Description: "the transaction token would be too large"},
		}},
	}
	for _, reason := range declaredReasons(t) {
		var got *errdetails.QuotaFailure
		for _, d := range grpcerr.Status(reason).Details() {
			if quota, ok := d.(*errdetails.QuotaFailure); ok {
				got = quota
			}
		}
		if diff := cmp.Diff(want[reason], got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
}

func TestParametersOfTheFormAloneMayBeNamed(t *testing.T) {
	for _, name := range []string{"resource", "actor_token", "actor_token_type"} {
		st := grpcerr.Status(trat.Errorf(trat.ReasonParameterInvalid, name, "secret"))
		var fields []string
		for _, d := range st.Details() {
			if bad, ok := d.(*errdetails.BadRequest); ok {
				for _, v := range bad.GetFieldViolations() {
					fields = append(fields, v.GetField())
				}
			}
		}
		if diff := cmp.Diff([]string{name}, fields); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
