package client

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// exchangeError carries both views of a failure: the gRPC status, as received or as
// made here, and the error tree with its Reason.
type exchangeError struct {
	status *status.Status
	err    error
}

func (e *exchangeError) Error() string { return "client: exchange: " + e.err.Error() }

// Unwrap makes errors.Is and trat.ReasonOf look into the tree.
func (e *exchangeError) Unwrap() error { return e.err }

// GRPCStatus makes status.FromError return the status as it is.
func (e *exchangeError) GRPCStatus() *status.Status { return e.status }

// localError is a failure that was found here: its Reason decides the status.
func localError(err error) error {
	return &exchangeError{status: grpcerr.Status(err), err: err}
}

// answerError is a refusal of the token service's answer. Toward the caller it is a
// fault of the service, whatever is wrong with its token.
func answerError(field string, err error) error {
	return localError(&trat.Error{Reason: trat.ReasonInternal, Field: field, Err: err})
}

// contextError is a wait that ctx ended.
func contextError(ctx context.Context, err error) error {
	cause := ctx.Err()
	return &exchangeError{status: status.FromContextError(cause), err: fmt.Errorf("%w: %w", err, cause)}
}

// rpcError is a failure of the call itself. The status stays as received; where the
// service gave no Reason one is derived from the code. The text of a status with a
// Reason is constant and is not repeated.
func rpcError(err error) error {
	st := received(err)
	reason, ok := grpcerr.ReasonFrom(err)
	if ok {
		return &exchangeError{status: st, err: refusal(st, reason)}
	}

	cause := fmt.Errorf("%s: %s", st.Code(), st.Message())
	switch st.Code() {
	case codes.Canceled:
		return &exchangeError{status: st, err: fmt.Errorf("%w: %w", cause, context.Canceled)}
	case codes.DeadlineExceeded:
		reason, cause = trat.ReasonDependencyUnavailable, fmt.Errorf("%w: %w", cause, context.DeadlineExceeded)
	case codes.Unavailable:
		reason = trat.ReasonDependencyUnavailable
	default:
		reason = trat.ReasonInternal
	}
	return &exchangeError{status: st, err: &trat.Error{Reason: reason, Err: cause}}
}

// received returns the status that came last, without what gRPC writes before its text
// when it has sent a call several times.
func received(err error) *status.Status {
	var e interface{ GRPCStatus() *status.Status }
	if errors.As(err, &e) {
		return e.GRPCStatus()
	}
	return status.Convert(err)
}

// refusal is a status with a reason: one *trat.Error, or one for each parameter that
// the service blames, joined.
func refusal(st *status.Status, reason trat.Reason) error {
	cause := fmt.Errorf("the token service answered %s", st.Code())
	fields := violatedFields(st)
	if len(fields) == 0 {
		return &trat.Error{Reason: reason, Err: cause}
	}
	blamed := make([]error, len(fields))
	for i, field := range fields {
		blamed[i] = &trat.Error{Reason: reason, Field: field, Err: cause}
	}
	return errors.Join(blamed...)
}

// maxViolations is how many of the parameters that a service blames are told.
const maxViolations = 32

// violatedFields names the parameters that the service blames, each once.
func violatedFields(st *status.Status) []string {
	var fields []string
	for _, detail := range st.Details() {
		bad, ok := detail.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for _, violation := range bad.GetFieldViolations() {
			field := violation.GetField()
			if len(fields) == maxViolations {
				return fields
			}
			if mayBlame(field) && !slices.Contains(fields, field) {
				fields = append(fields, field)
			}
		}
	}
	return fields
}

// blamedKey is a key below a parameter that may be told: a short word, and nothing that
// reads as anything else.
var blamedKey = regexp.MustCompile(`^request_(details|context)\.[A-Za-z0-9_-]{1,64}$`)

// mayBlame reports whether field is a parameter of the exchange, or a key of
// request_details or request_context. What else a service may name is not repeated.
func mayBlame(field string) bool {
	parameters := (*tratv1.ExchangeRequest)(nil).ProtoReflect().Descriptor().Fields()
	return parameters.ByName(protoreflect.Name(field)) != nil || blamedKey.MatchString(field)
}
