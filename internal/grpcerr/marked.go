package grpcerr

import (
	"slices"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Marked returns st with reason as its one reason of this project. Code, text and all other
// details stay as they are: st is for a status that something else has made, such as
// gRPC when a deadline has passed.
func Marked(st *status.Status, reason trat.Reason) *status.Status {
	info, err := anypb.New(&errdetails.ErrorInfo{Reason: string(reason), Domain: Domain})
	if err != nil { // a message of ours that does not encode: the code still tells the truth
		return st
	}
	return marked(st, info)
}

// MarkedStreamEnded returns st with the details of StreamEnded, and all others but a
// RetryInfo as Marked leaves them: for a stream that something else has ended as its token
// expired.
func MarkedStreamEnded(st *status.Status) *status.Status {
	return marked(st, streamEnded.Proto().GetDetails()...)
}

// marked returns st with details instead of those of this project, and of a pause that it
// has if details say one.
func marked(st *status.Status, details ...*anypb.Any) *status.Status {
	pause := slices.ContainsFunc(details, isPause)
	with := st.Proto() // a copy
	for _, detail := range with.GetDetails() {
		var info errdetails.ErrorInfo
		ours := detail.UnmarshalTo(&info) == nil && info.GetDomain() == Domain
		if !ours && (!pause || !isPause(detail)) {
			details = append(details, detail)
		}
	}
	with.Details = details
	return status.FromProto(with)
}

func isPause(detail *anypb.Any) bool { return detail.MessageIs((*errdetails.RetryInfo)(nil)) }
