package interceptors_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Covers PRIV-06.
func TestNoChainLeavesTheTrustDomain(t *testing.T) {
	d, foreign := trattest.New(t, domainName), trattest.New(t, "partner.test")
	both := bundles(t, d, foreign)
	server, err := spiffecreds.NewServer(foreign.Source("orders"), both, spiffeid.MatchAny())
	if err != nil {
		t.Fatal(err)
	}
	creds, err := spiffecreds.NewClient(d.Source("gateway"), both, spiffeid.MatchAny())
	if err != nil {
		t.Fatal(err)
	}
	r, addr := serveRecorded(t, server, &backend{})
	c := carrier(t, d, interceptors.UnsafeAllowServerTrustDomain(foreign.TrustDomain()))
	client := dial(t, addr, creds, c.DialOptions()...)
	for _, k := range kinds() {
		for _, ctx := range []context.Context{
			d.Context(callContext(t)), d.ChainContext(callContext(t), []string{"bff"}, "gateway", k.method),
		} {
			if err := k.call(ctx, client); err != nil {
				t.Fatalf("%s: %v", k.name, err)
			}
			if md, _ := r.last(); len(md.Get("txn-token")) != 1 || len(md.Get("txn-chain")) != 0 {
				t.Errorf("%s: %d tokens and %d chains left", k.name, len(md.Get("txn-token")), len(md.Get("txn-chain")))
			}
		}
	}
}

// A workload says nothing about tokens that it neither requested nor received with a chain.
//
// Covers REPL-09.
func TestAChainIsOfOneToken(t *testing.T) {
	d := trattest.New(t, domainName)
	r, addr := serveRecorded(t, d.ServerCredentials("stocks", d.Members()), &backend{})
	client := dialCarrierAs(t, d, "orders", addr, carrierOf(t, d, "orders"))
	received := d.ChainContext(callContext(t), []string{"gateway"}, "orders", unaryMethod)
	own := d.Token(trattest.Requester(d.ID("orders").String()))
	for _, k := range kinds() {
		call := func(name string, ctx context.Context, links int) {
			t.Helper()
			if err := k.call(ctx, client); err != nil {
				t.Fatalf("%s, %s: %v", name, k.name, err)
			}
			md, _ := r.last()
			got := 0
			for _, encoded := range md.Get("txn-chain") {
				got = 1 + len(take(t, encoded).links)
			}
			if got != links {
				t.Errorf("%s, %s: %d links went out, want %d", name, k.name, got, links)
			}
		}
		call("the one it came with", received, 2)
		call("one that it requested", trat.NewContext(received, own), 1)
		call("the same, without a chain", trat.NewContext(callContext(t), own), 1)
		call("another one", trat.NewContext(received, d.Token()), 0)
		call("one that came from nowhere", d.Context(callContext(t)), 0)
	}
}

// signerFunc is a LinkSigner.
type signerFunc func(context.Context, callchain.Draft) (*callchain.Signed, error)

func (f signerFunc) SignLink(ctx context.Context, d callchain.Draft) (*callchain.Signed, error) {
	return f(ctx, d)
}

// Covers RTY-01, ERR-15.
func TestTheLinkSignerOfTheProgramIsAsked(t *testing.T) {
	d := trattest.New(t, domainName)
	signer := signerOf(t, d, "gateway")
	var asked []callchain.Draft
	r, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	dialWith := func(f signerFunc) kindCall {
		client := dialCarrier(t, d, addr, carrier(t, d, interceptors.WithLinkSigner(f)))
		return func(ctx context.Context, k kind) error { return k.call(ctx, client) }
	}
	call := dialWith(func(ctx context.Context, draft callchain.Draft) (*callchain.Signed, error) {
		asked = append(asked, draft)
		return signer.SignLink(ctx, draft)
	})
	for i, k := range kinds() {
		if err := call(d.Context(callContext(t)), k); err != nil {
			t.Fatal(err)
		}
		if len(asked) != i+1 || asked[i].Method != k.method || asked[i].Audience != d.ID("orders") || asked[i].Parent != nil {
			t.Errorf("%s: asked for %+v", k.name, slices.Clone(asked))
		}
	}
	_, before := r.last()

	failing := dialWith(func(context.Context, callchain.Draft) (*callchain.Signed, error) {
		return nil, trat.Errorf(trat.ReasonDependencyUnavailable, "", "no key")
	})
	// A link that is not signed in time is what any call is that is not answered in time.
	var waits atomic.Int64
	slow := dialWith(func(ctx context.Context, _ callchain.Draft) (*callchain.Signed, error) {
		waits.Add(1)
		<-ctx.Done()
		return nil, &trat.Error{Reason: trat.ReasonDependencyUnavailable, Err: ctx.Err()}
	})
	for _, k := range kinds() {
		wantRefusal(t, failing(d.Context(callContext(t)), k), trat.ReasonDependencyUnavailable)
		ctx, cancel := context.WithTimeout(d.Context(callContext(t)), 50*time.Millisecond)
		if err := slow(ctx, k); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("%s: %v", k.name, err)
		}
		cancel()
	}
	if _, after := r.last(); after != before || waits.Load() == 0 {
		t.Errorf("%d calls went out without a link", after-before)
	}
}

// kindCall makes a call of some kind with one client.
type kindCall func(context.Context, kind) error
