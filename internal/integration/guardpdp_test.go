//go:build integration

package integration

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// ordered is a service that counts what reaches it.
type ordered struct {
	testpb.UnimplementedTestServiceServer
	calls atomic.Int64
}

func (o *ordered) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	o.calls.Add(1)
	return &testpb.SimpleResponse{}, nil
}

func (o *ordered) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	o.calls.Add(1)
	return &testpb.Empty{}, nil
}

// refused checks the reason in the status of a call.
func refused(t *testing.T, err error, reason trat.Reason) {
	t.Helper()
	if got, _ := interceptors.ReasonFrom(err); got != reason {
		t.Errorf("got %q (%v), want %q", got, err, reason)
	}
}

// A guard asks a policy decision point that somebody else wrote, and without it lets nobody
// through.
//
// Covers VER-19.
func TestGuardAsksARealPDP(t *testing.T) {
	t.Parallel()
	d := trattest.New(t, "shop.test")
	pdp := startCerbos(t, "https://login.shop.test")
	transport := &http.Transport{TLSClientConfig: pdp.clientTLS(t)}
	t.Cleanup(transport.CloseIdleConnections)
	decisions, err := authzen.New(authzen.Config{
		URL: pdp.url, Transport: transport, Timeout: startTimeout, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	source := d.Source("orders")
	guard, err := interceptors.NewServer(
		interceptors.ServerConfig{Verifier: d.Verifier(), SVIDs: source, Bundles: source},
		interceptors.Rules{"/grpc.testing.TestService/*": interceptors.Require().AccessEvaluation("", "")},
		interceptors.WithDecisionPoint(decisions), interceptors.WithClock(d.Now), interceptors.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	service := &ordered{}
	server := grpc.NewServer(append(guard.ServerOptions(), grpc.Creds(d.ServerCredentials("orders", d.Members())))...)
	testpb.RegisterTestServiceServer(server, service)
	if err := guard.CheckCoverage(server); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	client := func(workload string) testpb.TestServiceClient {
		carrier, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: d.Source(workload)}, interceptors.WithClock(d.Now))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(),
			append(carrier.DialOptions(), grpc.WithTransportCredentials(d.ClientCredentials(workload, d.Members())))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return testpb.NewTestServiceClient(conn)
	}
	gateway, billing := client("gateway"), client("billing")
	alice, order := trattest.Subject("login:alice"), trattest.Scope("order.create")
	create := func(c testpb.TestServiceClient, options ...trattest.TokenOption) error {
		_, err := c.UnaryCall(d.Context(t.Context(), options...), &testpb.SimpleRequest{})
		return err
	}
	if err := create(gateway, alice, order); err != nil || service.calls.Load() != 1 {
		t.Errorf("permitted: %v", err)
	}
	refused(t, create(gateway, trattest.Subject("login:mallory"), order), trat.ReasonPolicyDenied)
	refused(t, create(gateway, alice, trattest.Scope("order.delete")), trat.ReasonPolicyDenied)
	refused(t, create(billing, alice, order, trattest.Requester(d.ID("billing").String())), trat.ReasonPolicyDenied)
	_, err = gateway.EmptyCall(d.Context(t.Context(), alice, order), &testpb.Empty{})
	refused(t, err, trat.ReasonPolicyDenied)

	pdp.stop(t)
	refused(t, create(gateway, alice, order), trat.ReasonPolicyUnavailable)
	if n := service.calls.Load(); n != 1 {
		t.Errorf("%d calls reached the service, want 1", n)
	}
}
