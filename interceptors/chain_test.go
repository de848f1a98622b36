package interceptors_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// startLine serves hop-1 to hop-n, of which each calls the next one as every handler may
// call on, and returns the gateway's client of hop-1. Inside hop-i, look sees the
// handler's context.
func startLine(t *testing.T, d *trattest.Domain, n int, rules interceptors.Rules, look func(hop int, ctx context.Context), opts ...interceptors.ClientOption) testpb.TestServiceClient {
	t.Helper()
	var next testpb.TestServiceClient
	for hop := n; hop >= 1; hop-- {
		after, path, caller := next, fmt.Sprintf("hop-%d", hop), "gateway"
		if hop > 1 {
			caller = fmt.Sprintf("hop-%d", hop-1)
		}
		svc := &backend{handle: func(ctx context.Context) error {
			look(hop, ctx)
			if after == nil {
				return nil
			}
			return interceptors.Relay(kinds()[hop%len(kinds())].call(ctx, after))
		}}
		addr := serveAs(t, d, path, guardOf(t, d, path, rules), svc)
		next = dialCarrierAs(t, d, caller, addr, carrierOf(t, d, caller, opts...))
	}
	return next
}

// way are the paths of the workloads that a chain shows.
func way(chain *callchain.Chain) []string {
	var paths []string
	for l := range chain.Links() {
		paths = append(paths, l.Issuer().Path())
	}
	return paths
}

// Covers VER-24, PROP-04.
func TestHandlersSeeWhoARequestCameThrough(t *testing.T) {
	d := trattest.New(t, domainName)
	want := []string{"/gateway", "/hop-1", "/hop-2", "/hop-3", "/hop-4", "/hop-5"}
	var deepest atomic.Int64
	look := func(hop int, ctx context.Context) {
		deepest.Store(max(deepest.Load(), int64(hop)))
		chain, ok := callchain.FromContext(ctx)
		token, _ := trat.FromContext(ctx)
		last := chain.Last()
		if !ok || !chain.Complete() || !slices.Equal(way(chain), want[:hop]) {
			t.Errorf("hop %d: came through %v, complete %v", hop, way(chain), chain.Complete())
		}
		if last.Audience() != d.ID(fmt.Sprintf("hop-%d", hop)) || last.TokenHash() != token.Digest() || last.Depth() != hop-1 {
			t.Errorf("hop %d: the last link is to %s, at depth %d", hop, last.Audience(), last.Depth())
		}
	}
	for _, k := range kinds() {
		client := startLine(t, d, callchain.MaxLinks, anyScope(), look)
		if err := k.call(d.Context(callContext(t)), client); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	if deepest.Load() != callchain.MaxLinks {
		t.Errorf("the request came to hop %d", deepest.Load())
	}
}

// The call that would make a chain too long does not leave the process.
//
// Covers B-T8, ERR-13.
func TestTheSeventhLinkIsRefusedWhereItWouldBeSigned(t *testing.T) {
	d := trattest.New(t, domainName)
	var reached atomic.Int64
	client := startLine(t, d, callchain.MaxLinks+1, anyScope(), func(hop int, _ context.Context) {
		reached.Store(max(reached.Load(), int64(hop)))
	})
	for _, k := range kinds() {
		wantRefusal(t, k.call(d.Context(callContext(t)), client), trat.ReasonChainTooDeep)
	}
	if reached.Load() != callchain.MaxLinks {
		t.Errorf("the request came to hop %d", reached.Load())
	}
}

// In head mode a chain goes on for as long as there are hops.
//
// Covers VER-24.
func TestHeadModeKnowsTheCallerAtAnyDepth(t *testing.T) {
	d := trattest.New(t, domainName)
	const hops = callchain.MaxLinks + 3
	rules := interceptors.Rules{wholeService: interceptors.Require().FromCallers(d.Members()).ChainHead()}
	var deepest atomic.Int64
	client := startLine(t, d, hops, rules, func(hop int, ctx context.Context) {
		deepest.Store(max(deepest.Load(), int64(hop)))
		chain, ok := callchain.FromContext(ctx)
		if !ok || chain.Len() != 1 || chain.Last().Depth() != hop-1 || chain.Complete() != (hop == 1) {
			t.Errorf("hop %d: %d links, depth %d, complete %v", hop, chain.Len(), chain.Last().Depth(), chain.Complete())
		}
	}, interceptors.WithChainMode(wholeService, callchain.ModeHead))
	if err := callUnary(d.Context(callContext(t)), client); err != nil {
		t.Fatal(err)
	}
	if deepest.Load() != hops {
		t.Errorf("the request came to hop %d", deepest.Load())
	}
}

// A method in head mode receives all links and verifies one. It hands the others on to a
// callee that wants them.
func TestTheLinksThatHeadModeLeavesAloneGoOn(t *testing.T) {
	d := trattest.New(t, domainName)
	var seen []string
	last := &backend{handle: func(ctx context.Context) error {
		chain, _ := callchain.FromContext(ctx)
		seen = way(chain)
		return nil
	}}
	stocks := dialCarrierAs(t, d, "orders", serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), last), carrierOf(t, d, "orders"))
	head := interceptors.Rules{wholeService: interceptors.Require().FromCallers(d.Members()).ChainHead()}
	orders := &backend{handle: func(ctx context.Context) error { return callUnary(ctx, stocks) }}
	bff := dialCarrierAs(t, d, "bff", serveGuarded(t, d, guard(t, d, head), orders), carrierOf(t, d, "bff"))
	middle := &backend{handle: func(ctx context.Context) error { return callUnary(ctx, bff) }}
	client := dialCarrier(t, d, serveAs(t, d, "bff", guardOf(t, d, "bff", anyScope()), middle), carrier(t, d))
	if err := callUnary(d.Context(callContext(t)), client); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/gateway", "/bff", "/orders"}, seen); diff != "" {
		t.Errorf("came through (-want +got):\n%s", diff)
	}
}

// A method that requires no chain has none to hand on, exempt ones neither: its calls go
// out with the token alone.
//
// Covers VER-24.
func TestCallsBehindAMethodWithoutAChainHaveNone(t *testing.T) {
	d := trattest.New(t, domainName)
	r, addr := serveRecorded(t, d.ServerCredentials("stocks", d.Members()), &backend{})
	stocks := dialCarrierAs(t, d, "orders", addr, carrierOf(t, d, "orders"))
	strict := dialCarrierAs(t, d, "orders", serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), &backend{}), carrierOf(t, d, "orders"))
	off := interceptors.Rules{wholeService: interceptors.Require().FromCallers(spiffeid.MatchID(d.ID("gateway"))).ChainOff()}
	orders := &backend{handle: func(ctx context.Context) error {
		if chain, ok := callchain.FromContext(ctx); ok {
			t.Errorf("a chain of %d links", chain.Len())
		}
		if err := callUnary(ctx, stocks); err != nil {
			return err
		}
		return interceptors.Relay(callUnary(ctx, strict))
	}}
	client := dialCarrier(t, d, serveGuarded(t, d, guard(t, d, off), orders), carrier(t, d))
	for _, k := range kinds() {
		wantRefusal(t, k.call(d.Context(callContext(t)), client), trat.ReasonChainMissing)
		md, _ := r.last()
		if len(md.Get("txn-token")) != 1 || len(md.Get("txn-chain")) != 0 {
			t.Errorf("%s: %d tokens and %d chains went on", k.name, len(md.Get("txn-token")), len(md.Get("txn-chain")))
		}
	}
}

// A carrier that sends less than a method requires is refused, and WithChainMode says so
// method by method.
func TestTheCarriersModeMustBeEnough(t *testing.T) {
	d := trattest.New(t, domainName)
	stocks := serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), &backend{})
	c := carrierOf(t, d, "orders",
		interceptors.WithChainMode(wholeService, callchain.ModeOff),
		interceptors.WithChainMode(serverStreaming, callchain.ModeHead),
		interceptors.WithChainMode(bidiStreaming, callchain.ModePath))
	onward := dialCarrierAs(t, d, "orders", stocks, c)
	want := map[string]trat.Reason{unaryMethod: trat.ReasonChainMissing, clientStreaming: trat.ReasonChainMissing, serverStreaming: trat.ReasonChainMissing}
	for _, k := range kinds() {
		ctx := d.ChainContext(callContext(t), []string{"gateway"}, "orders", k.method)
		err := k.call(ctx, onward)
		if reason, refused := want[k.method]; refused {
			wantRefusal(t, err, reason)
		} else if err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
}

// Only the expiry of the last link counts, and only on arrival: a handler that runs for
// longer than any link lives still calls on.
//
// Covers STR-06.
func TestAHandlerThatRunsForMinutesStillCallsOn(t *testing.T) {
	d := trattest.New(t, domainName)
	stocks := dialCarrierAs(t, d, "orders", serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), &backend{}), carrierOf(t, d, "orders"))
	orders := &backend{handle: func(ctx context.Context) error {
		d.Advance(4 * time.Minute)
		return callUnary(ctx, stocks)
	}}
	client := dialCarrier(t, d, serveGuarded(t, d, guard(t, d, anyScope()), orders), carrier(t, d))
	for _, k := range kinds() {
		if err := k.call(d.Context(callContext(t), trattest.Lifetime(trat.MaxLifetime)), client); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
}

// linksOf returns the link that each call of a recorded server brought.
func linksOf(t *testing.T, d *trattest.Domain, r *recorder, from, to, method string) []callchain.Link {
	t.Helper()
	verifier, err := callchain.NewVerifier(d.Source(to), callchain.WithClock(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var links []callchain.Link
	for _, md := range r.calls {
		token, err := d.Verifier().Verify(md.Get("txn-token")[0])
		if err != nil {
			t.Fatal(err)
		}
		chain, err := verifier.Verify(callchain.Received{
			Encoded: md.Get("txn-chain")[0], Audience: d.ID(to), Method: method, Token: token, Mode: callchain.ModePath,
			Peer: callchain.Peer{ID: d.ID(from), Leaf: d.SVID(from).Certificates[0]},
		})
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, chain.Last())
	}
	return links
}

// Covers RTY-01.
func TestEveryAttemptHasItsOwnLink(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{handle: func(context.Context) error { return status.Error(codes.Unavailable, "busy") }}
	r, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), svc)
	config := grpc.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],"retryPolicy":{
		"maxAttempts":3,"initialBackoff":"0.001s","maxBackoff":"0.001s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]}`)
	client := dialCarrier(t, d, addr, carrier(t, d), config)
	// The number of earlier attempts is the caller's to claim and changes nothing.
	ctx := metadata.AppendToOutgoingContext(d.Context(callContext(t)), "grpc-previous-rpc-attempts", "0")
	if err := callUnary(ctx, client); status.Code(err) != codes.Unavailable {
		t.Fatal(err)
	}
	links := linksOf(t, d, r, "gateway", "orders", unaryMethod)
	ids, tokens := make(map[[16]byte]bool), make(map[[32]byte]bool)
	for _, l := range links {
		ids[l.ID()], tokens[l.TokenHash()] = true, true
	}
	if len(links) != 3 || len(ids) != 3 || len(tokens) != 1 {
		t.Errorf("%d attempts with %d jti and %d tokens, want 3, 3 and 1", len(links), len(ids), len(tokens))
	}
}

// One handler's concurrent calls, to several methods over several connections, are a tree:
// each has its own link, all have the one parent.
//
// Covers RTY-01, PROP-06.
func TestConcurrentCallsOfOneHandlerAreSiblings(t *testing.T) {
	d := trattest.New(t, domainName)
	const calls = 20
	var mu sync.Mutex
	parents, ids := make(map[callchain.Hash]int), make(map[[16]byte]bool)
	leaf := &backend{handle: func(ctx context.Context) error {
		chain, _ := callchain.FromContext(ctx)
		mu.Lock()
		defer mu.Unlock()
		parents[chain.Last().Parent()]++
		ids[chain.Last().ID()] = true
		return nil
	}}
	c := carrierOf(t, d, "orders")
	var onward []testpb.TestServiceClient
	for _, path := range []string{"stocks", "payments"} {
		onward = append(onward, dialCarrierAs(t, d, "orders", serveAs(t, d, path, guardOf(t, d, path, anyScope()), leaf), c))
	}
	var received callchain.Hash
	orders := &backend{handle: func(ctx context.Context) error {
		chain, _ := callchain.FromContext(ctx)
		received = chain.Last().Hash()
		group, ctx := errgroup.WithContext(ctx)
		for i := range calls {
			for j, k := range kinds() {
				group.Go(func() error { return k.call(ctx, onward[(i+j)%len(onward)]) })
			}
		}
		return group.Wait()
	}}
	client := dialCarrier(t, d, serveGuarded(t, d, guard(t, d, anyScope()), orders), carrier(t, d))
	if err := callUnary(d.Context(callContext(t)), client); err != nil {
		t.Fatal(err)
	}
	want := calls * len(kinds())
	if len(parents) != 1 || parents[received] != want || len(ids) != want {
		t.Errorf("%d parents, %d calls of the right one, %d jti, want 1, %d, %d", len(parents), parents[received], len(ids), want, want)
	}
}

// A workload that calls itself signs a link like any other.
//
// Covers B-T10.
func TestAWorkloadMayCallItself(t *testing.T) {
	d := trattest.New(t, domainName)
	var seen []string
	inner := &backend{handle: func(ctx context.Context) error {
		chain, _ := callchain.FromContext(ctx)
		seen = way(chain)
		return nil
	}}
	itself := dialCarrierAs(t, d, "orders", serveGuarded(t, d, guard(t, d, anyScope()), inner), carrierOf(t, d, "orders"))
	outer := &backend{handle: func(ctx context.Context) error { return callUnary(ctx, itself) }}
	client := dialCarrier(t, d, serveGuarded(t, d, guard(t, d, anyScope()), outer), carrier(t, d))
	if err := callUnary(d.Context(callContext(t)), client); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/gateway", "/orders"}, seen); diff != "" {
		t.Errorf("came through (-want +got):\n%s", diff)
	}
}

// Covers VER-24, ERR-13.
func TestPathRules(t *testing.T) {
	d := trattest.New(t, domainName)
	is := func(path string) spiffeid.Matcher { return spiffeid.MatchID(d.ID(path)) }
	base := interceptors.Require()
	through := []string{"gateway", "fraud"} // and then orders, which calls payments
	for name, tc := range map[string]struct {
		rule interceptors.Rule
		want trat.Reason
	}{
		"through one":                   {base.Through(is("fraud")), ""},
		"through the caller":            {base.Through(is("orders")), ""},
		"through the root":              {base.Through(is("gateway")), ""},
		"through two":                   {base.Through(is("fraud"), is("gateway")), ""},
		"through one of several":        {base.Through(spiffeid.MatchOneOf(d.ID("fraud"), d.ID("fraud2"))), ""},
		"not through one":               {base.Through(is("fraud"), is("audit")), trat.ReasonPolicyDenied},
		"not through the callee itself": {base.Through(is("payments")), trat.ReasonPolicyDenied},
		"in two steps":                  {base.Through(is("fraud")).Through(is("audit")), trat.ReasonPolicyDenied},
		"nobody excluded":               {base.NotThrough(is("mallory"), is("payments")), ""},
		"one excluded":                  {base.NotThrough(is("mallory"), is("fraud")), trat.ReasonPolicyDenied},
		"root excluded":                 {base.NotThrough(is("gateway")), trat.ReasonPolicyDenied},
		"as many as there may be":       {base.MaxLinks(3), ""},
		"one too many":                  {base.MaxLinks(2), trat.ReasonChainTooDeep},
		"requesters only":               {base.MaxLinks(1), trat.ReasonChainTooDeep},
	} {
		t.Run(name, func(t *testing.T) {
			svc := &backend{}
			addr := serveAs(t, d, "payments", guardOf(t, d, "payments", interceptors.Rules{wholeService: tc.rule}), svc)
			client := dialCarrierAs(t, d, "orders", addr, carrierOf(t, d, "orders"))
			for _, k := range kinds() {
				err := k.call(d.ChainContext(callContext(t), through, "orders", k.method), client)
				if tc.want != "" {
					wantRefusal(t, err, tc.want)
				} else if err != nil {
					t.Errorf("%s: %v", k.name, err)
				}
			}
			if ran := svc.ran.Load(); (ran != 0) != (tc.want == "") {
				t.Errorf("%d handlers ran", ran)
			}
		})
	}
}
