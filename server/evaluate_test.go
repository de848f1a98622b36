package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/authzen"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

// deskRequest is granted by policyText after a question to the PDP named central.
func deskRequest(scope string) *tratv1.ExchangeRequest {
	request := goodRequest()
	request.Scope, request.RequestId, request.RequestDetails = scope, "", `{"total": 300, "heads": 4}`
	return request
}

func TestPolicyDecisionPointIsAskedBeforeATokenIsIssued(t *testing.T) {
	f := newFixture(t)
	p := f.PDP
	response := f.exchange(t, f.as(t, desk), deskRequest("desk.read"))
	claims := f.verify(t, response.GetAccessToken()).Claims()
	if len(p.Asked) != 1 {
		t.Fatalf("%d questions", len(p.Asked))
	}
	got, err := json.Marshal(p.Asked[0])
	if err != nil {
		t.Fatal(err)
	}
	user, _ := claims.RequestContext.Text("user")
	want := `{"Subject":{"Type":"subject","ID":"login:alice@example.test","Properties":{"issuer":"https://login.test","token_type":"urn:ietf:params:oauth:token-type:access_token"}},` +
		`"Action":{"Name":"exchange","Properties":{"scope":"desk.read"}},"Resource":{"Type":"txn_token","ID":"shop.test","Properties":{"requester":"spiffe://shop.test/desk","scope":"desk.read"}},` +
		`"Context":{"rctx":{"user":"` + user + `"},"requester":"spiffe://shop.test/desk","tctx":{"per_head":75}}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("question (-want +got):\n%s", diff)
	}
	if r := f.Records.Take()[0]; r.EvaluationPDP != "central" || r.EvaluationFailedOpen {
		t.Errorf("record %+v", r)
	}
	f.exchange(t, f.as(t, gateway), goodRequest())
	if len(p.Asked) != 1 || f.Records.Take()[0].EvaluationPDP != "" {
		t.Error("asked where the rule does not want it")
	}
}

// Covers ERR-04, ERR-08.
func TestAnswerOfThePolicyDecisionPoint(t *testing.T) {
	down := errors.New("secret cause")
	says := func(ok bool, err error) func(context.Context) (bool, error) {
		return func(context.Context) (bool, error) { return ok, err }
	}
	tests := map[string]struct {
		scope  string // desk.read is denied without an answer, desk.look is not
		answer func(context.Context) (bool, error)
		reason trat.Reason // empty: issued
		open   bool
	}{
		"yes":                   {scope: "desk.read", answer: says(true, nil)},
		"no":                    {scope: "desk.read", answer: says(false, nil), reason: trat.ReasonIssuanceDenied},
		"no answer":             {scope: "desk.read", answer: says(false, down), reason: trat.ReasonDependencyUnavailable},
		"an error beside a yes": {scope: "desk.read", answer: says(true, down), reason: trat.ReasonDependencyUnavailable},
		"an error with a reason": {
			scope: "desk.read", answer: says(false, trat.Errorf(trat.ReasonParameterInvalid, "scope", "")), reason: trat.ReasonDependencyUnavailable,
		},
		"yes, open":       {scope: "desk.look", answer: says(true, nil)},
		"no, open":        {scope: "desk.look", answer: says(false, nil), reason: trat.ReasonIssuanceDenied},
		"no answer, open": {scope: "desk.look", answer: says(false, down), open: true},
		"not a good question, open": {
			scope: "desk.look", answer: says(false, &authzen.Error{Kind: authzen.KindStatus, Status: 400}), reason: trat.ReasonDependencyUnavailable,
		},
		"a question that is too large, open": {
			scope: "desk.look", answer: says(false, &authzen.Error{Kind: authzen.KindStatus, Status: 413}), reason: trat.ReasonDependencyUnavailable,
		},
		"a question that cannot be understood, open": {
			scope: "desk.look", answer: says(false, &authzen.Error{Kind: authzen.KindStatus, Status: 422}), reason: trat.ReasonDependencyUnavailable,
		},
		"a question that cannot be asked, open": {
			scope: "desk.look", answer: says(false, &authzen.Error{Kind: authzen.KindRequest}), reason: trat.ReasonDependencyUnavailable,
		},
		"an answer without a decision, open": { // as OPA's, where its policy is undefined
			scope: "desk.look", answer: says(false, &authzen.Error{Kind: authzen.KindAnswer}), reason: trat.ReasonDependencyUnavailable,
		},
		"broken, open": {
			scope: "desk.look", answer: says(false, &authzen.Error{Kind: authzen.KindStatus, Status: 500}), open: true,
		},
		"unreachable, open": {
			scope: "desk.look", answer: says(false, &authzen.Error{Kind: authzen.KindUnreachable, Err: context.DeadlineExceeded}), open: true,
		},
		"panic, open": {
			scope: "desk.look", answer: func(context.Context) (bool, error) { panic("secret") }, reason: trat.ReasonInternal,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.PDP.Answer = tc.answer
			response, err := f.Server.Exchange(f.as(t, desk), deskRequest(tc.scope))
			record := f.Records.Take()[0]
			if record.EvaluationPDP != "central" || record.EvaluationFailedOpen != tc.open || record.Reason != tc.reason {
				t.Errorf("record %+v", record)
			}
			if tc.reason != "" {
				wantReason(t, err, tc.reason)
				if contains(status.Convert(err).Proto().String(), "secret") {
					t.Errorf("the cause is in the status: %v", err)
				}
				return
			}
			if err != nil || response.GetAccessToken() == "" {
				t.Errorf("got %v, %v", response, err)
			}
		})
	}
}

// Covers TTS-32, PRIV-01.
func TestPolicyDecisionPointGetsNoCredential(t *testing.T) {
	f := newFixture(t)
	request := deskRequest("desk.note")
	request.RequestDetails = `{"note": "Bearer ` + subjectToken + `"}`
	_, err := f.Server.Exchange(f.as(t, desk), request)
	wantReason(t, err, trat.ReasonParameterInvalid)
	if len(f.PDP.Asked) != 0 {
		t.Error("the subject token went to the policy decision point")
	}
}

func TestNoAnswerIsNoReasonToIssueForACallThatHasEnded(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(f.as(t, desk))
	f.PDP.Answer = func(ctx context.Context) (bool, error) {
		cancel()
		return false, ctx.Err()
	}
	if response, err := f.Server.Exchange(ctx, deskRequest("desk.look")); response != nil || status.Code(err) != codes.Canceled {
		t.Errorf("got %v, %v", response, err)
	}
}

func TestPolicyDecisionPointThatIsNotConfiguredRefuses(t *testing.T) {
	f := newFixture(t, func(c *server.Config) { c.Evaluators = nil })
	for _, scope := range []string{"desk.read", "desk.look"} {
		_, err := f.Server.Exchange(f.as(t, desk), deskRequest(scope))
		wantReason(t, err, trat.ReasonDependencyUnavailable)
	}
}
