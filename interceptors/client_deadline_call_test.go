package interceptors_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Covers RTY-08.
func TestACallThatComesTooLateIsNotBegun(t *testing.T) {
	for name, tc := range map[string]struct {
		opts    []interceptors.ClientOption
		left    time.Duration
		refused bool
	}{
		"default, enough":       {nil, 2 * time.Second, false},
		"default, too little":   {nil, 99 * time.Millisecond, true},
		"a second, half of one": {[]interceptors.ClientOption{interceptors.WithMinRemaining(time.Second)}, 500 * time.Millisecond, true},
		"a second, just so":     {[]interceptors.ClientOption{interceptors.WithMinRemaining(time.Second)}, time.Second, false},
		"none, expired":         {[]interceptors.ClientOption{interceptors.WithMinRemaining(0)}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := trattest.New(t, domainName)
			r, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
			client := dialCarrier(t, d, addr, carrier(t, d, tc.opts...))
			ctx := d.Context(callContext(t), trattest.Lifetime(10*time.Second))
			d.Advance(10*time.Second - tc.left)
			for _, k := range kinds() {
				err := k.call(ctx, client)
				if tc.refused {
					wantRefusal(t, err, trat.ReasonTxnTokenExpired)
				} else if err != nil {
					t.Errorf("%s: %v", k.name, err)
				}
			}
			if _, n := r.last(); tc.refused && n != 0 {
				t.Errorf("%d calls arrived", n)
			}
		})
	}
}

// A retry is a call of its own, and may come too late where the first attempt did not.
//
// Covers RTY-08, RTY-01.
func TestAnAttemptThatComesTooLateIsNotMade(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{handle: func(context.Context) error {
		d.Advance(10 * time.Second)
		return status.Error(codes.Unavailable, "try again")
	}}
	_, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), svc)
	client := dialCarrier(t, d, addr, carrier(t, d, interceptors.WithMinRemaining(6*time.Second)), grpc.WithDefaultServiceConfig(`{"methodConfig": [{
		"name": [{}],
		"retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`))
	wantRefusal(t, callUnary(d.Context(callContext(t)), client), trat.ReasonTxnTokenExpired)
	if n := svc.ran.Load(); n != 1 {
		t.Errorf("%d attempts arrived", n)
	}
}

func TestMinRemainingIsBounded(t *testing.T) {
	d := trattest.New(t, domainName)
	for _, left := range []time.Duration{-1, time.Minute + 1} {
		_, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: d.Source("gateway")}, interceptors.WithMinRemaining(left))
		if err == nil || !strings.Contains(err.Error(), "WithMinRemaining") {
			t.Errorf("%s: %v", left, err)
		}
	}
}

// A handler that was kept waiting for longer than its TraT lives: the called service knows
// the deadline, and the caller learns why.
//
// Covers RTY-08.
func TestACallThatHangsEndsWithItsTokenAtBothEnds(t *testing.T) {
	d := trattest.New(t, domainName)
	woken := make(chan error, 16)
	svc := &backend{handle: func(ctx context.Context) error {
		<-ctx.Done()
		woken <- ctx.Err()
		return ctx.Err()
	}}
	client := dialCarrier(t, d, serveGuarded(t, d, guard(t, d, anyScope()), svc), carrier(t, d))
	// On a busy machine a call can end before it has arrived.
	untilIn := func(call func()) {
		for before := svc.ran.Load(); svc.ran.Load() == before; {
			call()
		}
		if err := <-woken; err == nil {
			t.Error("the handler was not woken")
		}
	}
	for _, k := range kinds() {
		if k.method == serverStreaming {
			continue // has no end but its caller's
		}
		t.Run(k.name, func(t *testing.T) {
			untilIn(func() {
				wantEnd(t, k.call(d.Context(t.Context(), trattest.Lifetime(time.Second)), client), true)
			})
		})
	}
	untilIn(func() {
		ctx, cancel := context.WithTimeout(d.Context(t.Context(), trattest.Lifetime(time.Second)), 1200*time.Millisecond)
		defer cancel()
		wantEnd(t, callServerStreaming(ctx, client), false)
	})
}

// What the called service calls in turn is not its caller's affair, and another try would
// not help.
//
// Covers RTY-08, ERR-16.
func TestACallOfAHandlerThatOutlivedItsTokenIsNotRelayed(t *testing.T) {
	d := trattest.New(t, domainName)
	hangs := &backend{handle: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	cAddr := serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), hangs)
	toC := dialCarrierAs(t, d, "orders", cAddr, carrierOf(t, d, "orders"))
	callC := func(ctx context.Context) error {
		return callUnary(d.Context(ctx, trattest.Lifetime(time.Second), trattest.Requester(d.ID("orders").String())), toC)
	}
	b := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope()), &backend{handle: callC}))
	err := callUnary(withToken(callContext(t), d.Raw()), b)
	if reason, _ := interceptors.ReasonFrom(err); status.Code(err) != codes.DeadlineExceeded || reason != trat.ReasonDownstreamRejected {
		t.Errorf("%s: %v", reason, err)
	}
	marked := &backend{handle: func(ctx context.Context) error { return interceptors.Relay(callC(ctx)) }}
	relaying := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope()), marked))
	wantEnd(t, callUnary(withToken(callContext(t), d.Raw()), relaying), true)
}

// BenchmarkCarrierUnary is what the carrier does around a unary call, without what its call
// credentials do: with a deadline of its own, and with an earlier one of the caller.
func BenchmarkCarrierUnary(b *testing.B) {
	d := trattest.New(b, domainName)
	c := carrier(b, d)
	earlier, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	invoker := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return nil }
	for name, ctx := range map[string]context.Context{"own": b.Context(), "caller's": earlier} {
		ctx := d.Context(ctx, trattest.Lifetime(5*time.Minute))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Unary(ctx, unaryMethod, &emptypb.Empty{}, nil, nil, invoker); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
