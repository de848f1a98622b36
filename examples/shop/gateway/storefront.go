package main

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/client"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// storefront turns a user's request into a transaction.
type storefront struct {
	shopv1.UnimplementedStorefrontServiceServer
	tokens *client.Client
	orders shopv1.OrdersServiceClient
}

// PlaceOrder exchanges the user's access token for a TraT that fixes this order's
// parameters, and places the order under it.
func (s *storefront) PlaceOrder(ctx context.Context, req *shopv1.PlaceOrderRequest) (*shopv1.PlaceOrderResponse, error) {
	accessToken, err := auth.AuthFromMD(ctx, "bearer")
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, "a bearer access token is required")
	}
	if req.GetSku() == "" || req.GetQuantity() < 1 || req.GetAmountCents() < 1 {
		return nil, status.Error(codes.InvalidArgument, "sku, quantity and amount_cents are required")
	}
	order := &shopv1.CreateOrderRequest{Sku: req.GetSku(), Quantity: req.GetQuantity(), AmountCents: req.GetAmountCents()}
	token, err := s.begin(ctx, accessToken, order)
	if err != nil {
		return nil, exchangeFailed(ctx, err)
	}
	// From here on, every call made with ctx belongs to the transaction.
	ctx = trat.NewContext(ctx, token)
	resp, err := s.place(ctx, order)
	if err != nil {
		return nil, orderFailed(ctx, err)
	}
	slog.InfoContext(ctx, "order placed", "order_id", resp.GetOrderId(), "token", token)
	return resp, nil
}

// begin obtains the transaction's token. Its parameters are those that the rules beside the
// order's fields will compare the fields with.
func (s *storefront) begin(ctx context.Context, accessToken string, order *shopv1.CreateOrderRequest) (*trat.Token, error) {
	environment, err := trat.NewObject(requestContext(ctx))
	if err != nil {
		return nil, err
	}
	details, err := client.DetailsFrom(order)
	if err != nil {
		return nil, err
	}
	return s.tokens.Exchange(ctx, client.Request{
		SubjectToken:     accessToken,
		SubjectTokenType: client.AccessToken,
		Scope:            "order.create",
		Context:          environment,
		Details:          details,
	})
}

// place creates the order and follows it until it is done.
func (s *storefront) place(ctx context.Context, order *shopv1.CreateOrderRequest) (*shopv1.PlaceOrderResponse, error) {
	created, err := s.orders.CreateOrder(ctx, order)
	if err != nil {
		return nil, err
	}
	resp := &shopv1.PlaceOrderResponse{OrderId: created.GetOrderId()}
	track, err := s.orders.TrackOrder(ctx, &shopv1.TrackOrderRequest{OrderId: created.GetOrderId()})
	if err != nil {
		return nil, err
	}
	for {
		progress, err := track.Recv()
		if errors.Is(err, io.EOF) {
			return resp, nil
		}
		if err != nil {
			return nil, err
		}
		resp.Progress = append(resp.Progress, progress.GetState())
	}
}
