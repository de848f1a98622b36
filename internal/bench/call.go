package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	callTurn = 60 * time.Millisecond
	// callTimeout ends a call that hangs.
	callTimeout = 30 * time.Second
	// streamMessages is how many messages a measured stream carries: so many that what
	// is paid once, at its opening, hardly counts.
	streamMessages = 4000
)

// backend answers at once: the cost of a call is the cost of calling.
type backend struct {
	testpb.UnimplementedTestServiceServer
}

func (backend) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{}, nil
}

func (backend) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	for range streamMessages {
		if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
	return nil
}

// domain is a trust domain with two workloads, and what is to be closed at the end.
type domain struct {
	td        spiffeid.TrustDomain
	authority *devauthority.Authority
	tokens    *tokens
	token     *trat.Token
	close     []func()
}

func newDomain() (*domain, error) {
	td, err := spiffeid.TrustDomainFromString("trust-domain.test")
	if err != nil {
		return nil, err
	}
	d := &domain{td: td}
	if d.authority, err = devauthority.New(td); err != nil {
		return nil, err
	}
	d.close = append(d.close, func() { _ = d.authority.Close() })
	if d.tokens, err = newTokens(); err != nil {
		return nil, err
	}
	// The draft's example, in a domain for which the authority may issue.
	claims := d.tokens.claims
	claims.Audience = td.Name()
	raw, err := d.tokens.sign(claims)
	if err != nil {
		return nil, err
	}
	verifier, err := d.verifier()
	if err != nil {
		return nil, err
	}
	d.token, err = verifier.Verify(raw)
	return d, err
}

func (d *domain) verifier() (*trat.Verifier, error) {
	return trat.NewVerifier(d.td.Name(), d.tokens.claims.Issuer, d.tokens.keys)
}

func (d *domain) stop() {
	for i := len(d.close) - 1; i >= 0; i-- {
		d.close[i]()
	}
}

func (d *domain) source(path string) (*devauthority.Source, error) {
	id, err := spiffeid.FromPath(d.td, path)
	if err != nil {
		return nil, err
	}
	return d.authority.Source(id), nil
}

// serve starts a server over loopback TCP and SPIFFE mTLS.
func (d *domain) serve(guarded bool) (addr string, err error) {
	source, err := d.source("/orders")
	if err != nil {
		return "", err
	}
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(d.td))
	if err != nil {
		return "", err
	}
	opts := []grpc.ServerOption{grpc.Creds(creds), grpc.MaxHeaderListSize(interceptors.DefaultMaxHeaderListSize)}
	var guard *interceptors.Server
	if guarded {
		verifier, err := d.verifier()
		if err != nil {
			return "", err
		}
		guard, err = interceptors.NewServer(
			interceptors.ServerConfig{Verifier: verifier, SVIDs: source, Bundles: source},
			interceptors.Rules{"/grpc.testing.TestService/*": interceptors.Require("trade.stocks")})
		if err != nil {
			return "", err
		}
		opts = append(opts, guard.ServerOptions()...)
	}
	server := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(server, backend{})
	if guarded {
		if err := guard.CheckCoverage(server); err != nil {
			return "", err
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with Stop
	}()
	d.close = append(d.close, func() { server.Stop(); <-done })
	return listener.Addr().String(), nil
}

// dial connects to addr, with the carrier or without.
func (d *domain) dial(addr string, carried bool) (testpb.TestServiceClient, error) {
	source, err := d.source("/apigateway")
	if err != nil {
		return nil, err
	}
	creds, err := spiffecreds.NewClient(source, source, spiffeid.MatchMemberOf(d.td))
	if err != nil {
		return nil, err
	}
	opts := []grpc.DialOption{grpc.WithTransportCredentials(creds)}
	if carried {
		carrier, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.td, SVIDs: source})
		if err != nil {
			return nil, err
		}
		opts = append(opts, carrier.DialOptions()...)
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, opts...)
	if err != nil {
		return nil, err
	}
	d.close = append(d.close, func() { _ = conn.Close() })
	return testpb.NewTestServiceClient(conn), nil
}

// variant is one way to call: a client and the context to call with.
type variant struct {
	name   string
	client testpb.TestServiceClient
	ctx    context.Context //nolint:containedctx // it stands for the whole run
}

// variants are the bare call, the bare call that carries as many bytes of metadata, and
// the call with guard and carrier. Each has a connection of its own.
func (d *domain) variants(ctx context.Context) ([]variant, error) {
	bareAddr, err := d.serve(false)
	if err != nil {
		return nil, err
	}
	guardedAddr, err := d.serve(true)
	if err != nil {
		return nil, err
	}
	bare, err1 := d.dial(bareAddr, false)
	bytes, err2 := d.dial(bareAddr, false)
	guarded, err3 := d.dial(guardedAddr, true)
	return []variant{
		{"bare", bare, ctx},
		{"bytes", bytes, metadata.NewOutgoingContext(ctx, metadata.Pairs("txn-token", d.token.UnsafeRaw()))},
		{"guarded", guarded, trat.NewContext(ctx, d.token)},
	}, errors.Join(err1, err2, err3)
}

// compareCalls measures call with every variant.
func compareCalls(rounds int, call func(context.Context, testpb.TestServiceClient) error) (map[string]timings, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*callTimeout)
	defer cancel()
	d, err := newDomain()
	if err != nil {
		return nil, err
	}
	defer d.stop()
	variants, err := d.variants(ctx)
	if err != nil {
		return nil, err
	}
	var subjects []subject
	for _, v := range variants {
		subjects = append(subjects, subject{v.name, func(int) error { return call(v.ctx, v.client) }})
	}
	return compare(rounds, callTurn, subjects...)
}

// measureCalls measures unary calls; CPU time is that of client and server together.
func measureCalls(rounds int) ([]row, error) {
	costs, err := compareCalls(4*rounds, func(ctx context.Context, c testpb.TestServiceClient) error {
		_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{})
		return err
	})
	if err != nil {
		return nil, err
	}
	bare, bytes, guarded := costs["bare"], costs["bytes"], costs["guarded"]
	return []row{
		{name: "unary call, bare mTLS, CPU", value: micros(bare.median()), unit: " us"},
		{name: "unary call, bare mTLS with the token's bytes, CPU", value: micros(bytes.median()), unit: " us"},
		{name: "unary call, guard and carrier, CPU", value: micros(guarded.median()), unit: " us"},
		{name: "unary call, bare with the bytes / bare", value: bytes.over(bare), unit: "x"},
		{name: "unary call, guard and carrier / bare", value: guarded.over(bare), unit: "x"},
		{name: "unary call, guard and carrier / bare with the bytes", value: guarded.over(bytes), unit: "x", budget: 1.08},
	}, nil
}

// measureStreams measures long server streams: a message costs nothing more than
// without a guard. The budget leaves room for the noise of the machine and for the
// opening, which is shared by all messages.
func measureStreams(rounds int) ([]row, error) {
	costs, err := compareCalls(rounds, func(ctx context.Context, c testpb.TestServiceClient) error {
		stream, err := c.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
		if err != nil {
			return err
		}
		for n := 0; ; n++ {
			switch _, err := stream.Recv(); {
			case errors.Is(err, io.EOF):
				if n != streamMessages {
					return fmt.Errorf("%d messages", n)
				}
				return nil
			case err != nil:
				return err
			}
		}
	})
	if err != nil {
		return nil, err
	}
	bytes, guarded := costs["bytes"], costs["guarded"]
	return []row{
		{name: "server stream, bare, CPU per message", value: micros(bytes.median()) / streamMessages, unit: " us"},
		{name: "server stream, guarded, CPU per message", value: micros(guarded.median()) / streamMessages, unit: " us"},
		{name: "server stream, guarded / bare", value: guarded.over(bytes), unit: "x", budget: 1.05},
	}, nil
}
