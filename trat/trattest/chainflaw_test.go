package trattest_test

import (
	"testing"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Covers B-T2, B-T4.
func TestVerifierRefusesEveryChainFlawForItsReason(t *testing.T) {
	d := trattest.New(t, "shop.test")
	for _, leeway := range []struct {
		name string
		opts []callchain.VerifierOption
	}{
		{"usual", nil},
		{"tolerant", []callchain.VerifierOption{callchain.WithLeeway(trat.MaxLeeway)}},
	} {
		verifier, err := callchain.NewVerifier(d.Source("stock"),
			append([]callchain.VerifierOption{callchain.WithClock(d.Now)}, leeway.opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		token, through := d.Token(), []string{"gateway", "orders"}
		received := func(encoded string) callchain.Received {
			return callchain.Received{
				Encoded: encoded, Audience: d.ID("stock"), Method: placeOrder, Token: token, Mode: callchain.ModePath,
				Peer: callchain.Peer{ID: d.ID("orders"), Leaf: d.SVID("orders").Certificates[0]},
			}
		}
		if _, err := verifier.Verify(received(d.RawChain(token, through, "stock", placeOrder))); err != nil {
			t.Fatalf("without a flaw: %v", err)
		}
		for _, flaw := range trattest.ChainFlaws() {
			t.Run(leeway.name+", "+string(flaw), func(t *testing.T) {
				_, err := verifier.Verify(received(d.BrokenChain(flaw, token, through, "stock", placeOrder)))
				if reason, _ := trat.ReasonOf(err); reason != flaw.Reason() || reason == "" {
					t.Errorf("error = %v, want %s", err, flaw.Reason())
				}
			})
		}
	}
	if reason := trattest.ChainFlaw("unheard of").Reason(); reason != "" {
		t.Errorf("a word that is no flaw has reason %s", reason)
	}
}
