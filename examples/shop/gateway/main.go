// Command gateway is the edge of the shop: it serves users, who have an OAuth access
// token and no SPIFFE identity, and starts one transaction for each of their
// requests.
package main

import (
	"context"
	"crypto/tls"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/realip"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/grpc-trat/grpc-trat/examples/shop/internal/service"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
)

func main() {
	var orders service.Peer
	flags := service.NewFlags("gateway")
	flags.Peer(&orders, "orders", "orders")

	service.Main(flags, func(ctx context.Context) error {
		w, err := service.Start(ctx, flags.Config)
		if err != nil {
			return err
		}
		defer w.Close()
		ordersConn, err := w.Dial(orders)
		if err != nil {
			return err
		}
		defer ordersConn.Close()

		// Users cause tokens to be issued, they never bring one: the edge drops it.
		edge, err := interceptors.NewEdge()
		if err != nil {
			return err
		}
		// A trace that a user brings along is linked, never continued.
		server := w.NewServer([]otelgrpc.Option{otelgrpc.WithPublicEndpoint()},
			append(edge.ServerOptions(),
				grpc.Creds(userCreds(w)),
				// No proxy stands before this gateway, so no header is trusted.
				grpc.ChainUnaryInterceptor(realip.UnaryServerInterceptorOpts()))...)
		shopv1.RegisterStorefrontServiceServer(server, &storefront{
			tokens: w.Tokens,
			orders: shopv1.NewOrdersServiceClient(ordersConn),
		})
		return w.Run(ctx, server)
	})
}

// userCreds is one-way TLS: users have no certificate, and pin the gateway's SPIFFE
// ID in its X.509-SVID.
func userCreds(w *service.Workload) credentials.TransportCredentials {
	config := tlsconfig.TLSServerConfig(w.Source)
	config.MinVersion = tls.VersionTLS13
	return credentials.NewTLS(config)
}
