package interceptors_test

import (
	"context"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// X.509-SVIDs are replaced while calls are under way through three workloads, on
// connections that were made with the first ones. No call is lost: a link is signed with
// the newest key, whose certificate goes along because the connection has another.
//
// Covers B-T12, KEY-07.
func TestARotationUnderLoadLosesNoCall(t *testing.T) {
	const callers, calls, rotations = 8, 60, 5
	d := trattest.New(t, domainName)
	var handled atomic.Int64
	leaves := make(chan [32]byte, callers*calls)
	last := &backend{handle: func(ctx context.Context) error {
		handled.Add(1)
		chain, _ := callchain.FromContext(ctx)
		leaves <- chain.Last().LeafHash()
		return nil
	}}
	stocks := dialCarrierAs(t, d, "orders", serveAs(t, d, "stocks", guardOf(t, d, "stocks", anyScope()), last), carrierOf(t, d, "orders"))
	orders := &backend{handle: func(ctx context.Context) error { return callUnary(ctx, stocks) }}
	client := dialCarrier(t, d, serveGuarded(t, d, guard(t, d, anyScope()), orders), carrier(t, d))

	var group errgroup.Group
	var made atomic.Int64
	for range callers {
		group.Go(func() error {
			for range calls {
				if err := callUnary(d.Context(callContext(t)), client); err != nil {
					return err
				}
				// In the midst of the calls, whoever is so far.
				if n := made.Add(1); n%(callers*calls/rotations) == 0 {
					d.RotateSVIDs()
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	close(leaves)
	certificates := make(map[[32]byte]bool)
	for leaf := range leaves {
		certificates[leaf] = true
	}
	if handled.Load() != callers*calls || len(certificates) < rotations {
		t.Errorf("%d of %d calls arrived, under %d certificates", handled.Load(), callers*calls, len(certificates))
	}
}

// In head mode too, and for streams.
//
// Covers B-T12, KEY-07.
func TestACallWithANewerCertificateThanItsConnection(t *testing.T) {
	d := trattest.New(t, domainName)
	for _, mode := range []callchain.Mode{callchain.ModePath, callchain.ModeHead} {
		onward := dialCarrierAs(t, d, "orders", serveAs(t, d, "stocks", guardOf(t, d, "stocks", modeRules(d, mode)), &backend{}), carrierOf(t, d, "orders"))
		call := func(k kind, c testpb.TestServiceClient) error {
			return k.call(d.ChainContext(callContext(t), []string{"gateway"}, "orders", k.method), c)
		}
		for _, k := range kinds() {
			if err := call(k, onward); err != nil {
				t.Fatalf("%s, %s: %v", mode, k.name, err)
			}
			d.RotateSVIDs()
			if err := call(k, onward); err != nil {
				t.Errorf("%s, %s, after the rotation: %v", mode, k.name, err)
			}
		}
	}
}
