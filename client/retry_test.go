package client_test

import (
	"context"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Covers RTY-07, ERR-17.
func TestExchangeIsSentAgainOnlyIfTheServiceIsUnavailable(t *testing.T) {
	refusal := func(reason trat.Reason) error { return grpcerr.Error(trat.Errorf(reason, "", "")) }
	for name, test := range map[string]struct {
		err  error
		want int64 // attempts
	}{
		"unavailable":                {status.Error(codes.Unavailable, "shutting down"), 3},
		"a dependency is":            {refusal(trat.ReasonDependencyUnavailable), 3},
		"no keys":                    {refusal(trat.ReasonKeysUnavailable), 3},
		"not authenticated":          {refusal(trat.ReasonClientUnauthenticated), 1},
		"certificate expired":        {refusal(trat.ReasonPeerSVIDExpired), 1},
		"denied":                     {refusal(trat.ReasonIssuanceDenied), 1},
		"not to be replaced":         {refusal(trat.ReasonReplacementDenied), 1},
		"too much scope":             {refusal(trat.ReasonScopeExceeded), 1},
		"bad parameter":              {refusal(trat.ReasonParameterInvalid), 1},
		"bad subject token":          {refusal(trat.ReasonSubjectTokenInvalid), 1},
		"subject token used already": {refusal(trat.ReasonSubjectTokenReplayed), 1},
		"rate limited":               {refusal(trat.ReasonRateLimited), 1},
		"token too large":            {refusal(trat.ReasonTokenTooLarge), 1},
		"internal":                   {refusal(trat.ReasonInternal), 1},
		"deadline":                   {status.Error(codes.DeadlineExceeded, ""), 1},
		"aborted":                    {status.Error(codes.Aborted, ""), 1},
		"unknown":                    {status.Error(codes.Unknown, ""), 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := startTTS(t, trattest.New(t, "shop.test"))
			c, _ := f.ready(t)
			var attempts atomic.Int64
			f.answer(func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
				attempts.Add(1)
				return nil, test.err
			})
			if _, err := c.Exchange(timeout(t), request()); status.Code(err) != status.Code(test.err) {
				t.Errorf("got %v", err)
			}
			if got := attempts.Load(); got != test.want {
				t.Errorf("%d attempts, want %d", got, test.want)
			}
		})
	}
}

// Covers RTY-07, TTS-43.
func TestEveryRequestHasAnIDThatItsAttemptsShare(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	ids := make(chan string, 10)
	var down atomic.Bool
	f.answer(func(ctx context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		ids <- r.GetRequestId()
		if down.CompareAndSwap(true, false) {
			return nil, status.Error(codes.Unavailable, "")
		}
		return f.issue(ctx, r)
	})
	exchange := func(id string) {
		t.Helper()
		r := request()
		r.RequestID = id
		if _, err := c.Exchange(timeout(t), r); err != nil {
			t.Fatal(err)
		}
	}
	down.Store(true)
	exchange("")
	first, again := <-ids, <-ids
	if first != again || len(first) < 22 {
		t.Errorf("attempts have the ids %q and %q", first, again)
	}
	exchange("")
	if second := <-ids; second == first {
		t.Error("two requests have one id")
	}
	exchange("mine")
	if got := <-ids; got != "mine" {
		t.Errorf("the caller's id became %q", got)
	}
}
