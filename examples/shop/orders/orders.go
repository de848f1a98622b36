package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// orders keeps orders in memory.
type orders struct {
	shopv1.UnimplementedOrdersServiceServer
	stocks   shopv1.StocksServiceClient
	payments shopv1.PaymentsServiceClient

	mu     sync.Mutex
	placed map[string]order // by order id
}

type order struct {
	owner       string // the transaction's subject
	reservation string
}

func newOrders(stocks shopv1.StocksServiceClient, payments shopv1.PaymentsServiceClient) *orders {
	return &orders{stocks: stocks, payments: payments, placed: make(map[string]order)}
}

// CreateOrder reserves the goods and charges the user. ctx goes along with each
// call: the token is in it.
func (o *orders) CreateOrder(ctx context.Context, req *shopv1.CreateOrderRequest) (*shopv1.CreateOrderResponse, error) {
	// Two identities, never mixed: for whom (the token) and who is calling (mTLS).
	token, _ := trat.FromContext(ctx)
	caller, _ := spiffecreds.PeerFromContext(ctx)
	id := "ord-" + token.TransactionID()

	reserved, err := o.stocks.Reserve(ctx, &shopv1.ReserveRequest{Sku: req.GetSku(), Quantity: req.GetQuantity()})
	if err != nil {
		return nil, err
	}
	if _, err := o.payments.Charge(ctx, &shopv1.ChargeRequest{OrderId: id, AmountCents: req.GetAmountCents()}); err != nil {
		return nil, err
	}
	o.mu.Lock()
	o.placed[id] = order{owner: token.Subject(), reservation: reserved.GetReservationId()}
	o.mu.Unlock()
	slog.InfoContext(ctx, "order created", "order_id", id, "caller", caller.ID, "token", token)
	return &shopv1.CreateOrderResponse{OrderId: id}, nil
}

// TrackOrder streams the order's progress to the user who placed it.
func (o *orders) TrackOrder(req *shopv1.TrackOrderRequest, stream grpc.ServerStreamingServer[shopv1.TrackOrderResponse]) error {
	token, _ := trat.FromContext(stream.Context())
	o.mu.Lock()
	placed, found := o.placed[req.GetOrderId()]
	o.mu.Unlock()
	if !found || placed.owner != token.Subject() {
		return status.Error(codes.NotFound, "no such order")
	}
	if err := stream.Send(&shopv1.TrackOrderResponse{State: "paid"}); err != nil {
		return err
	}
	watch, err := o.stocks.WatchReservation(stream.Context(),
		&shopv1.WatchReservationRequest{ReservationId: placed.reservation})
	if err != nil {
		return err
	}
	for {
		progress, err := watch.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&shopv1.TrackOrderResponse{State: progress.GetState()}); err != nil {
			return err
		}
	}
}
