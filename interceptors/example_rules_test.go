package interceptors_test

import (
	"errors"
	"log/slog"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
)

// serveWithOverlay puts the rules of the .proto files in force, and those by which a platform
// team tightens them, and logs what came of it.
func serveWithOverlay(config interceptors.ServerConfig, creds credentials.TransportCredentials, file string) (*grpc.Server, error) {
	text, err1 := os.ReadFile(file)
	overlay, err2 := interceptors.ParseOverlay(text)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	guard, err := interceptors.NewServer(config, interceptors.Rules{}, interceptors.WithOverlay(overlay))
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(append(guard.ServerOptions(), grpc.Creds(creds))...)
	shopv1.RegisterStocksServiceServer(server, shopv1.UnimplementedStocksServiceServer{})
	if err := guard.CheckCoverage(server); err != nil {
		return nil, err // names each method and what is wrong with its rule
	}
	for _, rule := range guard.MethodRules() {
		slog.Info("rule", "method", rule.FullMethod, "enforcement", rule.Enforcement, "demands", rule.Demands, "sources", rule.Sources)
	}
	return server, nil
}

// The rules of the .proto files alone: an empty map. An overlay tightens them.
func ExampleWithOverlay() {
	server, err := serveWithOverlay(interceptors.ServerConfig{}, nil, "overlay.yaml")
	if err != nil {
		slog.Error("not served", "error", err)
		return
	}
	server.Stop()
}
