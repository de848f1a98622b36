package spiffecreds_test

import (
	"context"
	"fmt"
	"net"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// A server that any workload of its trust domain may connect to, and a client that
// talks to that one server only.
func Example() {
	// These two stand for a spiffecreds.Source in each of two workloads.
	authority, err := devauthority.New(domain)
	if err != nil {
		fmt.Println(err)
		return
	}
	gatewaySource, ordersSource := authority.Source(gateway), authority.Source(orders)

	serverCreds, err := spiffecreds.NewServer(ordersSource, ordersSource, spiffeid.MatchMemberOf(domain))
	if err != nil {
		fmt.Println(err)
		return
	}
	server := grpc.NewServer(
		grpc.Creds(serverCreds),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			p, _ := spiffecreds.PeerFromContext(ctx)
			fmt.Println("called by", p.ID)
			return handler(ctx, req)
		}),
	)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go server.Serve(lis) //nolint:errcheck // it ends with Stop
	defer server.Stop()

	clientCreds, err := spiffecreds.NewClient(gatewaySource, gatewaySource, spiffeid.MatchID(orders))
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(clientCreds))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	var p peer.Peer
	_, err = grpc_health_v1.NewHealthClient(conn).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{}, grpc.Peer(&p))
	if err != nil {
		fmt.Println(err)
		return
	}
	callee, _ := spiffecreds.PeerFromAuthInfo(p.AuthInfo)
	fmt.Println("answered by", callee.ID)
	// Output:
	// called by spiffe://shop.test/gateway
	// answered by spiffe://shop.test/orders
}

// The certificates of a server come from the Workload API, and follow its rotation.
func ExampleNewServer() {
	source, err := spiffecreds.NewSource(context.Background()) // SPIFFE_ENDPOINT_SOCKET
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(domain))
	if err != nil {
		fmt.Println(err)
		return
	}
	server := grpc.NewServer(grpc.Creds(creds))
	server.Stop()
}

// A client names its server: with any other, the handshake ends before a byte of the
// request is sent.
func ExampleNewClient() {
	source, err := spiffecreds.NewSource(context.Background()) // SPIFFE_ENDPOINT_SOCKET
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()
	creds, err := spiffecreds.NewClient(source, source, spiffeid.MatchID(spiffeid.RequireFromPath(domain, "/tts")))
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := grpc.NewClient("dns:///tts.internal:8443", grpc.WithTransportCredentials(creds))
	if err != nil {
		fmt.Println(err)
		return
	}
	conn.Close()
}

// "*" stands for one whole segment.
func ExampleMatchPattern() {
	match, err := spiffecreds.MatchPattern("spiffe://shop.test/ns/*/orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(match(spiffeid.RequireFromString("spiffe://shop.test/ns/east/orders")))
	fmt.Println(match(spiffeid.RequireFromString("spiffe://shop.test/ns/east/orders-evil")))
	// Output:
	// <nil>
	// unexpected ID "spiffe://shop.test/ns/east/orders-evil"
}
