// Command orders takes orders from the gateway, reserves the goods and charges the
// user. Each of its own calls carries the transaction's token on.
package main

import (
	"context"

	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/examples/shop/internal/service"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
)

func main() {
	var stocks, payments service.Peer
	flags := service.NewFlags("orders")
	flags.Guarded()
	flags.Peer(&stocks, "stocks", "stocks")
	flags.Peer(&payments, "payments", "payments")

	service.Main(flags, func(ctx context.Context) error {
		w, err := service.Start(ctx, flags.Config)
		if err != nil {
			return err
		}
		defer w.Close()
		stocksConn, err := w.Dial(stocks)
		if err != nil {
			return err
		}
		defer stocksConn.Close()
		paymentsConn, err := w.Dial(payments)
		if err != nil {
			return err
		}
		defer paymentsConn.Close()

		return w.Serve(ctx, func(r grpc.ServiceRegistrar) {
			shopv1.RegisterOrdersServiceServer(r, newOrders(
				shopv1.NewStocksServiceClient(stocksConn),
				shopv1.NewPaymentsServiceClient(paymentsConn)))
		})
	})
}
