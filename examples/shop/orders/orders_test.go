package main

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/examples/shop/internal/guardtest"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ordered are the parameters of the transaction in these tests.
const ordered = `{"action":"order.create","sku":"teapot","quantity":2,"amount_cents":4990}`

func teapots(quantity, amount int64) *shopv1.CreateOrderRequest {
	return &shopv1.CreateOrderRequest{Sku: "teapot", Quantity: quantity, AmountCents: amount}
}

// fakeStocks and fakePayments grant everything.
type fakeStocks struct{ shopv1.StocksServiceClient }

func (fakeStocks) Reserve(context.Context, *shopv1.ReserveRequest, ...grpc.CallOption) (*shopv1.ReserveResponse, error) {
	return &shopv1.ReserveResponse{ReservationId: "res-1"}, nil
}

func (fakeStocks) WatchReservation(context.Context, *shopv1.WatchReservationRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[shopv1.WatchReservationResponse], error) {
	return &fakeWatch{}, nil
}

type fakeWatch struct {
	grpc.ClientStream
	sent bool
}

func (w *fakeWatch) Recv() (*shopv1.WatchReservationResponse, error) {
	if w.sent {
		return nil, io.EOF
	}
	w.sent = true
	return &shopv1.WatchReservationResponse{State: "packed"}, nil
}

type fakePayments struct{ shopv1.PaymentsServiceClient }

func (fakePayments) Charge(context.Context, *shopv1.ChargeRequest, ...grpc.CallOption) (*shopv1.ChargeResponse, error) {
	return &shopv1.ChargeResponse{}, nil
}

// serveOrders runs the service behind its guard, and returns a way to call it as any
// workload of the trust domain.
func serveOrders(t *testing.T, d *trattest.Domain) (as func(workload string, opts ...grpc.DialOption) shopv1.OrdersServiceClient) {
	t.Helper()
	dial := guardtest.Serve(t, d, "orders", func(r grpc.ServiceRegistrar) {
		shopv1.RegisterOrdersServiceServer(r, newOrders(fakeStocks{}, fakePayments{}))
	})
	return func(workload string, opts ...grpc.DialOption) shopv1.OrdersServiceClient {
		return shopv1.NewOrdersServiceClient(dial(workload, opts...))
	}
}

// Covers VER-18, SEC-07.
func TestCreateOrderTakesOnlyTheGatewaysCallsForWhatWasOrdered(t *testing.T) {
	d := trattest.New(t, "shop.test")
	as := serveOrders(t, d)
	good := d.Raw(trattest.Scope("order.create"), trattest.Details(ordered))
	for name, tt := range map[string]struct {
		caller, token string
		req           *shopv1.CreateOrderRequest
		want          trat.Reason
	}{
		"as ordered":            {"gateway", good, teapots(2, 4990), ""},
		"another caller":        {"payments", good, teapots(2, 4990), trat.ReasonPeerDenied},
		"another scope":         {"gateway", d.Raw(trattest.Scope("order.quote"), trattest.Details(ordered)), teapots(2, 4990), trat.ReasonInsufficientScope},
		"no parameters":         {"gateway", d.Raw(trattest.Scope("order.create")), teapots(2, 4990), trat.ReasonPolicyDenied},
		"another quantity":      {"gateway", good, teapots(3, 4990), trat.ReasonPolicyDenied},
		"another amount":        {"gateway", good, teapots(2, 1), trat.ReasonPolicyDenied},
		"another article":       {"gateway", good, &shopv1.CreateOrderRequest{Sku: "samovar", Quantity: 2, AmountCents: 4990}, trat.ReasonPolicyDenied},
		"another domain's user": {"gateway", d.Broken(trattest.WrongAudience), teapots(2, 4990), trat.ReasonTxnTokenAudience},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := metadata.AppendToOutgoingContext(t.Context(), "txn-token", tt.token)
			orders := as(tt.caller)
			if token, err := d.Verifier().Verify(tt.token); err == nil { // a carrier takes no other
				ctx, orders = trat.NewContext(t.Context(), token), as(tt.caller, guardtest.CarrierOf(t, d, tt.caller)...)
			}
			_, err := orders.CreateOrder(ctx, tt.req)
			if got, _ := interceptors.ReasonFrom(err); got != tt.want || (err == nil) != (tt.want == "") {
				t.Errorf("error %v with reason %q, want reason %q", err, got, tt.want)
			}
		})
	}
}

func TestTrackOrderShowsAnOrderToItsOwnerOnly(t *testing.T) {
	d := trattest.New(t, "shop.test")
	orders := serveOrders(t, d)("gateway", guardtest.CarrierOf(t, d, "gateway")...)
	of := func(subject string) context.Context {
		return d.Context(t.Context(), trattest.Scope("order.create"), trattest.Details(ordered), trattest.Subject(subject))
	}
	created, err := orders.CreateOrder(of("alice"), teapots(2, 4990))
	if err != nil {
		t.Fatal(err)
	}
	track := func(ctx context.Context) (states []string, err error) {
		stream, err := orders.TrackOrder(ctx, &shopv1.TrackOrderRequest{OrderId: created.GetOrderId()})
		if err != nil {
			return nil, err
		}
		for {
			progress, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return states, nil
			}
			if err != nil {
				return states, err
			}
			states = append(states, progress.GetState())
		}
	}
	states, err := track(of("alice"))
	if diff := cmp.Diff([]string{"paid", "packed"}, states); diff != "" || err != nil {
		t.Errorf("alice sees %v (-want +got):\n%s", err, diff)
	}
	if states, err := track(of("bob")); err == nil || len(states) > 0 {
		t.Errorf("bob sees %q, %v", states, err)
	}
}
