package main

import (
	"testing"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func TestPaymentsChargeTheAgreedAmountOnly(t *testing.T) {
	d := trattest.New(t, "shop.test")
	agreed := trattest.Details(`{"amount_cents":4990}`)
	for name, tt := range map[string]struct {
		token   trattest.TokenOption
		amount  int64
		allowed bool
	}{
		"as agreed":          {agreed, 4990, true},
		"more":               {agreed, 4991, false},
		"less":               {agreed, 1, false},
		"nothing agreed":     {trattest.Details(`{}`), 0, false},
		"an amount as text":  {trattest.Details(`{"amount_cents":"4990"}`), 4990, false},
		"a fraction of cent": {trattest.Details(`{"amount_cents":4990.5}`), 4990, false},
	} {
		err := chargesWhatWasAgreed(t.Context(), d.Token(tt.token), &shopv1.ChargeRequest{AmountCents: tt.amount})
		if (err == nil) != tt.allowed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRulesAreComplete(t *testing.T) {
	d := trattest.New(t, "shop.test")
	_, err := interceptors.NewServer(interceptors.ServerConfig{
		Verifier: d.Verifier(), SVIDs: d.Source("payments"), Bundles: d.Source("payments"),
	}, rules(d.TrustDomain()), interceptors.SingleReplica())
	if err != nil {
		t.Error(err)
	}
}
