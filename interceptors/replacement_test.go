package interceptors_test

import (
	"context"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// A handler that has its TraT replaced makes calls behind the replacement and calls beside
// it, at the same time and over one connection.
//
// Covers REPL-09.
func TestCallsBesideAReplacementCarryTheTokenThatWasReceived(t *testing.T) {
	d := trattest.New(t, domainName)
	r, addr := serveRecorded(t, d.ServerCredentials("payments", d.Members()), &backend{})
	onward := dialCarrierAs(t, d, "orders", addr, carrierOf(t, d, "orders"))
	replaced := d.Token(trattest.TransactionID("txn-1"), trattest.Details(`{"tax":19}`))
	const branches = 8
	orders := &backend{handle: func(ctx context.Context) error {
		behind := trat.NewContext(ctx, replaced)
		var g errgroup.Group
		for range branches {
			for _, k := range kinds() {
				g.Go(func() error { return k.call(ctx, onward) })
				g.Go(func() error { return k.call(behind, onward) })
			}
		}
		return g.Wait()
	}}
	client := dialCarrier(t, d, serveGuarded(t, d, guard(t, d, anyScope()), orders), carrier(t, d))
	received := d.Token(trattest.TransactionID("txn-1"))
	if err := callUnary(trat.NewContext(callContext(t), received), client); err != nil {
		t.Fatal(err)
	}
	sent := make(map[string]int)
	for _, md := range r.calls {
		for _, raw := range md.Get("txn-token") {
			sent[raw]++
		}
	}
	want := branches * len(kinds())
	if len(sent) != 2 || sent[received.UnsafeRaw()] != want || sent[replaced.UnsafeRaw()] != want {
		t.Errorf("%d different tokens; %d calls beside and %d behind, want %d of each",
			len(sent), sent[received.UnsafeRaw()], sent[replaced.UnsafeRaw()], want)
	}
}
