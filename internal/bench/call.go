package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
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
	callTurn   = 15 * time.Millisecond
	streamTurn = 40 * time.Millisecond
	// worlds is how often servers and connections are made anew. Two connections of one
	// kind differ by several percent for as long as they live; over many that evens out,
	// which more rounds in fewer worlds do not achieve.
	worlds = 32
	// callTimeout ends a world in which a call hangs.
	callTimeout = time.Minute
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
	for _, f := range slices.Backward(d.close) {
		f()
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

// variant is one way to call: a client, and what its context is made of. The token or
// its bytes are attached for each call, as they are where each call has another.
type variant struct {
	name    string
	client  testpb.TestServiceClient
	context func(context.Context) context.Context
}

// variants are the bare call, the bare call that carries as many bytes of metadata, the
// same once more, and the call with guard and carrier. Each has a server and a
// connection of its own.
func (d *domain) variants() ([]variant, error) {
	plain := func(ctx context.Context) context.Context { return ctx }
	withBytes := func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "txn-token", d.token.UnsafeRaw())
	}
	withToken := func(ctx context.Context) context.Context { return trat.NewContext(ctx, d.token) }
	variants := []variant{
		{name: "bare", context: plain},
		{name: "bytes", context: withBytes},
		{name: "bytes again", context: withBytes},
		{name: "guarded", context: withToken},
	}
	for i := range variants {
		v := &variants[i]
		guarded := v.name == "guarded"
		addr, err := d.serve(guarded)
		if err != nil {
			return nil, err
		}
		if v.client, err = d.dial(addr, guarded); err != nil {
			return nil, err
		}
	}
	return variants, nil
}

// call makes the call that is measured.
type call func(context.Context, testpb.TestServiceClient) error

// compareCalls measures do with every variant, for so many rounds in each world.
func compareCalls(rounds int, turn time.Duration, do call) (map[string]timings, error) {
	costs := make(map[string]timings)
	for range worlds {
		more, err := compareInOneWorld(rounds, turn, do)
		if err != nil {
			return nil, err
		}
		for name, t := range more {
			costs[name] = append(costs[name], t...)
		}
	}
	return costs, nil
}

func compareInOneWorld(rounds int, turn time.Duration, do call) (map[string]timings, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	d, err := newDomain()
	if err != nil {
		return nil, err
	}
	defer d.stop()
	variants, err := d.variants()
	if err != nil {
		return nil, err
	}
	var subjects []subject
	for _, v := range variants {
		subjects = append(subjects, subject{v.name, func(int) error { return do(v.context(ctx), v.client) }})
	}
	return compare(rounds, turn, subjects...)
}

// measureCalls measures unary calls; CPU time is that of client and server together.
func measureCalls(rounds int) ([]row, error) {
	costs, err := compareCalls(rounds/4, callTurn, func(ctx context.Context, c testpb.TestServiceClient) error {
		_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{})
		return err
	})
	if err != nil {
		return nil, err
	}
	bare, guarded, bytes := costs["bare"], costs["guarded"], costs["bytes"].mean(costs["bytes again"])
	return []row{
		{name: "unary call, bare mTLS, CPU", value: micros(bare.median()), unit: " us"},
		{name: "unary call, bare mTLS with the token's bytes, CPU", value: micros(bytes.median()), unit: " us"},
		{name: "unary call, guard and carrier, CPU", value: micros(guarded.median()), unit: " us"},
		{name: "unary call, bare with the bytes / the same again (noise)", value: costs["bytes"].over(costs["bytes again"]), unit: "x"},
		{name: "unary call, bare with the bytes / bare", value: bytes.over(bare), unit: "x"},
		{name: "unary call, guard and carrier / bare", value: guarded.over(bare), unit: "x"},
		{name: "unary call, guard and carrier / bare with the bytes", value: guarded.over(bytes), unit: "x", budget: 1.08},
	}, nil
}

// measureStreams measures long server streams: a message costs nothing more than
// without a guard. The budget leaves room for the noise of the machine and for the
// opening, which is shared by all messages.
func measureStreams(rounds int) ([]row, error) {
	costs, err := compareCalls(max(1, rounds/10), streamTurn, func(ctx context.Context, c testpb.TestServiceClient) error {
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
	guarded, bytes := costs["guarded"], costs["bytes"].mean(costs["bytes again"])
	return []row{
		{name: "server stream, bare, CPU per message", value: micros(bytes.median()) / streamMessages, unit: " us"},
		{name: "server stream, guarded, CPU per message", value: micros(guarded.median()) / streamMessages, unit: " us"},
		{name: "server stream, bare / the same again (noise)", value: costs["bytes"].over(costs["bytes again"]), unit: "x"},
		{name: "server stream, guarded / bare", value: guarded.over(bytes), unit: "x", budget: 1.05},
	}, nil
}
