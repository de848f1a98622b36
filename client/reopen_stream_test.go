package client_test

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/client"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// counting is a service whose streams each count one further, and then stay silent.
type counting struct {
	testpb.UnimplementedTestServiceServer

	transactions []string
}

// FullDuplexCall goes on behind the number that the caller has.
func (s *counting) FullDuplexCall(stream grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	token, _ := trat.FromContext(stream.Context())
	s.transactions = append(s.transactions, token.TransactionID())
	request, err := stream.Recv()
	if err != nil {
		return err
	}
	body := append(request.GetPayload().GetBody(), '+')
	if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: body}}); err != nil {
		return err
	}
	_, err = stream.Recv() // nothing comes
	return err
}

// serveCounting returns a client of a guarded service, with the gateway's carrier. Its clock
// and the guard's go on.
func serveCounting(t *testing.T, d *trattest.Domain, tts *client.Client) (testpb.TestServiceClient, *counting) {
	t.Helper()
	source := d.Source("stocks")
	quiet := interceptors.WithLogger(slog.New(slog.DiscardHandler))
	guard, err := interceptors.NewServer(interceptors.ServerConfig{Verifier: tts.Verifier(), SVIDs: source, Bundles: source},
		interceptors.Rules{"/grpc.testing.TestService/*": interceptors.Require()}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(guard.ServerOptions(), grpc.Creds(d.ServerCredentials("stocks", d.Members())))...)
	service := &counting{}
	testpb.RegisterTestServiceServer(server, service)
	if err := guard.CheckCoverage(server); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	carrier, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: d.Source("gateway")}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), append(carrier.DialOptions(),
		grpc.WithTransportCredentials(d.ClientCredentials("gateway", d.Only("stocks"))))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return testpb.NewTestServiceClient(conn), service
}

// A stream that ends with its TraT is opened again, in a new transaction, and goes on from
// where it was.
//
// Covers STR-04, STR-03.
func TestAStreamIsReopenedInANewTransaction(t *testing.T) {
	d := trattest.New(t, "shop.test")
	f := startTTS(t, d)
	f.answer(func(_ context.Context, r *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
		d.SetTime(time.Now())
		return respond(d.Raw(trattest.Scope(r.GetScope()), trattest.Lifetime(3*time.Second)), r.GetScope()), nil
	})
	tts, log := f.ready(t, client.WithClock(time.Now))
	counter, service := serveCounting(t, d, tts)

	turns, counted := 0, ""
	err := tts.Reopen(timeout(t), always(request()), func(ctx context.Context) error {
		turns++
		stream, err := counter.FullDuplexCall(ctx)
		if err != nil {
			return err
		}
		if err := stream.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: []byte(counted)}}); err != nil {
			return err
		}
		for counted != "+++" {
			next, err := stream.Recv()
			if err != nil {
				return err
			}
			counted = string(next.GetPayload().GetBody())
		}
		return nil
	})
	if err != nil || turns != 3 {
		t.Fatalf("%d turns to %s: %v", turns, counted, err)
	}
	if seen := slices.Sorted(slices.Values(service.transactions)); len(slices.Compact(seen)) != 3 {
		t.Errorf("%d transactions", len(seen))
	}
	if n := log.lines("right after it was issued"); n != 0 {
		t.Errorf("%d early turns", n)
	}
}
