// Package guardtest runs one service of the shop behind its guard, as its program does, for
// tests of what the rules beside its methods let through.
package guardtest

import (
	"net"
	"testing"

	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Serve runs the service that register adds as one of d's workloads. It returns a way to
// call it as any workload of the trust domain.
func Serve(t *testing.T, d *trattest.Domain, workload string, register func(grpc.ServiceRegistrar), opts ...interceptors.ServerOption) (as func(caller string, opts ...grpc.DialOption) *grpc.ClientConn) {
	t.Helper()
	guard, err := interceptors.NewServer(interceptors.ServerConfig{
		Verifier: d.Verifier(), SVIDs: d.Source(workload), Bundles: d.Source(workload),
	}, interceptors.Rules{}, append(opts, interceptors.WithClock(d.Now))...)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(guard.ServerOptions(), grpc.Creds(d.ServerCredentials(workload, d.Members())))...)
	register(server)
	if err := guard.CheckCoverage(server); err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return func(caller string, opts ...grpc.DialOption) *grpc.ClientConn {
		conn, err := grpc.NewClient(listener.Addr().String(),
			append(opts, grpc.WithTransportCredentials(d.ClientCredentials(caller, d.Only(workload))))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
}

// CarrierOf returns what a workload's calls carry token and call chain with.
func CarrierOf(t *testing.T, d *trattest.Domain, workload string) []grpc.DialOption {
	t.Helper()
	carrier, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: d.Source(workload)},
		interceptors.WithClock(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	return carrier.DialOptions()
}
