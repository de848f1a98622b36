package main

import (
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/examples/shop/internal/guardtest"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Covers VER-18.
func TestStocksReserveTheOrderedGoodsOnly(t *testing.T) {
	d := trattest.New(t, "shop.test")
	as := guardtest.Serve(t, d, "stocks", func(r grpc.ServiceRegistrar) { shopv1.RegisterStocksServiceServer(r, &stocks{}) })
	ordered := trattest.Details(`{"sku":"teapot","quantity":2}`)
	for name, tt := range map[string]struct {
		caller string
		token  trattest.TokenOption
		req    *shopv1.ReserveRequest
		want   trat.Reason
	}{
		"as ordered":          {"orders", ordered, &shopv1.ReserveRequest{Sku: "teapot", Quantity: 2}, ""},
		"for a waiting order": {"scheduler", ordered, &shopv1.ReserveRequest{Sku: "teapot", Quantity: 2}, ""},
		"another article":     {"orders", ordered, &shopv1.ReserveRequest{Sku: "samovar", Quantity: 2}, trat.ReasonPolicyDenied},
		"another quantity":    {"orders", ordered, &shopv1.ReserveRequest{Sku: "teapot", Quantity: 3}, trat.ReasonPolicyDenied},
		"nothing ordered":     {"orders", trattest.Details(`{}`), &shopv1.ReserveRequest{}, trat.ReasonPolicyDenied},
		"another caller":      {"gateway", ordered, &shopv1.ReserveRequest{Sku: "teapot", Quantity: 2}, trat.ReasonPeerDenied},
	} {
		t.Run(name, func(t *testing.T) {
			// The caller has requested the token, so that it begins the chain.
			ctx := d.Context(t.Context(), trattest.Scope("order.create"), tt.token, trattest.Requester(d.ID(tt.caller).String()))
			_, err := shopv1.NewStocksServiceClient(as(tt.caller, guardtest.CarrierOf(t, d, tt.caller)...)).Reserve(ctx, tt.req)
			if got, _ := interceptors.ReasonFrom(err); got != tt.want || (err == nil) != (tt.want == "") {
				t.Errorf("error %v with reason %q, want reason %q", err, got, tt.want)
			}
		})
	}
}
