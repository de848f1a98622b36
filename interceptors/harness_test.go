package interceptors_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

const (
	domainName = "shop.test"
	testScope  = "order.create"
	// callTimeout ends a test that hangs; nothing here takes so long.
	callTimeout = 20 * time.Second

	service         = "/grpc.testing.TestService/"
	unaryMethod     = service + "UnaryCall"
	serverStreaming = service + "StreamingOutputCall"
	clientStreaming = service + "StreamingInputCall"
	bidiStreaming   = service + "FullDuplexCall"
	wholeService    = service + "*"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// backend is a service whose handlers count that they ran and what they received, and
// then run handle, if there is one.
type backend struct {
	testpb.UnimplementedTestServiceServer
	handle   func(ctx context.Context) error
	ran      atomic.Int64
	received atomic.Int64
}

func (b *backend) run(ctx context.Context) error {
	b.ran.Add(1)
	if b.handle == nil {
		return nil
	}
	return b.handle(ctx)
}

func (b *backend) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	b.received.Add(1)
	if err := b.run(ctx); err != nil {
		return nil, err
	}
	return &testpb.SimpleResponse{Payload: req.GetPayload()}, nil
}

func (b *backend) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	b.received.Add(1)
	if err := b.run(stream.Context()); err != nil {
		return err
	}
	return stream.Send(&testpb.StreamingOutputCallResponse{})
}

func (b *backend) StreamingInputCall(stream grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	if err := b.run(stream.Context()); err != nil {
		return err
	}
	for {
		switch _, err := stream.Recv(); {
		case errors.Is(err, io.EOF):
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{})
		case err != nil:
			return err
		}
		b.received.Add(1)
	}
}

func (b *backend) FullDuplexCall(stream grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	if err := b.run(stream.Context()); err != nil {
		return err
	}
	for {
		switch _, err := stream.Recv(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		b.received.Add(1)
		if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

// kind is one of the four kinds of RPC; call makes one call with one message.
type kind struct {
	name   string
	method string
	stream bool
	call   func(context.Context, testpb.TestServiceClient) error
}

func kinds() []kind {
	return []kind{
		{"unary", unaryMethod, false, callUnary},
		{"server streaming", serverStreaming, true, callServerStreaming},
		{"client streaming", clientStreaming, true, callClientStreaming},
		{"bidirectional", bidiStreaming, true, callBidi},
	}
}

func callUnary(ctx context.Context, c testpb.TestServiceClient) error {
	_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: 1})
	return err
}

func callServerStreaming(ctx context.Context, c testpb.TestServiceClient) error {
	stream, err := c.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
	if err != nil {
		return err
	}
	return drain(stream)
}

func callClientStreaming(ctx context.Context, c testpb.TestServiceClient) error {
	stream, err := c.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	// An io.EOF from Send says that the status is to be had from CloseAndRecv.
	if err := stream.Send(&testpb.StreamingInputCallRequest{}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = stream.CloseAndRecv()
	return err
}

func callBidi(ctx context.Context, c testpb.TestServiceClient) error {
	stream, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&testpb.StreamingOutputCallRequest{}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return drain(stream)
}

func drain(stream interface {
	Recv() (*testpb.StreamingOutputCallResponse, error)
},
) error {
	for {
		if _, err := stream.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// guard makes a guard of workload "orders" with the Domain's clock.
func guard(tb testing.TB, d *trattest.Domain, rules interceptors.Rules, opts ...interceptors.ServerOption) *interceptors.Server {
	tb.Helper()
	return guardOf(tb, d, "orders", rules, opts...)
}

// guardOf makes a guard of the workload with the given path.
func guardOf(tb testing.TB, d *trattest.Domain, path string, rules interceptors.Rules, opts ...interceptors.ServerOption) *interceptors.Server {
	tb.Helper()
	opts = append([]interceptors.ServerOption{interceptors.WithClock(d.Now), interceptors.WithLogger(quiet())}, opts...)
	source := d.Source(path)
	s, err := interceptors.NewServer(interceptors.ServerConfig{Verifier: d.Verifier(), SVIDs: source, Bundles: source}, rules, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func serverConfig(d *trattest.Domain) interceptors.ServerConfig {
	source := d.Source("orders")
	return interceptors.ServerConfig{Verifier: d.Verifier(), SVIDs: source, Bundles: source}
}

// carrier makes a carrier of workload "gateway" with the Domain's clock.
func carrier(tb testing.TB, d *trattest.Domain, opts ...interceptors.ClientOption) *interceptors.Client {
	tb.Helper()
	return carrierOf(tb, d, "gateway", opts...)
}

// carrierOf makes a carrier of the workload with the given path.
func carrierOf(tb testing.TB, d *trattest.Domain, path string, opts ...interceptors.ClientOption) *interceptors.Client {
	tb.Helper()
	opts = append([]interceptors.ClientOption{interceptors.WithClock(d.Now), interceptors.WithLogger(quiet())}, opts...)
	c, err := interceptors.NewClient(interceptors.ClientConfig{
		TrustDomain: d.TrustDomain(), SVIDs: d.Source(path),
	}, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// serveGuarded serves svc as workload "orders" behind a guard whose coverage was checked,
// and returns the address.
func serveGuarded(tb testing.TB, d *trattest.Domain, g *interceptors.Server, svc testpb.TestServiceServer, opts ...grpc.ServerOption) string {
	tb.Helper()
	return serveAs(tb, d, "orders", g, svc, opts...)
}

// serveAs serves svc as the workload with the given path.
func serveAs(tb testing.TB, d *trattest.Domain, path string, g *interceptors.Server, svc testpb.TestServiceServer, opts ...grpc.ServerOption) string {
	tb.Helper()
	return serveOn(tb, g, d.ServerCredentials(path, d.Members()), svc, opts...)
}

// serveOn serves svc with creds behind a guard whose coverage was checked.
func serveOn(tb testing.TB, g *interceptors.Server, creds credentials.TransportCredentials, svc testpb.TestServiceServer, opts ...grpc.ServerOption) string {
	tb.Helper()
	opts = append(g.ServerOptions(), append([]grpc.ServerOption{grpc.Creds(creds)}, opts...)...)
	srv := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(srv, svc)
	if err := g.CheckCoverage(srv); err != nil {
		tb.Fatal(err)
	}
	return serve(tb, srv)
}

// serve serves srv on a loopback socket until the test ends.
func serve(tb testing.TB, srv *grpc.Server) string {
	tb.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	tb.Cleanup(func() {
		srv.Stop()
		// A short test stops the server before it serves.
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			tb.Errorf("Serve: %v", err)
		}
	})
	return lis.Addr().String()
}

// dial returns a client of addr with creds.
func dial(tb testing.TB, addr string, creds credentials.TransportCredentials, opts ...grpc.DialOption) testpb.TestServiceClient {
	tb.Helper()
	return testpb.NewTestServiceClient(connect(tb, addr, creds, opts...))
}

func connect(tb testing.TB, addr string, creds credentials.TransportCredentials, opts ...grpc.DialOption) *grpc.ClientConn {
	tb.Helper()
	cc, err := grpc.NewClient("passthrough:///"+addr, append(opts, grpc.WithTransportCredentials(creds))...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cc.Close() })
	return cc
}

// dialRaw returns a client of workload "gateway" without a carrier, for sending whatever
// a test likes. A good token that a test sends gets the link that belongs to it; see
// linking.
func dialRaw(tb testing.TB, d *trattest.Domain, addr string, opts ...grpc.DialOption) testpb.TestServiceClient {
	tb.Helper()
	return dialAs(tb, d, "gateway", addr, opts...)
}

// dialAs is dialRaw for the workload with the given path.
func dialAs(tb testing.TB, d *trattest.Domain, path, addr string, opts ...grpc.DialOption) testpb.TestServiceClient {
	tb.Helper()
	return testpb.NewTestServiceClient(connectAs(tb, d, path, addr, opts...))
}

func connectAs(tb testing.TB, d *trattest.Domain, path, addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	tb.Helper()
	return connect(tb, addr, d.ClientCredentials(path, d.Members()), append(opts, grpc.WithPerRPCCredentials(linkingAs(tb, d, path)))...)
}

// dialCarrier returns a client of workload "gateway" with c.
func dialCarrier(tb testing.TB, d *trattest.Domain, addr string, c *interceptors.Client, opts ...grpc.DialOption) testpb.TestServiceClient {
	tb.Helper()
	return dialCarrierAs(tb, d, "gateway", addr, c, opts...)
}

// dialCarrierAs is dialCarrier for the workload with the given path, whose carrier c is.
func dialCarrierAs(tb testing.TB, d *trattest.Domain, path, addr string, c *interceptors.Client, opts ...grpc.DialOption) testpb.TestServiceClient {
	tb.Helper()
	return dial(tb, addr, d.ClientCredentials(path, d.Members()), append(c.DialOptions(), opts...)...)
}

// withToken returns a context that sends values as txn-token.
func withToken(ctx context.Context, values ...string) context.Context {
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, "txn-token", v)
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

func callContext(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), callTimeout)
	tb.Cleanup(cancel)
	return ctx
}

// codeOf repeats section A8 of the requirements, so that a change of the mapping
// fails here.
var codeOf = map[trat.Reason]codes.Code{
	trat.ReasonTxnTokenMissing:        codes.Unauthenticated,
	trat.ReasonTxnTokenMalformed:      codes.Unauthenticated,
	trat.ReasonTxnTokenInvalid:        codes.Unauthenticated,
	trat.ReasonTxnTokenExpired:        codes.Unauthenticated,
	trat.ReasonTxnTokenAudience:       codes.Unauthenticated,
	trat.ReasonClientUnauthenticated:  codes.Unauthenticated,
	trat.ReasonPeerSVIDExpired:        codes.Unauthenticated,
	trat.ReasonInsufficientScope:      codes.PermissionDenied,
	trat.ReasonPolicyDenied:           codes.PermissionDenied,
	trat.ReasonPeerDenied:             codes.PermissionDenied,
	trat.ReasonEgressBlocked:          codes.PermissionDenied,
	trat.ReasonChainMissing:           codes.PermissionDenied,
	trat.ReasonChainLinkInvalid:       codes.PermissionDenied,
	trat.ReasonChainPeerMismatch:      codes.PermissionDenied,
	trat.ReasonChainRootMismatch:      codes.PermissionDenied,
	trat.ReasonChainTooDeep:           codes.PermissionDenied,
	trat.ReasonChainReplayed:          codes.PermissionDenied,
	trat.ReasonKeysUnavailable:        codes.Unavailable,
	trat.ReasonPolicyUnavailable:      codes.Unavailable,
	trat.ReasonCoverageUnchecked:      codes.Unavailable,
	trat.ReasonDependencyUnavailable:  codes.Unavailable,
	trat.ReasonRateLimited:            codes.ResourceExhausted,
	trat.ReasonMetadataTooLarge:       codes.ResourceExhausted,
	trat.ReasonClientMetadataConflict: codes.Internal,
	trat.ReasonDownstreamRejected:     codes.Internal,
}

// wantRefusal checks that err is a refusal for reason and tells a peer nothing else.
func wantRefusal(tb testing.TB, err error, reason trat.Reason) {
	tb.Helper()
	st := status.Convert(err)
	if st.Code() != codeOf[reason] {
		tb.Errorf("code %s, want %s: %v", st.Code(), codeOf[reason], err)
	}
	if got, _ := interceptors.ReasonFrom(err); got != reason {
		tb.Errorf("reason %q, want %q: %v", got, reason, err)
	}
	for _, detail := range st.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		if info.GetDomain() != "trat.v1" || len(info.GetMetadata()) != 0 {
			tb.Errorf("ErrorInfo %v: want domain trat.v1 and no metadata", info)
		}
	}
	if text := st.Proto().String(); strings.Contains(text, "eyJ") || strings.Contains(text, "spiffe:") {
		tb.Errorf("the status tells too much: %s", text)
	}
}

// eachMethod gives every method of the test service the same exact rule.
func eachMethod(rule interceptors.Rule) interceptors.Rules {
	rules := make(interceptors.Rules)
	for _, m := range testpb.TestService_ServiceDesc.Methods {
		rules[service+m.MethodName] = rule
	}
	for _, s := range testpb.TestService_ServiceDesc.Streams {
		rules[service+s.StreamName] = rule
	}
	return rules
}
