package trattest_test

import (
	"errors"
	"testing"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// fields says what is at fault with each ChainFlaw.
var fields = map[trattest.ChainFlaw]string{
	trattest.ChainEmpty:              "",
	trattest.ChainGarbage:            callchain.MetadataKey,
	trattest.ChainOversize:           callchain.MetadataKey,
	trattest.ChainTruncated:          callchain.MetadataKey,
	trattest.ChainAltered:            callchain.FieldSignature,
	trattest.ChainOtherCallee:        callchain.FieldAudience,
	trattest.ChainOtherMethod:        callchain.FieldMethod,
	trattest.ChainOtherToken:         callchain.FieldToken,
	trattest.ChainStolen:             callchain.FieldIssuer,
	trattest.ChainOwnRoot:            callchain.FieldIssuer,
	trattest.ChainShortened:          callchain.FieldIssuer,
	trattest.ChainSpliced:            callchain.FieldSignature,
	trattest.ChainExpired:            callchain.FieldExpiry,
	trattest.ChainFuture:             callchain.FieldIssuedAt,
	trattest.ChainTooDeep:            callchain.FieldDepth,
	trattest.ChainAlteredAncestor:    callchain.FieldSignature,
	trattest.ChainNoCertificate:      callchain.FieldCertificate,
	trattest.ChainExpiredCertificate: callchain.FieldCertificate,
	trattest.ChainForeignCertificate: callchain.FieldCertificate,
}

// Covers B-T2, B-T3, B-T4, B-T5, B-T6, B-T8, B-T9.
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
				failure, ok := errors.AsType[*trat.Error](err)
				if !ok || failure.Reason != flaw.Reason() || failure.Field != fields[flaw] {
					t.Errorf("error = %v, want %s: %q", err, flaw.Reason(), fields[flaw])
				}
			})
		}
	}
	if reason := trattest.ChainFlaw("unheard of").Reason(); reason != "" {
		t.Errorf("a word that is no flaw has reason %s", reason)
	}
}
