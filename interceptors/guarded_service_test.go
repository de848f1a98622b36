package interceptors_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	rulestestv1 "github.com/grpc-trat/grpc-trat/gen/rulestest/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

const (
	guardService   = "/rulestest.v1.GuardService/"
	chargeMethod   = guardService + "Charge"
	followMethod   = guardService + "Follow"
	collectMethod  = guardService + "Collect"
	converseMethod = guardService + "Converse"
	pingMethod     = guardService + "Ping"
)

// chargeBackend is the service whose rules stand in its proto file. Its handlers count what they
// get.
type chargeBackend struct {
	rulestestv1.UnimplementedGuardServiceServer
	ran, received atomic.Int64
	handle        func(context.Context)
}

func (p *chargeBackend) run(ctx context.Context) {
	p.ran.Add(1)
	if p.handle != nil {
		p.handle(ctx)
	}
}

func (p *chargeBackend) Charge(ctx context.Context, _ *rulestestv1.ChargeRequest) (*rulestestv1.ChargeResponse, error) {
	p.received.Add(1)
	p.run(ctx)
	return &rulestestv1.ChargeResponse{}, nil
}

func (p *chargeBackend) Follow(_ *rulestestv1.FollowRequest, stream grpc.ServerStreamingServer[rulestestv1.FollowResponse]) error {
	p.received.Add(1)
	p.run(stream.Context())
	return stream.Send(&rulestestv1.FollowResponse{})
}

func (p *chargeBackend) Collect(stream grpc.ClientStreamingServer[rulestestv1.CollectRequest, rulestestv1.CollectResponse]) error {
	p.run(stream.Context())
	for {
		switch _, err := stream.Recv(); {
		case errors.Is(err, io.EOF):
			return stream.SendAndClose(&rulestestv1.CollectResponse{})
		case err != nil:
			return err
		}
		p.received.Add(1)
	}
}

func (p *chargeBackend) Converse(stream grpc.BidiStreamingServer[rulestestv1.ConverseRequest, rulestestv1.ConverseResponse]) error {
	p.run(stream.Context())
	for {
		switch _, err := stream.Recv(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		p.received.Add(1)
		if err := stream.Send(&rulestestv1.ConverseResponse{}); err != nil {
			return err
		}
	}
}

func (p *chargeBackend) Ping(ctx context.Context, _ *rulestestv1.PingRequest) (*rulestestv1.PingResponse, error) {
	p.run(ctx)
	return &rulestestv1.PingResponse{}, nil
}

// serveGuardService serves svc as workload "orders" behind a guard with rules, which are those
// of the proto file and no other unless a test has more.
func serveGuardService(t *testing.T, d *trattest.Domain, svc *chargeBackend, rules interceptors.Rules, opts ...interceptors.ServerOption) (*interceptors.Server, string) {
	t.Helper()
	g := guard(t, d, rules, opts...)
	srv := grpc.NewServer(append(g.ServerOptions(), grpc.Creds(d.ServerCredentials("orders", d.Members())))...)
	rulestestv1.RegisterGuardServiceServer(srv, svc)
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	return g, serve(t, srv)
}

// dialGuardService returns a client of workload "gateway", which sends tokens by hand.
func dialGuardService(t *testing.T, d *trattest.Domain, addr string) rulestestv1.GuardServiceClient {
	t.Helper()
	return rulestestv1.NewGuardServiceClient(connectAs(t, d, "gateway", addr))
}

// payment is what paymentToken permits.
func payment() *rulestestv1.Payment {
	return &rulestestv1.Payment{OrderId: "o-1", AmountCents: 1999, Currency: "EUR", Parts: 3}
}

const paymentDetails = `{"order":{"id":"o-1","amount_cents":1999,"currency":"EUR","max_parts":3,"open":true}}`

// paymentToken is a token for the payment, and whatever opts change.
func paymentToken(d *trattest.Domain, opts ...trattest.TokenOption) string {
	return d.Raw(append([]trattest.TokenOption{trattest.Scope("payment.charge"), trattest.Details(paymentDetails)}, opts...)...)
}

// paymentKind is one of the four kinds; call sends payments, or as many as the kind takes.
type paymentKind struct {
	name, method string
	call         func(context.Context, rulestestv1.GuardServiceClient, ...*rulestestv1.Payment) error
}

func paymentKinds() []paymentKind {
	return []paymentKind{
		{"unary", chargeMethod, charge},
		{"server streaming", followMethod, follow},
		{"client streaming", collectMethod, collect},
		{"bidirectional", converseMethod, converse},
	}
}

func charge(ctx context.Context, c rulestestv1.GuardServiceClient, p ...*rulestestv1.Payment) error {
	_, err := c.Charge(ctx, &rulestestv1.ChargeRequest{Payment: p[0]})
	return err
}

func follow(ctx context.Context, c rulestestv1.GuardServiceClient, p ...*rulestestv1.Payment) error {
	stream, err := c.Follow(ctx, &rulestestv1.FollowRequest{Payment: p[0]})
	if err != nil {
		return err
	}
	return toEnd(stream.Recv)
}

func collect(ctx context.Context, c rulestestv1.GuardServiceClient, p ...*rulestestv1.Payment) error {
	stream, err := c.Collect(ctx)
	if err != nil {
		return err
	}
	for _, p := range p {
		// An io.EOF says that the status is to be had from CloseAndRecv.
		if err := stream.Send(&rulestestv1.CollectRequest{Payment: p}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

func converse(ctx context.Context, c rulestestv1.GuardServiceClient, p ...*rulestestv1.Payment) error {
	stream, err := c.Converse(ctx)
	if err != nil {
		return err
	}
	for _, p := range p {
		if err := stream.Send(&rulestestv1.ConverseRequest{Payment: p}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return toEnd(stream.Recv)
}

// toEnd receives until the stream ends.
func toEnd[M any](recv func() (*M, error)) error {
	for {
		if _, err := recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// noToken reports a token in the context of a handler that must not have one.
func noToken(t *testing.T) func(context.Context) {
	return func(ctx context.Context) {
		if token, ok := trat.FromContext(ctx); ok {
			t.Errorf("a token is in the handler's context: %v", token)
		}
	}
}
