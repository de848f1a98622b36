package grpcerr

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// HintKey is the key of a hint in ErrorInfo.metadata.
	HintKey = "hint"
	// HintReopen says that the stream may be opened again, with another token, at once.
	HintReopen = "REOPEN_WITH_NEW_TOKEN"
)

var streamEnded = func() *status.Status {
	st := status.New(Code(trat.ReasonTxnTokenExpired), "the stream has been open for as long as its transaction token permits")
	with, err := st.WithDetails(
		&errdetails.ErrorInfo{
			Reason: string(trat.ReasonTxnTokenExpired), Domain: Domain,
			Metadata: map[string]string{HintKey: HintReopen},
		},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(0)})
	if err != nil { // as in build
		return st
	}
	return with
}()

// StreamEnded returns the status of a stream that was opened with a good token and has come
// to the end that its method's rule sets it: TXN_TOKEN_EXPIRED, with the hint to open
// another with a new token, and not to wait before that.
func StreamEnded() *status.Status { return streamEnded }
