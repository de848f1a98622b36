package grpcerr_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers STR-04.
func TestStreamEndedSaysThatAnotherMayBeOpenedAtOnce(t *testing.T) {
	st := grpcerr.StreamEnded()
	if st.Code() != codes.Unauthenticated {
		t.Errorf("code %s", st.Code())
	}
	if reason, _ := grpcerr.ReasonFrom(st.Err()); reason != trat.ReasonTxnTokenExpired {
		t.Errorf("reason %q", reason)
	}
	want := []any{
		&errdetails.ErrorInfo{Reason: "TXN_TOKEN_EXPIRED", Domain: "trat.v1", Metadata: map[string]string{"hint": "REOPEN_WITH_NEW_TOKEN"}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(0)},
	}
	if diff := cmp.Diff(want, st.Details(), protocmp.Transform()); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}
