package client_test

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/client"
	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// carried is a connection of a workload with a carrier to a service that answers every call
// with UNIMPLEMENTED.
func carried(t *testing.T, d *trattest.Domain, workload string, opts ...grpc.DialOption) shopv1.PaymentsServiceClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(d.ServerCredentials("payments", d.Members())))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	carrier, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: d.Source(workload)},
		interceptors.WithClock(d.Now), interceptors.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), slices.Concat(carrier.DialOptions(), opts,
		[]grpc.DialOption{grpc.WithTransportCredentials(d.ClientCredentials(workload, d.Only("payments")))})...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return shopv1.NewPaymentsServiceClient(conn)
}

// A carrier lets every call out for which Checkpoint found room, or made it.
//
// Covers REPL-06, PROP-03.
func TestWhatACheckpointLetsPassACarrierLetsOut(t *testing.T) {
	tracing := grpc.WithStatsHandler(otelgrpc.NewClientHandler(
		otelgrpc.WithTracerProvider(sdktrace.NewTracerProvider()), otelgrpc.WithPropagators(propagation.TraceContext{})))
	for name, test := range map[string]struct {
		key    string
		opts   []grpc.DialOption
		rotate bool
	}{
		"text":    {"note", nil, false},
		"binary":  {"note-bin", nil, false},
		"traced":  {"note", []grpc.DialOption{tracing}, false},
		"rotated": {"note", []grpc.DialOption{tracing}, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := trattest.New(t, "shop.test")
			tts, ctx := startedAlong(t, d, "gateway", "a", "b", "pricing")
			payments := carried(t, d, "pricing", test.opts...)
			call := func(ctx context.Context) error {
				_, err := payments.Charge(ctx, &shopv1.ChargeRequest{})
				return err
			}
			if err := call(ctx); status.Code(err) != codes.Unimplemented {
				t.Fatal(err)
			}
			if test.rotate {
				d.RotateSVIDs() // the connection stays
			}
			room := 0
			for size := 1000; ; size += 40 {
				full := metadata.AppendToOutgoingContext(ctx, test.key, strings.Repeat("x", size))
				behind, err := tts.Checkpoint(full, client.Replacement{})
				if err != nil {
					t.Fatal(err)
				}
				if err := call(behind); status.Code(err) != codes.Unimplemented {
					t.Fatalf("with %d bytes (replaced: %t): %v", size, behind != full, err)
				}
				if behind != full {
					break
				}
				room++
			}
			if room == 0 {
				t.Error("a checkpoint although there was room")
			}
		})
	}
}
