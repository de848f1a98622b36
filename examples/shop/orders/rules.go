package main

import (
	"context"
	"errors"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
)

// rules say what each method of OrdersService requires.
func rules(td spiffeid.TrustDomain) interceptors.Rules {
	gateway := spiffeid.MatchID(spiffeid.RequireFromPath(td, "/gateway"))
	return interceptors.Rules{
		shopv1.OrdersService_CreateOrder_FullMethodName: interceptors.Require("order.create").
			FromCallers(gateway).Check(interceptors.CheckOf(createsWhatWasOrdered)),
		shopv1.OrdersService_TrackOrder_FullMethodName: interceptors.Require("order.create").
			FromCallers(gateway),
	}
}

var errNotOrdered = errors.New("order differs from the transaction's")

// createsWhatWasOrdered compares every parameter with what the token service signed
// when the transaction began. Not even the gateway can change one afterwards.
func createsWhatWasOrdered(_ context.Context, token *trat.Token, req *shopv1.CreateOrderRequest) error {
	var ordered struct {
		Action      string `json:"action"`
		SKU         string `json:"sku"`
		Quantity    int64  `json:"quantity"`
		AmountCents int64  `json:"amount_cents"`
	}
	if err := token.TransactionContext().Decode(&ordered); err != nil {
		return err
	}
	if ordered.Action != "order.create" || ordered.SKU != req.GetSku() ||
		ordered.Quantity != req.GetQuantity() || ordered.AmountCents != req.GetAmountCents() {
		return errNotOrdered
	}
	return nil
}
