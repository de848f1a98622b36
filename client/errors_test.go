package client_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// What a service names is told as far as it is the name of a parameter or of a key below one.
func TestExchangeNamesEveryParameterThatIsBlamed(t *testing.T) {
	long := "request_details." + strings.Repeat("x", 65)
	violations := []*errdetails.BadRequest_FieldViolation{}
	for _, field := range []string{
		"request_details.amount_cents", "nothing", "request_details.", "request_details.a b", "scope.x", long, "scope",
		"request_details.amount_cents", "request_context.ip",
	} {
		violations = append(violations, &errdetails.BadRequest_FieldViolation{Field: field})
	}
	missing, err := status.New(codes.InvalidArgument, "a parameter is missing").WithDetails(
		&errdetails.ErrorInfo{Reason: "PARAMETER_MISSING", Domain: "trat.v1"}, &errdetails.BadRequest{FieldViolations: violations})
	if err != nil {
		t.Fatal(err)
	}
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	f.answer(func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		return nil, missing.Err()
	})
	_, err = c.Exchange(timeout(t), request())
	want := `client: exchange: PARAMETER_MISSING: request_details.amount_cents: the token service answered InvalidArgument
PARAMETER_MISSING: scope: the token service answered InvalidArgument
PARAMETER_MISSING: request_context.ip: the token service answered InvalidArgument`
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	if reason, _ := trat.ReasonOf(err); reason != trat.ReasonParameterMissing {
		t.Errorf("reason = %s", reason)
	}
}
