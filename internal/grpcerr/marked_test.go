package grpcerr_test

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
