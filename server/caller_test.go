package server_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers ERR-01, ERR-03, ERR-09, TTS-42.
func TestRefuseConcludesARequestAsExchangeDoes(t *testing.T) {
	bad := trat.Errorf(trat.ReasonParameterInvalid, "scope", "secret cause")
	for name, tc := range map[string]struct {
		nobody bool
		cause  error
		want   trat.Reason
	}{
		"for its cause":          {cause: bad, want: trat.ReasonParameterInvalid},
		"without a cause":        {want: trat.ReasonInternal},
		"a cause without reason": {cause: errors.New("secret cause"), want: trat.ReasonInternal},
		"of nobody":              {nobody: true, cause: bad, want: trat.ReasonClientUnauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			ctx, requester := f.as(t, gateway), gateway.String()
			if tc.nobody {
				ctx, requester = t.Context(), ""
			}
			err := f.Server.Refuse(ctx, tc.cause)
			wantReason(t, err, tc.want)
			if contains(status.Convert(err).Proto().String(), "secret") {
				t.Errorf("the cause is in the status: %v", err)
			}
			list := f.Records.Take()
			if len(list) != 1 || list[0].Reason != tc.want || list[0].Requester != requester || list[0].DecisionID == "" || list[0].Time.IsZero() {
				t.Errorf("audit records %+v", list)
			}
			if n := f.counter(t, "txn_token.issuances"); n != 1 {
				t.Errorf("txn_token.issuances is %d", n)
			}
		})
	}
}

// Covers ERR-09.
func TestRefuseIsLimitedWithExchange(t *testing.T) {
	f := newFixture(t, func(c *server.Config) { c.Burst, c.MaxConcurrent = 3, 2 })
	ctx, bad := f.as(t, gateway), trat.Errorf(trat.ReasonParameterInvalid, "", "")
	wantReason(t, f.Server.Refuse(ctx, bad), trat.ReasonParameterInvalid)
	wantReason(t, f.Server.Refuse(ctx, bad), trat.ReasonParameterInvalid)
	f.exchange(t, ctx, goodRequest())
	wantReason(t, f.Server.Refuse(ctx, bad), trat.ReasonRateLimited)
	_, err := f.Server.Exchange(ctx, goodRequest())
	wantReason(t, err, trat.ReasonRateLimited)
}

func TestRefuseOfACallThatHasEndedHasItsCode(t *testing.T) {
	f := newFixture(t)
	if err := f.Server.Refuse(f.as(t, gateway), context.Canceled); status.Code(err) != codes.Canceled {
		t.Errorf("got %v", err)
	}
}
