// Command stocks reserves goods. Only orders and the scheduler may call it, and only for
// what the transaction says.
package main

import (
	"context"

	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/examples/shop/internal/service"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
)

func main() {
	flags := service.NewFlags("stocks")
	flags.Guarded()
	service.Main(flags, func(ctx context.Context) error {
		w, err := service.Start(ctx, flags.Config)
		if err != nil {
			return err
		}
		defer w.Close()
		return w.Serve(ctx, func(r grpc.ServiceRegistrar) {
			shopv1.RegisterStocksServiceServer(r, &stocks{})
		})
	})
}
