package trattest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

type stocks struct {
	shopv1.UnimplementedStocksServiceServer
}

func (stocks) Reserve(ctx context.Context, _ *shopv1.ReserveRequest) (*shopv1.ReserveResponse, error) {
	token, _ := trat.FromContext(ctx)
	return &shopv1.ReserveResponse{ReservationId: "reserved for " + token.Subject()}, nil
}

// guardedStocks returns the server under test, as the program makes it. What the method
// requires stands beside it in the .proto file: scope and callers, and that the request has
// the goods and the quantity that the transaction is about.
func guardedStocks(d *trattest.Domain) (*grpc.Server, error) {
	source := d.Source("stocks")
	guard, err := interceptors.NewServer(
		interceptors.ServerConfig{Verifier: d.Verifier(), SVIDs: source, Bundles: source},
		interceptors.Rules{},
		interceptors.WithClock(d.Now), interceptors.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(append(guard.ServerOptions(), grpc.Creds(d.ServerCredentials("stocks", d.Members())))...)
	shopv1.RegisterStocksServiceServer(server, stocks{})
	return server, guard.CheckCoverage(server)
}

// dialStocks connects the workload with the given path, with a carrier.
func dialStocks(d *trattest.Domain, path string, listener *bufconn.Listener) (*grpc.ClientConn, error) {
	carrier, err := interceptors.NewClient(
		interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: d.Source(path)},
		interceptors.WithClock(d.Now), interceptors.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	return grpc.NewClient("passthrough:///stocks", append(carrier.DialOptions(),
		grpc.WithTransportCredentials(d.ClientCredentials(path, d.Only("stocks"))),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
}

// A server with its guard, called over mTLS as in production: with a good token, for more
// than the token says, with one of another purpose, with none, from the wrong workload, and
// too late.
func Example_guardedServer() {
	d := trattest.New(t, "shop.test")
	server, err1 := guardedStocks(d)
	listener := bufconn.Listen(1 << 16)
	orders, err2 := dialStocks(d, "orders", listener)
	payments, err3 := dialStocks(d, "payments", listener)
	if err := errors.Join(err1, err2, err3); err != nil {
		fmt.Println(err)
		return
	}
	go server.Serve(listener) //nolint:errcheck // ends with Stop
	defer server.Stop()
	defer orders.Close()
	defer payments.Close()

	reserve := func(ctx context.Context, conn *grpc.ClientConn, quantity int64) {
		answer, err := shopv1.NewStocksServiceClient(conn).Reserve(ctx, &shopv1.ReserveRequest{Sku: "A-1", Quantity: quantity})
		if reason, refused := interceptors.ReasonFrom(err); refused {
			fmt.Println(reason)
			return
		}
		fmt.Println(answer.GetReservationId())
	}
	none := context.Background()
	// Orders has asked for the token itself, so that it begins the call chain.
	byOrders := trattest.Requester(d.ID("orders").String())
	details := trattest.Details(`{"sku":"A-1","quantity":3}`)
	good := d.Context(none, byOrders, details, trattest.Subject("user-7"), trattest.Scope("order.create"))
	reserve(good, orders, 3)
	reserve(good, orders, 30)
	reserve(d.Context(none, byOrders, details, trattest.Scope("order.read")), orders, 3)
	reserve(none, orders, 3)
	reserve(good, payments, 3)
	d.Advance(trat.MaxLifetime)
	reserve(good, orders, 3)
	// Output:
	// reserved for user-7
	// POLICY_DENIED
	// INSUFFICIENT_SCOPE
	// TXN_TOKEN_MISSING
	// PEER_DENIED
	// TXN_TOKEN_EXPIRED
}
