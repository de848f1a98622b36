package main

import (
	"context"
	"log/slog"

	"google.golang.org/grpc"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// stocks reserves whatever it is asked for: the shop never runs out.
type stocks struct {
	shopv1.UnimplementedStocksServiceServer
}

// Reserve sets goods aside.
func (*stocks) Reserve(ctx context.Context, req *shopv1.ReserveRequest) (*shopv1.ReserveResponse, error) {
	token, _ := trat.FromContext(ctx) // present: the rule requires it
	slog.InfoContext(ctx, "reserved", "sku", req.GetSku(), "quantity", req.GetQuantity(), "token", token)
	return &shopv1.ReserveResponse{ReservationId: "res-" + token.TransactionID()}, nil
}

// WatchReservation streams a reservation's way to the packing table.
func (*stocks) WatchReservation(_ *shopv1.WatchReservationRequest, stream grpc.ServerStreamingServer[shopv1.WatchReservationResponse]) error {
	for _, state := range []string{"picked", "packed"} {
		if err := stream.Send(&shopv1.WatchReservationResponse{State: state}); err != nil {
			return err
		}
	}
	return nil
}
