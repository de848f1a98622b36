package grpcerr

import (
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// parameters are the names that a field violation may carry. A claim or a header
// name inside a subject token is no parameter of the request and is not told.
var parameters = (*tratv1.ExchangeRequest)(nil).ProtoReflect().Descriptor().Fields()

// fieldViolations names the parameters that err's tree blames, in the order of the
// tree, each once. There are no more of them than ExchangeRequest has fields.
func fieldViolations(err error) []*errdetails.BadRequest_FieldViolation {
	var violations []*errdetails.BadRequest_FieldViolation
	seen := make(map[string]bool)
	walk(err, func(e *trat.Error) {
		entry, ok := table[e.Reason]
		if !ok || entry.code != codes.InvalidArgument {
			return
		}
		name := parameter(e.Field)
		if name == "" {
			name = entry.parameter
		}
		if name == "" || seen[name] {
			return
		}
		seen[name] = true
		violations = append(violations, &errdetails.BadRequest_FieldViolation{
			Field:       name,
			Description: entry.message,
			Reason:      string(e.Reason),
		})
	})
	return violations
}

// parameter returns the request parameter that field names, itself or by a path
// below it ("request_details.amount"), and "" when there is none.
func parameter(field string) string {
	name, _, _ := strings.Cut(field, ".")
	if parameters.ByName(protoreflect.Name(name)) == nil {
		return ""
	}
	return name
}

// walk calls f for every *trat.Error in err's tree, depth first.
func walk(err error, f func(*trat.Error)) {
	if e, ok := err.(*trat.Error); ok && e != nil { //nolint:errorlint // one node at a time: the walk itself unwraps
		f(e)
	}
	switch u := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() error }:
		walk(u.Unwrap(), f)
	case interface{ Unwrap() []error }:
		for _, child := range u.Unwrap() {
			walk(child, f)
		}
	}
}
