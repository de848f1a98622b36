package grpcerr

import (
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
	marked := st.Proto() // a copy
	details := []*anypb.Any{info}
	for _, detail := range marked.GetDetails() {
		var other errdetails.ErrorInfo
		if detail.UnmarshalTo(&other) == nil && other.GetDomain() == Domain {
			continue
		}
		details = append(details, detail)
	}
	marked.Details = details
	return status.FromProto(marked)
}
