package trattest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

const placeOrder = "/shop.v1.OrderService/CreateOrder"

func TestChainContextIsThatOfAHandler(t *testing.T) {
	d := trattest.New(t, "shop.test")
	ctx := d.ChainContext(t.Context(), []string{"edge", "gateway"}, "orders", placeOrder, trattest.Subject("user-7"))

	token, ok := trat.FromContext(ctx)
	if !ok || token.Subject() != "user-7" || token.RequestingWorkload() != d.ID("edge").String() {
		t.Errorf("token = %v, requested by %s", token, token.RequestingWorkload())
	}
	chain, ok := callchain.FromContext(ctx)
	if !ok || !chain.Complete() {
		t.Fatal("no complete chain")
	}
	links := slices.Collect(chain.Links())
	if len(links) != 2 || links[0].Issuer() != d.ID("edge") || links[0].Audience() != d.ID("gateway") ||
		links[1].Issuer() != d.ID("gateway") || links[1].Audience() != d.ID("orders") || links[1].Method() != placeOrder {
		t.Errorf("links = %v", links)
	}
}

// The value is accepted by whoever it is for, with the Domain's clock, and by nobody else.
func TestRawChainIsThatOfACarrier(t *testing.T) {
	d := trattest.New(t, "shop.test")
	verifier, err := callchain.NewVerifier(d.Source("orders"), callchain.WithClock(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	token := d.Token()
	received := callchain.Received{
		Encoded:  d.RawChain(token, []string{"gateway"}, "orders", placeOrder),
		Audience: d.ID("orders"),
		Method:   placeOrder,
		Token:    token,
		Peer:     callchain.Peer{ID: d.ID("gateway"), Leaf: d.SVID("gateway").Certificates[0]},
		Mode:     callchain.ModePath,
	}
	if _, err := verifier.Verify(received); err != nil {
		t.Error(err)
	}
	received.Peer = callchain.Peer{ID: d.ID("stock"), Leaf: d.SVID("stock").Certificates[0]}
	if _, err := verifier.Verify(received); err == nil {
		t.Error("accepted from another workload")
	}
}

// The Domain's clock stands still or jumps while certificates follow real time.
func TestChainsVerifyWhereverTheClockStands(t *testing.T) {
	d := trattest.New(t, "shop.test")
	for _, by := range []time.Duration{0, trat.MaxLifetime, -2 * trat.MaxLifetime, 20 * time.Hour, -40 * time.Hour} {
		d.Advance(by)
		d.RotateSVIDs()
		d.Chain(d.Token(), []string{"gateway", "orders"}, "stock", placeOrder)
	}
}
