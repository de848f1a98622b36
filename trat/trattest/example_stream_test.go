package trattest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	shopv1 "github.com/grpc-trat/grpc-trat/gen/shop/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// watched is a service that tells of a reservation what it is given.
type watched struct {
	shopv1.UnimplementedStocksServiceServer
	states chan string
}

func (s watched) WatchReservation(_ *shopv1.WatchReservationRequest, stream grpc.ServerStreamingServer[shopv1.WatchReservationResponse]) error {
	for {
		select {
		case state := <-s.states:
			if err := stream.Send(&shopv1.WatchReservationResponse{State: state}); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return context.Cause(stream.Context())
		}
	}
}

// watchStocks opens a stream to s, behind its guard and over mTLS, as the workload "orders".
// WatchReservation has no end of its own in its .proto file, so that it ends with its TraT.
func watchStocks(ctx context.Context, d *trattest.Domain, s watched) (grpc.ServerStreamingClient[shopv1.WatchReservationResponse], func(), error) {
	clock, logger := interceptors.WithClock(d.Now), interceptors.WithLogger(slog.New(slog.DiscardHandler))
	source := d.Source("stocks")
	guard, err1 := interceptors.NewServer(
		interceptors.ServerConfig{Verifier: d.Verifier(), SVIDs: source, Bundles: source}, interceptors.Rules{}, clock, logger)
	carrier, err2 := interceptors.NewClient(
		interceptors.ClientConfig{TrustDomain: d.TrustDomain(), SVIDs: d.Source("orders")}, clock, logger)
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	server := grpc.NewServer(append(guard.ServerOptions(), grpc.Creds(d.ServerCredentials("stocks", d.Members())))...)
	shopv1.RegisterStocksServiceServer(server, s)
	listener := bufconn.Listen(1 << 16)
	conn, err3 := grpc.NewClient("passthrough:///stocks", append(carrier.DialOptions(),
		grpc.WithTransportCredentials(d.ClientCredentials("orders", d.Only("stocks"))),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
	if err := errors.Join(err3, guard.CheckCoverage(server)); err != nil {
		return nil, nil, err
	}
	go server.Serve(listener) //nolint:errcheck // ends with Stop
	stop := func() {
		_ = conn.Close()
		server.Stop()
	}
	ctx = d.Context(ctx, trattest.Requester(d.ID("orders").String()), trattest.Scope("order.create"))
	stream, err := shopv1.NewStocksServiceClient(conn).WatchReservation(ctx, &shopv1.WatchReservationRequest{ReservationId: "r-1"})
	return stream, stop, err
}

// The end of a stream, by the next message: the guard looks at the Domain's clock whenever a
// message comes or goes.
func Example_streamEnd() {
	d := trattest.New(t, "shop.test")
	s := watched{states: make(chan string, 1)}
	stream, stop, err := watchStocks(context.Background(), d, s)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	s.states <- "reserved"
	answer, err := stream.Recv()
	fmt.Println(answer.GetState(), err)

	d.Advance(trat.DefaultLifetime + trat.DefaultLeeway)
	s.states <- "packed" // which the client does not get to see
	_, err = stream.Recv()
	reason, _ := interceptors.ReasonFrom(err)
	fmt.Println(reason)
	// Output:
	// reserved <nil>
	// TXN_TOKEN_EXPIRED
}

// The end of a stream on which nobody sends anything: in a bubble of testing/synctest, where
// real time passes at once too. The Domain's clock is moved first, for the guard looks at it
// when its timer rings.
func TestExampleOfAStreamThatEndsWhileItIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := trattest.New(t, "shop.test")
		s := watched{states: make(chan string)}
		stream, stop, err := watchStocks(t.Context(), d, s)
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		s.states <- "reserved"
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}

		const life = trat.DefaultLifetime + trat.DefaultLeeway
		d.Advance(life)
		time.Sleep(life)

		_, err = stream.Recv()
		if reason, _ := interceptors.ReasonFrom(err); reason != trat.ReasonTxnTokenExpired {
			t.Errorf("the stream has ended with %v", err)
		}
	})
}
