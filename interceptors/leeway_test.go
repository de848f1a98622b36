package interceptors_test

import (
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// The leeway of the Verifier is that of links too: how long a late one is accepted, and for
// how long it is remembered.
//
// Covers VER-04, RTY-02.
func TestLinksHaveTheLeewayOfTheVerifier(t *testing.T) {
	for _, leeway := range []time.Duration{0, trat.DefaultLeeway, 30 * time.Second, trat.MaxLeeway} {
		d := trattest.New(t, domainName)
		source := d.Source("stocks")
		g, err := interceptors.NewServer(
			interceptors.ServerConfig{Verifier: d.Verifier(trat.WithLeeway(leeway)), SVIDs: source, Bundles: source}, anyScope(),
			interceptors.WithClock(d.Now), interceptors.WithLogger(quiet()))
		if err != nil {
			t.Fatal(err)
		}
		client := dial(t, serveAs(t, d, "stocks", g, &backend{}), d.ClientCredentials("payments", d.Members()))
		token := d.Token(trattest.Lifetime(trat.MaxLifetime), trattest.Requester(d.ID("payments").String()))
		v := theft{t, d, token, unaryMethod}
		link, late := v.ownRoot("payments"), v.ownRoot("payments")
		call := func(chain string) error { return callUnary(withChain(callContext(t), token, chain), client) }

		d.Advance(callchain.DefaultLifetime + leeway - time.Second)
		if err := call(link); err != nil {
			t.Errorf("leeway %v, a second before its end: %v", leeway, err)
		}
		wantRefusal(t, call(link), trat.ReasonChainReplayed)
		d.Advance(time.Second)
		wantRefusal(t, call(late), trat.ReasonChainLinkInvalid)
	}
}
