package main

import (
	"testing"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func TestStocksReserveTheOrderedGoodsOnly(t *testing.T) {
	d := trattest.New(t, "shop.test")
	ordered := trattest.Details(`{"sku":"teapot","quantity":2}`)
	for name, tt := range map[string]struct {
		token   trattest.TokenOption
		req     *shopv1.ReserveRequest
		allowed bool
	}{
		"as ordered":       {ordered, &shopv1.ReserveRequest{Sku: "teapot", Quantity: 2}, true},
		"another article":  {ordered, &shopv1.ReserveRequest{Sku: "samovar", Quantity: 2}, false},
		"another quantity": {ordered, &shopv1.ReserveRequest{Sku: "teapot", Quantity: 3}, false},
		"nothing ordered":  {trattest.Details(`{}`), &shopv1.ReserveRequest{}, false},
	} {
		err := reservesWhatWasOrdered(t.Context(), d.Token(tt.token), tt.req)
		if (err == nil) != tt.allowed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRulesAreComplete(t *testing.T) {
	d := trattest.New(t, "shop.test")
	_, err := interceptors.NewServer(interceptors.ServerConfig{
		Verifier: d.Verifier(), SVIDs: d.Source("stocks"), Bundles: d.Source("stocks"),
	}, rules(d.TrustDomain()))
	if err != nil {
		t.Error(err)
	}
}
