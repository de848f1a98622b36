package grpcerr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers ERR-10.
func TestErrorWithoutReasonIsInternalWithoutCause(t *testing.T) {
	for name, err := range map[string]error{
		"plain":          errors.New("dial tcp 10.0.0.1: secret"),
		"unknown reason": trat.Reason("SECRET_WORD"),
		"grpc status":    status.Error(codes.NotFound, "secret"),
	} {
		st := grpcerr.Status(err)
		if st.Code() != codes.Internal || st.Message() != "internal error" {
			t.Errorf("%s: got %s %q", name, st.Code(), st.Message())
		}
		if reason, ok := grpcerr.ReasonFrom(st.Err()); !ok || reason != trat.ReasonInternal {
			t.Errorf("%s: reason %q, %t", name, reason, ok)
		}
		if strings.Contains(strings.ToLower(st.Proto().String()), "secret") {
			t.Errorf("%s: the cause is in the status: %v", name, st.Proto())
		}
	}
}

func TestNilErrorIsOK(t *testing.T) {
	if grpcerr.Error(nil) != nil {
		t.Error("Error(nil) is not nil")
	}
	if _, ok := grpcerr.ReasonFrom(nil); ok {
		t.Error("ReasonFrom(nil) found a reason")
	}
}

// Covers ERR-01, PRIV-07.
func TestFieldViolationsNameEveryParameterAtFault(t *testing.T) {
	type violation struct{ Field, Reason string }
	tests := map[string]struct {
		err    error
		reason trat.Reason
		want   []violation
	}{
		"several at once": {
			err: errors.Join(
				trat.Errorf(trat.ReasonParameterMissing, "audience", ""),
				trat.Errorf(trat.ReasonParameterMissing, "scope", ""),
				trat.Errorf(trat.ReasonParameterInvalid, "request_id", "secret"),
			),
			reason: trat.ReasonParameterMissing,
			want: []violation{
				{"audience", "PARAMETER_MISSING"},
				{"scope", "PARAMETER_MISSING"},
				{"request_id", "PARAMETER_INVALID"},
			},
		},
		"wrapped": {
			err:    fmt.Errorf("exchange: %w", trat.Errorf(trat.ReasonParameterInvalid, "request_details", "secret")),
			reason: trat.ReasonParameterInvalid,
			want:   []violation{{"request_details", "PARAMETER_INVALID"}},
		},
		"a path below any other parameter names that only": {
			err:    trat.Errorf(trat.ReasonParameterInvalid, "scope.secret", ""),
			reason: trat.ReasonParameterInvalid,
			want:   []violation{{"scope", "PARAMETER_INVALID"}},
		},
		"a path with any other reason names its parameter only": {
			err:    trat.Errorf(trat.ReasonScopeMalformed, "request_details.secret", ""),
			reason: trat.ReasonScopeMalformed,
			want:   []violation{{"request_details", "SCOPE_MALFORMED"}},
		},
		"members that have not the type that policy declares": {
			err: errors.Join(
				trat.Errorf(trat.ReasonParameterInvalid, "request_context.ip", "secret"),
				trat.Errorf(trat.ReasonParameterInvalid, "request_details.quantity", "secret"),
			),
			reason: trat.ReasonParameterInvalid,
			want: []violation{
				{"request_context.ip", "PARAMETER_INVALID"},
				{"request_details.quantity", "PARAMETER_INVALID"},
			},
		},
		"members that are no words name their parameter only": {
			err: errors.Join(
				trat.Errorf(trat.ReasonParameterInvalid, "request_details.a secret", ""),
				trat.Errorf(trat.ReasonParameterInvalid, "request_context."+strings.Repeat("secret", 11), ""),
			),
			reason: trat.ReasonParameterInvalid,
			want: []violation{
				{"request_details", "PARAMETER_INVALID"},
				{"request_context", "PARAMETER_INVALID"},
			},
		},
		"missing keys that policy requires": {
			err: errors.Join(
				trat.Errorf(trat.ReasonParameterMissing, "request_details.sku", "secret"),
				trat.Errorf(trat.ReasonParameterMissing, "request_details.order-id_2", "secret"),
				trat.Errorf(trat.ReasonParameterMissing, "request_details.sku", "secret"),
			),
			reason: trat.ReasonParameterMissing,
			want: []violation{
				{"request_details.sku", "PARAMETER_MISSING"},
				{"request_details.order-id_2", "PARAMETER_MISSING"},
			},
		},
		"missing keys that are no words name their parameter only": {
			err: errors.Join(
				trat.Errorf(trat.ReasonParameterMissing, "request_details.a secret", ""),
				trat.Errorf(trat.ReasonParameterMissing, "request_details."+strings.Repeat("secret", 11), ""),
				trat.Errorf(trat.ReasonParameterMissing, "request_details.secret.x", ""),
				trat.Errorf(trat.ReasonParameterMissing, "request_details.", ""),
			),
			reason: trat.ReasonParameterMissing,
			want:   []violation{{"request_details", "PARAMETER_MISSING"}},
		},
		"a missing member of the context": {
			err:    trat.Errorf(trat.ReasonParameterMissing, "request_context.ip", "secret"),
			reason: trat.ReasonParameterMissing,
			want:   []violation{{"request_context.ip", "PARAMETER_MISSING"}},
		},
		"by the nature of the reason": {
			err:    trat.Errorf(trat.ReasonScopeMalformed, "", "secret"),
			reason: trat.ReasonScopeMalformed,
			want:   []violation{{"scope", "SCOPE_MALFORMED"}},
		},
		"a claim of the subject token is not told": {
			err:    trat.Errorf(trat.ReasonSubjectTokenInvalid, "secret_claim", "secret"),
			reason: trat.ReasonSubjectTokenInvalid,
			want:   []violation{{"subject_token", "SUBJECT_TOKEN_INVALID"}},
		},
		"a name that is no parameter is not told": {
			err:    trat.Errorf(trat.ReasonParameterInvalid, "secret", ""),
			reason: trat.ReasonParameterInvalid,
		},
		"each parameter once": {
			err: errors.Join(
				trat.Errorf(trat.ReasonParameterInvalid, "scope", ""),
				trat.Errorf(trat.ReasonScopeMalformed, "scope", ""),
			),
			reason: trat.ReasonParameterInvalid,
			want:   []violation{{"scope", "PARAMETER_INVALID"}},
		},
		"only for a bad request": {
			err:    trat.Errorf(trat.ReasonScopeExceeded, "scope", "secret"),
			reason: trat.ReasonScopeExceeded,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			st := grpcerr.Status(tc.err)
			if reason, _ := grpcerr.ReasonFrom(st.Err()); reason != tc.reason {
				t.Errorf("reason %s, want %s", reason, tc.reason)
			}
			var got []violation
			for _, d := range st.Details() {
				bad, ok := d.(*errdetails.BadRequest)
				if !ok {
					continue
				}
				for _, v := range bad.GetFieldViolations() {
					got = append(got, violation{v.GetField(), v.GetReason()})
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
			var names []string
			for _, v := range got {
				names = append(names, v.Field)
			}
			if diff := cmp.Diff(names, grpcerr.Parameters(tc.err)); diff != "" {
				t.Errorf("Parameters are not those that are told (-told +got):\n%s", diff)
			}
			if strings.Contains(st.Proto().String(), "secret") {
				t.Errorf("a cause or a foreign name is in the status: %v", st.Proto())
			}
		})
	}
}

func TestTheNumberOfFieldViolationsIsBounded(t *testing.T) {
	var missing []error
	for i := range 100 {
		missing = append(missing, trat.Errorf(trat.ReasonParameterMissing, fmt.Sprintf("request_details.k%d", i), ""))
	}
	for _, d := range grpcerr.Status(errors.Join(missing...)).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok && len(bad.GetFieldViolations()) != 32 {
			t.Errorf("%d violations, want 32", len(bad.GetFieldViolations()))
		}
	}
}

func TestReasonFromTrustsOnlyItsDomainAndKnownWords(t *testing.T) {
	with := func(domain, reason string) error {
		st, err := status.New(codes.PermissionDenied, "").WithDetails(&errdetails.ErrorInfo{Domain: domain, Reason: reason})
		if err != nil {
			t.Fatal(err)
		}
		return st.Err()
	}
	for name, err := range map[string]error{
		"other domain": with("example.org", "POLICY_DENIED"),
		"unknown word": with("trat.v1", "FROM_THE_FUTURE"),
		"no details":   status.Error(codes.PermissionDenied, ""),
		"no status":    errors.New("x"),
	} {
		if reason, ok := grpcerr.ReasonFrom(err); ok {
			t.Errorf("%s: found %q", name, reason)
		}
	}
	if reason, ok := grpcerr.ReasonFrom(fmt.Errorf("call: %w", with("trat.v1", "POLICY_DENIED"))); !ok || reason != trat.ReasonPolicyDenied {
		t.Errorf("wrapped status: %q, %t", reason, ok)
	}
}
