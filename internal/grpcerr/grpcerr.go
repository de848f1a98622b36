// Package grpcerr is the one place where a trat.Reason becomes a gRPC status, and where
// it is said what it becomes over HTTP, which is made of the status (OAuth).
//
// A peer learns the code, one constant sentence per reason, google.rpc.ErrorInfo
// (domain "trat.v1", the reason), for a bad request google.rpc.BadRequest with the
// names of the parameters at fault and of their declared members that are missing or of the
// wrong type, google.rpc.QuotaFailure where a limit was met, and google.rpc.RetryInfo where waiting
// helps.
// Everything else that an error holds, its cause and the claim it concerns, is lost
// at this boundary on purpose: it belongs into the log of the process that made it.
//
// The reasons that a call credential gives (the carrier's: TXN_TOKEN_MISSING,
// TXN_TOKEN_EXPIRED, EGRESS_BLOCKED, METADATA_TOO_LARGE, CLIENT_METADATA_CONFLICT)
// have codes that gRFC A54 lets through; grpc-go turns the barred ones into INTERNAL.
package grpcerr

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Domain is the ErrorInfo.domain of every error of this project.
const Domain = "trat.v1"

// plain holds the finished status of each reason without field violations, so that
// refusing garbage costs no encoding. A *status.Status is immutable.
var plain = func() map[trat.Reason]*status.Status {
	m := make(map[trat.Reason]*status.Status, len(table))
	for reason := range table {
		m[reason] = build(reason, nil)
	}
	return m
}()

// Status returns the status that a peer may see for err: nil gives OK, an error
// without a Reason gives INTERNAL. Of several reasons the first in err's tree
// (trat.ReasonOf) decides; the field violations name every parameter that err's
// tree blames. Safe for concurrent use, as is everything in this package.
func Status(err error) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	reason, ok := trat.ReasonOf(err)
	if !ok {
		return plain[trat.ReasonInternal]
	}
	e, ok := table[reason]
	if !ok {
		return plain[trat.ReasonInternal]
	}
	if e.code != codes.InvalidArgument {
		return plain[reason]
	}
	violations := fieldViolations(err)
	if len(violations) == 0 {
		return plain[reason]
	}
	return build(reason, violations)
}

// Error is Status(err).Err(): nil for nil.
func Error(err error) error { return Status(err).Err() }

// Code returns the code of a reason, codes.Internal for a word that is not one.
func Code(reason trat.Reason) codes.Code {
	e, ok := table[reason]
	if !ok {
		return codes.Internal
	}
	return e.code
}

// Parameters returns the names that Status(err) tells as those of the parameters at fault:
// names alone, at most 32, none unless it is a bad request.
func Parameters(err error) []string {
	if reason, ok := trat.ReasonOf(err); !ok || Code(reason) != codes.InvalidArgument {
		return nil
	}
	var names []string
	for _, v := range fieldViolations(err) {
		names = append(names, v.GetField())
	}
	return names
}

// ReasonFrom returns the reason that a received status (or an error that wraps one)
// carries in its ErrorInfo. It reports false for other domains and for words that
// this version does not know, so that the result is always safe as a metric label.
func ReasonFrom(err error) (trat.Reason, bool) {
	if err == nil {
		return "", false
	}
	st, ok := status.FromError(err)
	if !ok {
		return "", false
	}
	for _, detail := range st.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != Domain {
			continue
		}
		reason := trat.Reason(info.GetReason())
		if _, known := table[reason]; known {
			return reason, true
		}
	}
	return "", false
}

func build(reason trat.Reason, violations []*errdetails.BadRequest_FieldViolation) *status.Status {
	e := table[reason]
	st := status.New(e.code, e.message)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(reason), Domain: Domain}}
	if len(violations) > 0 {
		details = append(details, &errdetails.BadRequest{FieldViolations: violations})
	}
	if e.quota != "" {
		details = append(details, &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{
			{Subject: e.quota, Description: e.message},
		}})
	}
	if e.retryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.retryAfter)})
	}
	with, err := st.WithDetails(details...)
	if err != nil { // messages of ours that do not encode: the code still tells the truth
		return st
	}
	return with
}
