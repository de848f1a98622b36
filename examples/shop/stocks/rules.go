package main

import (
	"context"
	"errors"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
)

// rules say what each method of StocksService requires.
func rules(td spiffeid.TrustDomain) interceptors.Rules {
	orders := spiffeid.MatchID(spiffeid.RequireFromPath(td, "/orders"))
	scheduler := spiffeid.MatchID(spiffeid.RequireFromPath(td, "/scheduler"))
	return interceptors.Rules{
		// Orders for now, the scheduler for orders that wait for goods. Whoever it is, the
		// call chain must lead back to where the transaction began.
		shopv1.StocksService_Reserve_FullMethodName: interceptors.Require("order.create").
			FromCallers(orders, scheduler).Check(interceptors.CheckOf(reservesWhatWasOrdered)),
		// Called all the time, and it gives little away: the last link has to do.
		shopv1.StocksService_WatchReservation_FullMethodName: interceptors.Require("order.create").
			FromCallers(orders).ChainHead(),
	}
}

var errNotOrdered = errors.New("goods differ from the transaction's")

// reservesWhatWasOrdered compares the request with what the user asked the gateway
// for, which the token service signed.
func reservesWhatWasOrdered(_ context.Context, token *trat.Token, req *shopv1.ReserveRequest) error {
	sku, hasSKU := token.TransactionContext().Text("sku")
	quantity, hasQuantity := token.TransactionContext().Int64("quantity")
	if !hasSKU || !hasQuantity || req.GetSku() != sku || req.GetQuantity() != quantity {
		return errNotOrdered
	}
	return nil
}
