package interceptors_test

import (
	"context"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// A workload in head mode does not look at what came before its caller. A caller that has
// made that up harms its own calls, and not the workload: the next callee does not count it
// as a failure of the workload, which others need.
//
// Covers VER-25.
func TestACallerCannotSpendAnothersAllowance(t *testing.T) {
	d := trattest.New(t, domainName)
	stocks := &backend{}
	limited := guardOf(t, d, "stocks", anyScope(), interceptors.WithFailureLimit(0.001, 3))
	onward := dialCarrierAs(t, d, "orders", serveAs(t, d, "stocks", limited, stocks), carrierOf(t, d, "orders"))
	orders := &backend{handle: func(ctx context.Context) error { return interceptors.Relay(callUnary(ctx, onward)) }}
	head := interceptors.Rules{wholeService: interceptors.Require().FromCallers(spiffeid.MatchMemberOf(d.TrustDomain())).ChainHead()}
	addr := serveGuarded(t, d, guard(t, d, head), orders)
	mallory := dial(t, addr, d.ClientCredentials("mallory", d.Members()))
	for _, k := range kinds() {
		for range 5 {
			token := d.Token()
			forged := take(t, d.RawChain(token, []string{"gateway", "fraud", "mallory"}, "orders", k.method))
			forged.links[0][len(forged.links[0])-1] ^= 1
			wantRefusal(t, k.call(withChain(callContext(t), token, forged.String()), mallory), trat.ReasonChainMissing)
		}
	}
	if n := stocks.ran.Load(); n != 0 {
		t.Errorf("%d handlers ran", n)
	}
	if err := callUnary(d.Context(callContext(t)), dialCarrier(t, d, addr, carrier(t, d))); err != nil {
		t.Errorf("somebody else's call through the workload: %v", err)
	}
}
