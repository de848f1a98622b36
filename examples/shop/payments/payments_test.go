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
func TestPaymentsChargeTheAgreedAmountOnly(t *testing.T) {
	d := trattest.New(t, "shop.test")
	as := guardtest.Serve(t, d, "payments", func(r grpc.ServiceRegistrar) { shopv1.RegisterPaymentsServiceServer(r, &payments{}) },
		interceptors.SingleReplica())
	payments := shopv1.NewPaymentsServiceClient(as("orders", guardtest.CarrierOf(t, d, "orders")...))
	agreed := trattest.Details(`{"amount_cents":4990}`)
	for name, tt := range map[string]struct {
		token  trattest.TokenOption
		amount int64
		want   trat.Reason
	}{
		"as agreed":                  {agreed, 4990, ""},
		"more":                       {agreed, 4991, trat.ReasonPolicyDenied},
		"less":                       {agreed, 1, trat.ReasonPolicyDenied},
		"nothing agreed":             {trattest.Details(`{}`), 0, trat.ReasonPolicyDenied},
		"the same amount as text":    {trattest.Details(`{"amount_cents":"4990"}`), 4990, ""},
		"the text of another number": {trattest.Details(`{"amount_cents":"04990"}`), 4990, trat.ReasonPolicyDenied},
		"a fraction of cent":         {trattest.Details(`{"amount_cents":4990.5}`), 4990, trat.ReasonPolicyDenied},
	} {
		t.Run(name, func(t *testing.T) {
			// As if it had come through the gateway, which has requested the token.
			ctx := d.ChainContext(t.Context(), []string{"gateway"}, "orders", shopv1.OrdersService_CreateOrder_FullMethodName, trattest.Scope("order.create"), tt.token)
			_, err := payments.Charge(ctx, &shopv1.ChargeRequest{AmountCents: tt.amount})
			if got, _ := interceptors.ReasonFrom(err); got != tt.want || (err == nil) != (tt.want == "") {
				t.Errorf("error %v with reason %q, want reason %q", err, got, tt.want)
			}
		})
	}
}
