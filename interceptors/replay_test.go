package interceptors_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/replay"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// sent is a context with token and a root link of the gateway for a call of orders: the
// same bytes whenever it is used.
func sent(t *testing.T, d *trattest.Domain, token *trat.Token, method string) context.Context {
	t.Helper()
	return withChain(callContext(t), token, d.RawChain(token, []string{"gateway"}, "orders", method))
}

// dialBytes returns a client of the gateway that sends what a test gives it and no more.
func dialBytes(t *testing.T, d *trattest.Domain, addr string) testpb.TestServiceClient {
	t.Helper()
	return dial(t, addr, d.ClientCredentials("gateway", d.Members()))
}

// A proxy that sends a call again sends the same bytes: the second time they are refused,
// and counted.
//
// Covers VER-20, RTY-03, RTY-05.
func TestTheSameBytesAreAcceptedOnce(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	svc := &backend{}
	client := dialBytes(t, d, serveGuarded(t, d, guard(t, d, anyScope(), interceptors.WithMeterProvider(s.meters)), svc))
	for _, k := range kinds() {
		ctx := sent(t, d, d.Token(), k.method)
		if err := k.call(ctx, client); err != nil {
			t.Fatalf("%s: %v", k.name, err)
		}
		for range 2 {
			wantRefusal(t, k.call(ctx, client), trat.ReasonChainReplayed)
		}
	}
	if n := svc.ran.Load(); n != int64(len(kinds())) {
		t.Errorf("%d handlers ran", n)
	}
	for name, want := range map[string][]string{
		"txn_token.replay_cache.rejections": {"error.type=CHAIN_REPLAYED,txn_token.replay_cache.mode=jti 8"},
		"txn_token.replay_cache.size":       {"txn_token.replay_cache.mode=jti 4"},
		"txn_chain.server.verifications":    {"txn_chain.mode=path,txn_chain.result=ok 4", "txn_chain.mode=path,txn_chain.result=replayed 8"},
		"txn_chain.links":                   {" 4"},
	} {
		if diff := cmp.Diff(want, s.points(t, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Covers RTY-03.
func TestReplayOffAcceptsTheSameBytesUntilTheyExpire(t *testing.T) {
	d := trattest.New(t, domainName)
	g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require().ReplayOff()})
	client := dialBytes(t, d, serveGuarded(t, d, g, &backend{}))
	for _, k := range kinds() {
		ctx := sent(t, d, d.Token(trattest.Lifetime(time.Minute)), k.method)
		for range 3 {
			if err := k.call(ctx, client); err != nil {
				t.Errorf("%s: %v", k.name, err)
			}
		}
		d.Advance(callchain.DefaultLifetime + trat.DefaultLeeway)
		wantRefusal(t, k.call(ctx, client), trat.ReasonChainLinkInvalid)
	}
}

// Covers RTY-04.
func TestOfConcurrentDuplicatesExactlyOneIsAccepted(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{}
	client := dialBytes(t, d, serveGuarded(t, d, guard(t, d, anyScope()), svc))
	for _, k := range kinds() {
		before := svc.ran.Load()
		ctx := sent(t, d, d.Token(), k.method)
		var accepted, replayed atomic.Int64
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				err := k.call(ctx, client)
				switch reason, _ := interceptors.ReasonFrom(err); {
				case err == nil:
					accepted.Add(1)
				case reason == trat.ReasonChainReplayed:
					replayed.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		group.Wait()
		if accepted.Load() != 1 || replayed.Load() != 99 || svc.ran.Load() != before+1 {
			t.Errorf("%s: %d accepted, %d replayed, %d handlers ran", k.name, accepted.Load(), replayed.Load(), svc.ran.Load()-before)
		}
	}
}

// What was refused before its handler ran may be sent again as it was; what reached the
// handler may not, whatever became of it there.
//
// Covers RTY-04, RTY-05.
func TestOnlyWhatReachedItsHandlerIsUsedUp(t *testing.T) {
	d := trattest.New(t, domainName)
	var undecided atomic.Bool
	check := func(context.Context, *trat.Token, any) error {
		if undecided.Load() {
			return trat.Errorf(trat.ReasonPolicyUnavailable, "", "out of reach")
		}
		return nil
	}
	svc := &backend{handle: func(context.Context) error { return status.Error(codes.Unavailable, "busy") }}
	g := guard(t, d, interceptors.Rules{
		wholeService: interceptors.Require(),
		unaryMethod:  interceptors.Require().Check(check).Once(),
	}, interceptors.SingleReplica())
	client := dialBytes(t, d, serveGuarded(t, d, g, svc))
	ctx := sent(t, d, d.Token(), unaryMethod)
	undecided.Store(true)
	wantRefusal(t, callUnary(ctx, client), trat.ReasonPolicyUnavailable)
	undecided.Store(false)
	if err := callUnary(ctx, client); status.Code(err) != codes.Unavailable || svc.ran.Load() != 1 {
		t.Errorf("the same bytes after a refusal: %v", err)
	}
	wantRefusal(t, callUnary(ctx, client), trat.ReasonChainReplayed)
}

// startOnce serves payments, whose unary method and whose streams accept a request of a
// transaction once.
func startOnce(t *testing.T, d *trattest.Domain, svc testpb.TestServiceServer, opts ...interceptors.ServerOption) (addr string) {
	t.Helper()
	g := guardOf(t, d, "payments", interceptors.Rules{wholeService: interceptors.Require().Once()}, opts...)
	return serveAs(t, d, "payments", g, svc)
}

// pay calls payments as orders does, with a request of its own.
func pay(ctx context.Context, client testpb.TestServiceClient, amount string) error {
	_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte(amount)}})
	return err
}

// Two ways through the call graph lead to payments with the same request. By default both
// are served; Once serves the first.
//
// Covers VER-20, RTY-03, RTY-06.
func TestADiamondPassesAndOnceStopsIt(t *testing.T) {
	d := trattest.New(t, domainName)
	usual := serveAs(t, d, "payments", guardOf(t, d, "payments", anyScope()), &backend{})
	once := startOnce(t, d, &backend{}, interceptors.SingleReplica())
	for name, tc := range map[string]struct {
		addr   string
		second trat.Reason
	}{"by default": {usual, ""}, "once": {once, trat.ReasonChainReplayed}} {
		t.Run(name, func(t *testing.T) {
			sides := make(map[string]testpb.TestServiceClient)
			for _, path := range []string{"left", "right"} {
				payments := dialCarrierAs(t, d, path, tc.addr, carrierOf(t, d, path))
				svc := &backend{handle: func(ctx context.Context) error { return interceptors.Relay(pay(ctx, payments, "12.50")) }}
				sides[path] = dialCarrierAs(t, d, "orders", serveAs(t, d, path, guardOf(t, d, path, anyScope()), svc), carrierOf(t, d, "orders"))
			}
			var first, second error
			orders := &backend{handle: func(ctx context.Context) error {
				first, second = callUnary(ctx, sides["left"]), callUnary(ctx, sides["right"])
				return nil
			}}
			client := dialCarrier(t, d, serveGuarded(t, d, guard(t, d, anyScope()), orders), carrier(t, d))
			if err := errors.Join(callUnary(d.Context(callContext(t)), client), first); err != nil {
				t.Fatal(err)
			}
			if tc.second == "" && second != nil {
				t.Error(second)
			} else if tc.second != "" {
				wantRefusal(t, second, tc.second)
			}
		})
	}
}

// Covers RTY-03.
func TestOnceIsPerTransactionMethodAndRequest(t *testing.T) {
	d := trattest.New(t, domainName)
	addr := startOnce(t, d, &backend{}, interceptors.SingleReplica())
	client := dialCarrier(t, d, addr, carrier(t, d))
	one, other := d.Context(callContext(t), trattest.TransactionID("one")), d.Context(callContext(t), trattest.TransactionID("other"))
	for _, ctx := range []context.Context{one, other} {
		for _, amount := range []string{"1", "2"} {
			if err := pay(ctx, client, amount); err != nil {
				t.Error(err)
			}
			wantRefusal(t, pay(ctx, client, amount), trat.ReasonChainReplayed)
		}
		for _, k := range kinds()[1:] { // a stream counts whatever is in it
			if err := k.call(ctx, client); err != nil {
				t.Errorf("%s: %v", k.name, err)
			}
			wantRefusal(t, k.call(ctx, client), trat.ReasonChainReplayed)
		}
	}
	// Another token of the same transaction makes no difference, nor does time before exp.
	d.Advance(10 * time.Second)
	wantRefusal(t, pay(d.Context(callContext(t), trattest.TransactionID("one")), client, "1"), trat.ReasonChainReplayed)
}

// brokenStore cannot be reached.
type brokenStore struct{ err error }

func (s brokenStore) Mark(context.Context, string, string, time.Time) (bool, error) {
	return false, s.err
}

// Covers RTY-03, RTY-09, ERR-08.
func TestOnceIsClosedWithoutItsStore(t *testing.T) {
	d := trattest.New(t, domainName)
	for _, tc := range []struct {
		err  error
		want trat.Reason
	}{
		{errors.New("connection refused"), trat.ReasonDependencyUnavailable},
		{replay.ErrFull, trat.ReasonDependencyUnavailable},
		{replay.ErrExpired, trat.ReasonDependencyUnavailable},
		{replay.ErrShare, trat.ReasonRateLimited},
	} {
		svc, s := &backend{}, newSinks()
		addr := startOnce(t, d, svc, interceptors.WithOnceStore(brokenStore{tc.err}), interceptors.WithLogger(s.logger))
		client := dialCarrier(t, d, addr, carrier(t, d))
		for _, k := range kinds() {
			wantRefusal(t, k.call(d.Context(callContext(t)), client), tc.want)
		}
		if log := s.log.String(); !strings.Contains(log, string(tc.want)+": once: ") || strings.Contains(log, ": jti: ") {
			t.Errorf("%v: the log does not say which store it was: %s", tc.err, log)
		}
		if n := svc.ran.Load(); n != 0 {
			t.Errorf("%v: %d handlers ran", tc.err, n)
		}
	}
}

// Replicas share the store of Once. What each remembers of links it forgets with its
// process, for which links are short-lived.
//
// Covers RTY-03, RTY-09.
func TestReplicasShareWhatOnceHasAccepted(t *testing.T) {
	d := trattest.New(t, domainName)
	store, err := replay.NewMemory(1000, d.Now)
	if err != nil {
		t.Fatal(err)
	}
	var replicas []testpb.TestServiceClient
	for range 2 {
		replicas = append(replicas, dialCarrier(t, d, startOnce(t, d, &backend{}, interceptors.WithOnceStore(store)), carrier(t, d)))
	}
	for _, k := range kinds() {
		ctx := d.Context(callContext(t))
		if err := k.call(ctx, replicas[0]); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
		wantRefusal(t, k.call(ctx, replicas[1]), trat.ReasonChainReplayed)
	}

	restarted := dialBytes(t, d, serveGuarded(t, d, guard(t, d, anyScope()), &backend{}))
	ctx := sent(t, d, d.Token(trattest.Lifetime(time.Minute)), unaryMethod)
	if err := callUnary(ctx, dialBytes(t, d, serveGuarded(t, d, guard(t, d, anyScope()), &backend{}))); err != nil {
		t.Fatal(err)
	}
	if err := callUnary(ctx, restarted); err != nil {
		t.Fatalf("the window of a restart: %v", err)
	}
	d.Advance(callchain.DefaultLifetime + trat.DefaultLeeway)
	restarted = dialBytes(t, d, serveGuarded(t, d, guard(t, d, anyScope()), &backend{}))
	wantRefusal(t, callUnary(ctx, restarted), trat.ReasonChainLinkInvalid)
}

// Covers RTY-02.
func TestReplayOverflowIsAllowedOrDeniedAsSaid(t *testing.T) {
	d := trattest.New(t, domainName)
	call := func(client testpb.TestServiceClient) error { return callUnary(d.Context(callContext(t)), client) }
	start := func(opts ...interceptors.ServerOption) (testpb.TestServiceClient, *sinks) {
		s := newSinks()
		opts = append(opts, interceptors.WithReplayLimit(2), interceptors.WithMeterProvider(s.meters), interceptors.WithLogger(s.logger))
		return dialCarrier(t, d, serveGuarded(t, d, guard(t, d, anyScope(), opts...), &backend{}), carrier(t, d)), s
	}
	allowing, s := start()
	for range 3 {
		if err := call(allowing); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{" 2"}, s.points(t, "txn_token.replay_cache.overflows")); diff != "" {
		t.Errorf("overflows (-want +got):\n%s", diff)
	}
	if !strings.Contains(s.log.String(), "no room to remember a link") {
		t.Error("not in the log")
	}
	denying, s := start(interceptors.WithReplayOverflow(interceptors.ReplayOverflowDeny))
	if err := call(denying); err != nil {
		t.Error(err)
	}
	wantRefusal(t, call(denying), trat.ReasonRateLimited)
	if diff := cmp.Diff([]string{"error.type=RATE_LIMITED,txn_token.replay_cache.mode=jti 1"}, s.points(t, "txn_token.replay_cache.rejections")); diff != "" {
		t.Errorf("rejections (-want +got):\n%s", diff)
	}
	d.Advance(callchain.DefaultLifetime + trat.DefaultLeeway + time.Second) // there is room again
	if err := call(denying); err != nil {
		t.Error(err)
	}
}
