package grpcerr_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

func TestAMarkedStatusKeepsAllButTheReason(t *testing.T) {
	st, err := status.New(codes.DeadlineExceeded, "too late").WithDetails(
		&errdetails.ErrorInfo{Domain: "shop.example", Reason: "QUOTA"},
		&errdetails.ErrorInfo{Domain: grpcerr.Domain, Reason: "DOWNSTREAM_REJECTED"},
		&errdetails.DebugInfo{Detail: "x"})
	if err != nil {
		t.Fatal(err)
	}
	marked := grpcerr.Marked(st, trat.ReasonTxnTokenExpired)
	if reason, _ := grpcerr.ReasonFrom(marked.Err()); reason != trat.ReasonTxnTokenExpired {
		t.Errorf("reason %s", reason)
	}
	if marked.Code() != codes.DeadlineExceeded || marked.Message() != "too late" || len(marked.Details()) != 3 {
		t.Errorf("marked: %v", marked)
	}
	if reason, _ := grpcerr.ReasonFrom(st.Err()); reason != trat.ReasonDownstreamRejected {
		t.Errorf("the status itself has become %s", reason)
	}
}

func TestAStatusThatIsMarkedAsAStreamsEndHasItsDetails(t *testing.T) {
	st, err := status.New(codes.DeadlineExceeded, "too late").WithDetails(
		&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Minute)},
		&errdetails.ErrorInfo{Domain: grpcerr.Domain, Reason: "DOWNSTREAM_REJECTED"},
		&errdetails.DebugInfo{Detail: "x"})
	if err != nil {
		t.Fatal(err)
	}
	marked := grpcerr.MarkedStreamEnded(st)
	if marked.Code() != codes.DeadlineExceeded || marked.Message() != "too late" {
		t.Errorf("marked: %v", marked)
	}
	want := append(grpcerr.StreamEnded().Details(), &errdetails.DebugInfo{Detail: "x"})
	if diff := cmp.Diff(want, marked.Details(), protocmp.Transform()); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
	if got := grpcerr.MarkedStreamEnded(marked); !proto.Equal(got.Proto(), marked.Proto()) {
		t.Errorf("marked again: %v", got)
	}
	if n := len(grpcerr.StreamEnded().Details()); n != 2 {
		t.Errorf("the end of streams itself has %d details", n)
	}
}
