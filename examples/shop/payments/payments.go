package main

import (
	"context"
	"log/slog"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// payments charges whoever started the transaction.
type payments struct {
	shopv1.UnimplementedPaymentsServiceServer
}

// Charge takes the money. Whose money is in the token, so the request has no field
// for it: a caller cannot charge somebody else.
func (*payments) Charge(ctx context.Context, req *shopv1.ChargeRequest) (*shopv1.ChargeResponse, error) {
	token, _ := trat.FromContext(ctx)      // on whose behalf
	chain, _ := callchain.FromContext(ctx) // through whom: verified links, the first caller first
	var through []string
	for link := range chain.Links() {
		through = append(through, link.Issuer().Path())
	}
	slog.InfoContext(ctx, "charged", "order_id", req.GetOrderId(), "token", token, "through", through)
	return &shopv1.ChargeResponse{ReceiptId: "rcp-" + token.TransactionID()}, nil
}
