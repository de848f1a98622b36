package interceptors_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// running is a clock that starts at the time of d and goes on like that of contexts.
func running(d *trattest.Domain) trat.Clock {
	at, begun := d.Now(), time.Now()
	return func() time.Time { return at.Add(time.Since(begun)) }
}

// until returns s with a deadline, and with a peer that hangs up; 0 for without.
func (s idleStream) until(t *testing.T, deadline, hangsUp time.Duration) idleStream {
	t.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	t.Cleanup(cancel)
	if hangsUp > 0 {
		timer := time.AfterFunc(hangsUp, cancel)
		t.Cleanup(func() { timer.Stop() })
	}
	if deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, deadline)
		t.Cleanup(cancel)
	}
	return idleStream{ctx: ctx}
}

// wantReopen checks that err tells a client what the guard tells at the end of a stream,
// whatever its code.
func wantReopen(tb testing.TB, err error) {
	tb.Helper()
	if diff := cmp.Diff(grpcerr.StreamEnded().Details(), status.Convert(err).Details(), protocmp.Transform()); diff != "" {
		tb.Errorf("%v: details (-want +got):\n%s", err, diff)
	}
}

// The carrier's deadline is earlier than the guard's end. The handler is told before it all
// the same, and the end is one that the guard knows of.
//
// Covers STR-03, STR-04, RTY-08.
func TestStreamOfTheCarrierDrainsBeforeItsDeadline(t *testing.T) {
	const lifetime, drain = 2 * time.Second, time.Second
	d, out := trattest.New(t, domainName), newSinks()
	now := running(d)
	clock := interceptors.WithClock(now)
	handled := make(chan struct{})
	handle := func(stream grpc.ServerStream) error {
		defer close(handled)
		ctx := stream.Context()
		deadline, _ := ctx.Deadline()
		left := time.Until(deadline)
		if end, ok := interceptors.StreamEnd(ctx); !ok || end.Sub(now()) > left {
			t.Errorf("the stream ends %s after its deadline", end.Sub(now())-left)
		}
		select {
		case <-interceptors.StreamDraining(ctx):
			if left := time.Until(deadline); left <= 0 {
				t.Errorf("told %s after the deadline", -left)
			}
		case <-ctx.Done():
			t.Error("the handler was not told")
		}
		if err := stream.SendMsg(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require(), bidiStreaming: interceptors.Require().StreamDrain(drain)},
		clock, interceptors.WithMeterProvider(out.meters), interceptors.WithLogger(out.logger))
	client := dialCarrier(t, d, serveGuarded(t, d, g, &streamer{handle: handle}), carrier(t, d, clock))
	stream, err := client.FullDuplexCall(d.Context(t.Context(), trattest.Lifetime(lifetime)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Errorf("the handler was told, and its message did not arrive: %v", err)
	}
	wantReopen(t, result(stream))
	<-handled
	if diff := cmp.Diff([]string{"closed 1"}, out.actions(t)); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if n := strings.Count(out.log.String(), "txn_token.stream.expired"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// Covers STR-03, STR-04, RTY-08.
func TestDeadlineAtTheExpiryOfTheTokenIsItsEnd(t *testing.T) {
	const (
		lifetime = 10 * time.Second
		drain    = time.Second
		leeway   = trat.DefaultLeeway
	)
	rule := interceptors.Require().StreamDrain(drain)
	d := trattest.New(t, domainName)
	raw := d.Raw(trattest.Lifetime(lifetime))
	arrived := idleStream{ctx: incoming(t, d, bidiStreaming, raw)}
	for name, test := range map[string]struct {
		rule     interceptors.Rule
		opts     []interceptors.ServerOption
		deadline time.Duration // 0: none
		hangsUp  time.Duration // when the peer does; 0: not
		want     time.Duration // when it ends, or a little earlier
		says     time.Duration // what StreamEnd says, if not that
		action   string        // what is counted
		cause    error         // nil: TXN_TOKEN_EXPIRED
		untold   bool
	}{
		"at exp":                          {rule: rule, deadline: lifetime, want: lifetime, action: "closed"},
		"hardly before exp":               {rule: rule, deadline: lifetime - 40*time.Millisecond, want: lifetime - 40*time.Millisecond, action: "closed"},
		"within the leeway":               {rule: rule, deadline: lifetime + leeway/2, want: lifetime + leeway/2, action: "closed"},
		"after the guard's end":           {rule: rule, deadline: time.Hour, want: lifetime + leeway, action: "closed"},
		"none":                            {rule: rule, want: lifetime + leeway, action: "closed"},
		"at exp, to be kept for a while":  {rule: rule.StreamGrace(time.Minute), deadline: lifetime, want: lifetime, action: "closed"},
		"the caller's":                    {rule: rule, deadline: lifetime - 60*time.Millisecond, want: lifetime - 60*time.Millisecond, cause: context.DeadlineExceeded},
		"the caller's, after a while":     {rule: rule.StreamGrace(time.Minute), deadline: lifetime + 2*leeway, want: lifetime + 2*leeway, action: "kept", cause: context.DeadlineExceeded},
		"an age before it":                {rule: rule.StreamMaxAge(5 * time.Second), deadline: lifetime, want: 5 * time.Second, action: "closed"},
		"the peer's clock was faster":     {rule: rule, deadline: lifetime, hangsUp: lifetime - 20*time.Millisecond, want: lifetime - 20*time.Millisecond, says: lifetime, action: "closed", cause: context.Canceled},
		"the call was long on its way":    {rule: rule, deadline: lifetime + 200*time.Millisecond, hangsUp: lifetime + 20*time.Millisecond, want: lifetime + 20*time.Millisecond, says: lifetime + 200*time.Millisecond, action: "closed", cause: context.Canceled},
		"the peer has hung up":            {rule: rule, deadline: lifetime, hangsUp: lifetime - 100*time.Millisecond, want: lifetime - 100*time.Millisecond, says: lifetime, action: "drained", cause: context.Canceled},
		"at exp, and the mode is another": {rule: rule, opts: []interceptors.ServerOption{inMode(interceptors.EnforcePresence)}, deadline: lifetime, want: lifetime, cause: context.DeadlineExceeded, untold: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := newSinks()
				g := ruledGuard(t, d, test.rule, append(test.opts, interceptors.WithClock(running(d)),
					interceptors.WithMeterProvider(out.meters), interceptors.WithLogger(out.logger))...)
				opened, at := time.Now(), d.Now()
				about := func(what string, got, want time.Duration) {
					if got > want || got < want-10*time.Millisecond {
						t.Errorf("%s after %s, want %s", what, got, want)
					}
				}
				err := g.Stream(nil, arrived.until(t, test.deadline, test.hangsUp), &grpc.StreamServerInfo{FullMethod: bidiStreaming}, func(_ any, stream grpc.ServerStream) error {
					ctx := stream.Context()
					says := max(test.want, test.says)
					end, _ := interceptors.StreamEnd(ctx)
					about("StreamEnd", end.Sub(at), says)
					select {
					case <-interceptors.StreamDraining(ctx):
						about("told", time.Since(opened), says-drain)
						if test.untold {
							t.Error("the handler was told")
						}
					case <-ctx.Done():
						if !test.untold {
							t.Error("the handler was not told")
						}
					}
					<-ctx.Done()
					about("ended", time.Since(opened), test.want)
					cause := test.cause
					if cause == nil {
						cause = trat.ReasonTxnTokenExpired
					}
					if got := context.Cause(ctx); !errors.Is(got, cause) {
						t.Errorf("cause %v, want %v", got, cause)
					}
					return ctx.Err()
				})
				if test.action == "closed" && test.cause == nil {
					wantEnded(t, "peer", err)
				}
				var want []string
				if test.action != "" {
					want = []string{test.action + " 1"}
				}
				if diff := cmp.Diff(want, out.actions(t)); diff != "" {
					t.Errorf("actions (-want +got):\n%s", diff)
				}
				logged := strings.Count(out.log.String(), "txn_token.stream.expired")
				if test.action == "closed" && logged != 1 || test.action != "closed" && logged != 0 {
					t.Errorf("logged %d times", logged)
				}
				if got := out.reasons(t); len(got) > 0 {
					t.Errorf("reported: %q", got)
				}
			})
		})
	}
}

// A renewal moves what the guard sees to, and not the deadline, which then is the caller's.
//
// Covers STR-02.
func TestRenewalDoesNotMoveADeadline(t *testing.T) {
	const lifetime = 10 * time.Second
	d := trattest.New(t, domainName)
	arrived := idleStream{ctx: incoming(t, d, bidiStreaming, d.Raw(trattest.Lifetime(lifetime)))}
	next := d.Token(trattest.Lifetime(2 * lifetime))
	link := d.RawChain(next, []string{"gateway"}, "orders", bidiStreaming)
	synctest.Test(t, func(t *testing.T) {
		out := newSinks()
		g := ruledGuard(t, d, interceptors.Require().StreamDrain(time.Second), interceptors.WithClock(running(d)), interceptors.WithMeterProvider(out.meters))
		at, opened := d.Now(), time.Now()
		_ = g.Stream(nil, arrived.until(t, lifetime, 0), &grpc.StreamServerInfo{FullMethod: bidiStreaming}, func(_ any, stream grpc.ServerStream) error {
			ctx := stream.Context()
			if _, err := interceptors.Reverify(ctx, next.UnsafeRaw(), link); err != nil {
				t.Error(err)
			}
			if end, _ := interceptors.StreamEnd(ctx); end.Sub(at) != lifetime {
				t.Errorf("the stream ends after %s", end.Sub(at))
			}
			<-interceptors.StreamDraining(ctx)
			if got := time.Since(opened); got != lifetime-time.Second {
				t.Errorf("told after %s", got)
			}
			<-ctx.Done()
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				t.Errorf("cause %v", cause)
			}
			return nil
		})
		if diff := cmp.Diff([]string{"renewed 1"}, out.actions(t)); diff != "" {
			t.Errorf("actions (-want +got):\n%s", diff)
		}
	})
}

// Both may find at once that a strict rule would have refused the stream.
//
// Covers VER-21.
func TestMessageAndEndOfAStreamAreReportedOnce(t *testing.T) {
	d, out := trattest.New(t, domainName), newSinks()
	alarms := newAlarms(d)
	rule := interceptors.Require().CheckMessage(func(context.Context, *trat.Token, any) error {
		alarms.advance(time.Hour)
		return errors.New("never good")
	})
	g := ruledGuard(t, d, rule, inMode(interceptors.EnforcePresence), alarms.option(), interceptors.WithMeterProvider(out.meters))
	stream := idleStream{ctx: incoming(t, d, bidiStreaming, d.Raw())}
	err := g.Stream(nil, stream, &grpc.StreamServerInfo{FullMethod: bidiStreaming}, func(_ any, stream grpc.ServerStream) error {
		return stream.RecvMsg(&testpb.StreamingOutputCallRequest{})
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := out.reasons(t); len(got) != 1 || !strings.HasSuffix(got[0], " 1") {
		t.Errorf("reported: %q", got)
	}
}

// Unary calls cannot be opened again: they are made again, if they may be.
//
// Covers RTY-08, STR-04.
func TestOnlyStreamsAreToBeReopened(t *testing.T) {
	d := trattest.New(t, domainName)
	c := carrier(t, d)
	synctest.Test(t, func(t *testing.T) {
		wantReopen(t, run(d.Context(t.Context()), c, new(outgoing), bidiStreaming, streamsBoth, nil))
		err := run(d.Context(t.Context()), c, new(outgoing), unaryMethod, nil, nil)
		want := []any{&errdetails.ErrorInfo{Reason: string(trat.ReasonTxnTokenExpired), Domain: grpcerr.Domain}}
		if diff := cmp.Diff(want, status.Convert(err).Details(), protocmp.Transform()); diff != "" {
			t.Errorf("unary: details (-want +got):\n%s", diff)
		}
	})
}
