package trattest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

type payments struct {
	shopv1.UnimplementedPaymentsServiceServer
}

func (payments) Charge(ctx context.Context, _ *shopv1.ChargeRequest) (*shopv1.ChargeResponse, error) {
	token, _ := trat.FromContext(ctx)
	return &shopv1.ChargeResponse{ReceiptId: "charged to " + token.Subject()}, nil
}

// guardedPayments returns the server under test, as the program makes it.
func guardedPayments(d *trattest.Domain) (*grpc.Server, error) {
	source := d.Source("payments")
	guard, err := interceptors.NewServer(
		interceptors.ServerConfig{Verifier: d.Verifier(), SVIDs: source, Bundles: source},
		interceptors.Rules{
			"/shop.v1.PaymentsService/Charge": interceptors.Require("order.create").FromCallers(spiffeid.MatchID(d.ID("orders"))),
		},
		interceptors.WithClock(d.Now), interceptors.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(append(guard.ServerOptions(), grpc.Creds(d.ServerCredentials("payments", d.Members())))...)
	shopv1.RegisterPaymentsServiceServer(server, payments{})
	return server, guard.CheckCoverage(server)
}

// dialPayments connects the workload with the given path, with a carrier.
func dialPayments(d *trattest.Domain, path string, listener *bufconn.Listener) (*grpc.ClientConn, error) {
	carrier, err := interceptors.NewClient(
		interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: d.Source(path)},
		interceptors.WithClock(d.Now), interceptors.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	return grpc.NewClient("passthrough:///payments", append(carrier.DialOptions(),
		grpc.WithTransportCredentials(d.ClientCredentials(path, d.Only("payments"))),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
}

// A server with its guard, called over mTLS as in production: with a good token, with
// one of another purpose, with none, from the wrong workload, and too late.
func Example_guardedServer() {
	d := trattest.New(t, "shop.test")
	server, err1 := guardedPayments(d)
	listener := bufconn.Listen(1 << 16)
	orders, err2 := dialPayments(d, "orders", listener)
	stock, err3 := dialPayments(d, "stock", listener)
	if err := errors.Join(err1, err2, err3); err != nil {
		fmt.Println(err)
		return
	}
	go server.Serve(listener) //nolint:errcheck // ends with Stop
	defer server.Stop()
	defer orders.Close()
	defer stock.Close()

	charge := func(ctx context.Context, conn *grpc.ClientConn) {
		answer, err := shopv1.NewPaymentsServiceClient(conn).Charge(ctx, &shopv1.ChargeRequest{AmountCents: 1250})
		if reason, refused := interceptors.ReasonFrom(err); refused {
			fmt.Println(reason)
			return
		}
		fmt.Println(answer.GetReceiptId())
	}
	none := context.Background()
	// Orders has asked for the token itself, so that it begins the call chain.
	byOrders := trattest.Requester(d.ID("orders").String())
	good := d.Context(none, byOrders, trattest.Subject("user-7"), trattest.Scope("order.create"))
	charge(good, orders)
	charge(d.Context(none, trattest.Scope("order.read")), orders)
	charge(none, orders)
	charge(good, stock)
	d.Advance(trat.MaxLifetime)
	charge(good, orders)
	// Output:
	// charged to user-7
	// INSUFFICIENT_SCOPE
	// TXN_TOKEN_MISSING
	// PEER_DENIED
	// TXN_TOKEN_EXPIRED
}
