package grpcerr

import (
	"regexp"
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

// formParameters are further names that a field violation may carry: parameters of RFC
// 8693 and RFC 6749 that only the HTTP form can have, and that are refused there.
var formParameters = map[string]bool{"resource": true, "actor_token": true, "actor_token_type": true}

// objects are the parameters that are JSON objects, whose members the policy declares.
var objects = map[string]bool{"request_details": true, "request_context": true}

// memberName is a name that may be told: a word, and nothing that reads as anything else.
var memberName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// maxViolations bounds the size of a status.
const maxViolations = 32

// fieldViolations names the parameters that err's tree blames, in the order of the
// tree, each once, and no more than maxViolations.
func fieldViolations(err error) []*errdetails.BadRequest_FieldViolation {
	var violations []*errdetails.BadRequest_FieldViolation
	seen := make(map[string]bool)
	walk(err, func(e *trat.Error) {
		entry, ok := table[e.Reason]
		if !ok || entry.code != codes.InvalidArgument {
			return
		}
		name := told(e)
		if name == "" {
			name = entry.parameter
		}
		if name == "" || seen[name] || len(violations) == maxViolations {
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

// told returns the name that e may carry to the peer, "" for none. That is a parameter,
// or a member of request_details or request_context that is missing or of the wrong type.
// Such a name is not the caller's: policy looks only at members that it declares, and
// blames them by the names in the policy file. What else the caller sends is ignored and
// never named. Other reasons tell the parameter alone.
func told(e *trat.Error) string {
	name := parameter(e.Field)
	if !objects[name] || e.Reason != trat.ReasonParameterMissing && e.Reason != trat.ReasonParameterInvalid {
		return name
	}
	if _, member, ok := strings.Cut(e.Field, "."); ok && memberName.MatchString(member) {
		return e.Field
	}
	return name
}

// parameter returns the request parameter that field names, itself or by a path
// below it ("request_details.amount"), and "" when there is none.
func parameter(field string) string {
	name, _, _ := strings.Cut(field, ".")
	if parameters.ByName(protoreflect.Name(name)) == nil && !formParameters[name] {
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
