package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/grpc-trat/grpc-trat/client"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// always gives the same request.
func always(r client.Request) func(context.Context) (client.Request, error) {
	return func(context.Context) (client.Request, error) { return r, nil }
}

// expired is how a called service says that a TraT has expired.
func expired() error { return grpcerr.Error(trat.Errorf(trat.ReasonTxnTokenExpired, "exp", "")) }

// A job that takes longer than any TraT lives does each unit in a transaction of its own.
//
// Covers STR-08.
func TestALongJobIsManyTransactions(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	begun := f.domain.Now()
	var seen []string
	for range 8 {
		err := c.Transact(timeout(t), request(), func(ctx context.Context) error {
			token, ok := trat.FromContext(ctx)
			if !ok {
				return errors.New("no TraT")
			}
			if now := f.domain.Now(); !now.Before(token.Expiry()) || token.Expiry().Sub(token.IssuedAt()) > trat.MaxLifetime {
				return fmt.Errorf("at %s with a TraT from %s to %s", now, token.IssuedAt(), token.Expiry())
			}
			seen = append(seen, token.TransactionID())
			f.domain.Advance(time.Minute)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if took := f.domain.Now().Sub(begun); took <= trat.MaxLifetime {
		t.Errorf("the job took %s only", took)
	}
	if slices.Sort(seen); len(slices.Compact(seen)) != 8 {
		t.Error("units share a transaction")
	}
}

func TestTransactEndsAsItsWorkDoes(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	cause := errors.New("out of stock")
	var within context.Context
	err := c.Transact(timeout(t), request(), func(ctx context.Context) error {
		within = ctx //nolint:fatcontext // to look at it
		return cause
	})
	if err != cause { //nolint:errorlint // as it is
		t.Errorf("got %v", err)
	}
	if within.Err() == nil {
		t.Error("the context outlived the transaction")
	}
	never := func(context.Context) error { t.Error("it ran"); return nil }
	f.answer(func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		return nil, grpcerr.Error(trat.Errorf(trat.ReasonIssuanceDenied, "", ""))
	})
	if err := c.Transact(timeout(t), request(), never); !errors.Is(err, trat.ReasonIssuanceDenied) {
		t.Errorf("a refused exchange: %v", err)
	}
	replacement := client.Request{SubjectToken: secret, SubjectTokenType: client.TransactionToken, Scope: "a"}
	for name, err := range map[string]error{
		"Transact": c.Transact(timeout(t), replacement, never),
		"Reopen":   c.Reopen(timeout(t), always(replacement), never),
	} {
		var e *trat.Error
		if !errors.As(err, &e) || e.Reason != trat.ReasonParameterInvalid || e.Field != "subject_token_type" {
			t.Errorf("%s of a replacement: %v", name, err)
		}
	}
}

// Covers STR-04.
func TestReopenBeginsAnotherTransactionWhenATraTHasExpired(t *testing.T) {
	for name, end := range map[string]error{
		"by the service":      expired(),
		"wrapped":             fmt.Errorf("reading: %w", expired()),
		"by the deadline":     grpcerr.Marked(status.New(codes.DeadlineExceeded, ""), trat.ReasonTxnTokenExpired).Err(),
		"by a carrier before": trat.Errorf(trat.ReasonTxnTokenExpired, "exp", ""),
	} {
		t.Run(name, func(t *testing.T) {
			f := startTTS(t, trattest.New(t, "shop.test"))
			c, log := f.ready(t)
			var asked int
			var seen []string
			err := c.Reopen(timeout(t), func(context.Context) (client.Request, error) {
				asked++
				r := request()
				r.RequestID = fmt.Sprintf("turn-%d", asked)
				return r, nil
			}, func(ctx context.Context) error {
				token, _ := trat.FromContext(ctx)
				seen = append(seen, token.TransactionID())
				if token.Subject() != fmt.Sprintf("turn-%d", asked) { // the fake's doing
					t.Errorf("turn %d has the TraT of %s", asked, token.Subject())
				}
				if len(seen) == 4 {
					return nil
				}
				f.domain.Advance(token.Expiry().Sub(f.domain.Now()))
				return end
			})
			if err != nil {
				t.Fatal(err)
			}
			if slices.Sort(seen); asked != 4 || len(slices.Compact(seen)) != 4 {
				t.Errorf("%d turns in %d transactions", asked, len(seen))
			}
			if n := log.lines("right after it was issued"); n != 0 {
				t.Errorf("%d turns were taken for early ones", n)
			}
		})
	}
}

func TestReopenEndsWithEveryOtherError(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	for name, end := range map[string]error{
		"the caller's deadline": status.Error(codes.DeadlineExceeded, ""),
		"refused":               grpcerr.Error(trat.Errorf(trat.ReasonInsufficientScope, "", "")),
		"further down":          grpcerr.Marked(status.New(codes.DeadlineExceeded, ""), trat.ReasonDownstreamRejected).Err(),
		"not signed in":         status.Error(codes.Unauthenticated, "no user session"),
		"its own":               errors.New("broken"),
	} {
		turns := 0
		err := c.Reopen(timeout(t), always(request()), func(context.Context) error { turns++; return end })
		if err != end || turns != 1 { //nolint:errorlint // as it is
			t.Errorf("%s: %d turns, then %v", name, turns, err)
		}
	}
	cause := errors.New("the user has signed out")
	err := c.Reopen(timeout(t), func(context.Context) (client.Request, error) { return client.Request{}, cause },
		func(context.Context) error { t.Error("it ran"); return nil })
	if !errors.Is(err, cause) {
		t.Errorf("no request: %v", err)
	}
	turns := 0
	ctx, cancel := context.WithCancel(t.Context())
	err = c.Reopen(ctx, always(request()), func(context.Context) error { turns++; cancel(); return expired() })
	if status.Code(err) != codes.Unauthenticated || turns != 1 {
		t.Errorf("cancelled: %d turns, then %v", turns, err)
	}
}

// Covers STR-04.
func TestReopenIsNeverInOneTransactionTwice(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	same := request()
	same.RequestID = "mine"
	reopen := func(r client.Request) *trat.Error {
		t.Helper()
		var e *trat.Error
		if err := c.Reopen(timeout(t), always(r), func(context.Context) error { f.domain.Advance(10 * time.Second); return expired() }); !errors.As(err, &e) {
			t.Fatal(err)
		}
		return e
	}
	if e := reopen(same); e.Reason != trat.ReasonParameterInvalid || e.Field != "request_id" {
		t.Errorf("the same request: %v", e)
	}
	f.answer(func(_ context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		return respond(f.domain.Raw(trattest.Scope(r.GetScope()), trattest.TransactionID("txn-1")), r.GetScope()), nil
	})
	if e := reopen(request()); e.Reason != trat.ReasonInternal || e.Field != "txn" {
		t.Errorf("the same transaction: %v", e)
	}
}

// A TraT that the called service takes for expired at once must not set the token service
// under fire.
//
// Covers STR-04.
func TestReopenDoesNotSpin(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, log := f.ready(t)
	turns := 0
	begun := time.Now()
	err := c.Reopen(timeout(t), always(request()), func(context.Context) error {
		if turns++; turns == 4 {
			return nil
		}
		return expired()
	})
	if took := time.Since(begun); err != nil || took < 560*time.Millisecond { // 100, 200 and 400 ms, less 20 %
		t.Errorf("%d turns in %s: %v", turns, took, err)
	}
	if n := log.lines("level=WARN", "right after it was issued", "error.type=TXN_TOKEN_EXPIRED"); n != 3 {
		t.Errorf("%d records of 3 early turns", n)
	}
}

func TestPausesGrowToTheirLimit(t *testing.T) {
	for early, want := range map[int]time.Duration{
		1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 4: 800 * time.Millisecond, 8: 10 * time.Second, 1 << 30: 10 * time.Second,
	} {
		if got := client.PauseAfter(early); got < want*8/10 || got > want*12/10 {
			t.Errorf("after %d: %s", early, got)
		}
	}
}

// Covers STR-04.
func TestReopenWaitsForAsLongAsTheServiceAsks(t *testing.T) {
	asks := func(delay time.Duration) error {
		st, err := status.Convert(expired()).WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
		if err != nil {
			t.Fatal(err)
		}
		return st.Err()
	}
	for delay, want := range map[time.Duration]time.Duration{
		0: 0, -time.Second: 0, 300 * time.Millisecond: 300 * time.Millisecond, 24 * time.Hour: time.Minute,
	} {
		if got := client.RetryDelay(asks(delay)); got != want {
			t.Errorf("asked for %s, waits %s", delay, got)
		}
	}
	if got := client.RetryDelay(errors.New("no status")); got != 0 {
		t.Errorf("asked for nothing, waits %s", got)
	}

	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	var turns []time.Time
	err := c.Reopen(timeout(t), always(request()), func(context.Context) error {
		turns = append(turns, time.Now())
		if len(turns) == 2 {
			return nil
		}
		f.domain.Advance(10 * time.Second)
		return asks(300 * time.Millisecond)
	})
	if err != nil {
		t.Fatal(err)
	}
	if pause := turns[1].Sub(turns[0]); pause < 300*time.Millisecond {
		t.Errorf("it waited %s", pause)
	}
}

func TestAClosedClientEndsAPause(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	st, err := status.Convert(expired()).WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	err = c.Reopen(timeout(t), always(request()), func(context.Context) error {
		go func() { closed <- c.Close() }()
		return st.Err()
	})
	if status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
