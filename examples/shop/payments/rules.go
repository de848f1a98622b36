package main

import (
	"context"
	"errors"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
)

// rules say what each method of PaymentsService requires.
func rules(td spiffeid.TrustDomain) interceptors.Rules {
	gateway := spiffeid.MatchID(spiffeid.RequireFromPath(td, "/gateway"))
	orders := spiffeid.MatchID(spiffeid.RequireFromPath(td, "/orders"))
	return interceptors.Rules{
		// The straight way from the edge, gateway to orders to here, and each charge once.
		shopv1.PaymentsService_Charge_FullMethodName: interceptors.Require("order.create").
			FromCallers(orders).Through(gateway).MaxLinks(2).Once().
			Check(interceptors.CheckOf(chargesWhatWasAgreed)),
	}
}

var errNotAgreed = errors.New("amount differs from the transaction's")

// chargesWhatWasAgreed refuses any other amount than the one the user agreed to.
func chargesWhatWasAgreed(_ context.Context, token *trat.Token, req *shopv1.ChargeRequest) error {
	amount, ok := token.TransactionContext().Int64("amount_cents")
	if !ok || req.GetAmountCents() != amount {
		return errNotAgreed
	}
	return nil
}
