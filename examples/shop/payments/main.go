// Command payments charges the user of a transaction. Only orders may call it, and
// only for the amount that the user agreed to.
package main

import (
	"context"

	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/examples/shop/internal/service"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
)

func main() {
	flags := service.NewFlags("payments")
	flags.Guarded()
	service.Main(flags, func(ctx context.Context) error {
		w, err := service.Start(ctx, flags.Config)
		if err != nil {
			return err
		}
		defer w.Close()
		return w.Serve(ctx, func(r grpc.ServiceRegistrar) {
			shopv1.RegisterPaymentsServiceServer(r, &payments{})
		}, interceptors.SingleReplica()) // replicas would need interceptors.WithOnceStore
	})
}
