package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

const (
	// transactions is how many transactions take turns on a connection: the guard has
	// seen each token before, but together they are more than header compression
	// remembers, as on the connections of a service that serves many callers.
	transactions = 64
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

func (backend) StreamingInputCall(stream grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	for {
		switch _, err := stream.Recv(); {
		case errors.Is(err, io.EOF):
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{})
		case err != nil:
			return err
		}
	}
}

// domain is a trust domain with two workloads, and what is to be closed at the end.
type domain struct {
	td        spiffeid.TrustDomain
	authority *devauthority.Authority
	tokens    *tokens
	verified  []*trat.Token // of as many transactions
	close     []func()
}

func newDomain() (*domain, error) { return newDomainFor(trat.Object{}) }

// newDomainFor makes a domain whose transactions have these parameters; zero: those of the
// draft's example.
func newDomainFor(tctx trat.Object) (*domain, error) {
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
	verifier, err := d.verifier()
	if err != nil {
		return nil, err
	}
	// The draft's example, in a domain for which the authority may issue.
	claims := d.tokens.claims
	claims.Audience, claims.RequestingWorkload = td.Name(), td.IDString()+gatewayPath
	if !tctx.IsZero() {
		claims.TransactionContext = tctx
	}
	for range transactions {
		claims.TransactionID = rand.Text()
		raw, err := d.tokens.sign(claims)
		if err != nil {
			return nil, err
		}
		token, err := verifier.Verify(raw)
		if err != nil {
			return nil, err
		}
		d.verified = append(d.verified, token)
	}
	return d, nil
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

// The workloads: the one that requests TraTs, the one that it calls, and one that is called
// by that.
const (
	gatewayPath = "/apigateway"
	ordersPath  = "/orders"
	stockPath   = "/stock"
)

// serve starts a server over loopback TCP and SPIFFE mTLS, with a guard for chains in the
// given mode; the zero Mode is no guard.
func (d *domain) serve(path string, mode callchain.Mode, service testpb.TestServiceServer, opts ...grpc.ServerOption) (addr string, err error) {
	return d.serveBehind(path, mode, nil, service, opts...)
}

// demands are what the rules of some methods demand besides.
type demands map[string]func(interceptors.Rule) interceptors.Rule

// serveBehind is serve with rules that demand more.
func (d *domain) serveBehind(path string, mode callchain.Mode, more demands, service testpb.TestServiceServer, opts ...grpc.ServerOption) (addr string, err error) {
	source, err := d.source(path)
	if err != nil {
		return "", err
	}
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(d.td))
	if err != nil {
		return "", err
	}
	opts = append(opts, grpc.Creds(creds), grpc.MaxHeaderListSize(interceptors.DefaultMaxHeaderListSize))
	var guard *interceptors.Server
	if mode != 0 {
		if guard, err = d.guard(source, mode, more); err != nil {
			return "", err
		}
		opts = append(opts, guard.ServerOptions()...)
	}
	server := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(server, service)
	if guard != nil {
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

func (d *domain) guard(source *devauthority.Source, mode callchain.Mode, more demands) (*interceptors.Server, error) {
	verifier, err := d.verifier()
	if err != nil {
		return nil, err
	}
	rule := interceptors.Require("trade.stocks")
	switch mode {
	case callchain.ModeHead:
		rule = rule.FromCallers(spiffeid.MatchMemberOf(d.td)).ChainHead()
	case callchain.ModeOff:
		rule = rule.FromCallers(spiffeid.MatchMemberOf(d.td)).ChainOff()
	}
	rules := interceptors.Rules{"/grpc.testing.TestService/*": rule}
	for method, demand := range more {
		rules[method] = demand(rule)
	}
	return interceptors.NewServer(
		interceptors.ServerConfig{Verifier: verifier, SVIDs: source, Bundles: source},
		rules)
}

// dial connects a workload to addr, with a carrier that sends chains in the given mode; the
// zero Mode is no carrier.
func (d *domain) dial(path, addr string, mode callchain.Mode, opts ...interceptors.ClientOption) (testpb.TestServiceClient, error) {
	source, err := d.source(path)
	if err != nil {
		return nil, err
	}
	creds, err := spiffecreds.NewClient(source, source, spiffeid.MatchMemberOf(d.td))
	if err != nil {
		return nil, err
	}
	dialing := []grpc.DialOption{grpc.WithTransportCredentials(creds)}
	if mode != 0 {
		opts = append(opts, interceptors.WithChainMode("/grpc.testing.TestService/*", mode))
		carrier, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: d.td, SVIDs: source}, opts...)
		if err != nil {
			return nil, err
		}
		dialing = append(dialing, carrier.DialOptions()...)
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, dialing...)
	if err != nil {
		return nil, err
	}
	d.close = append(d.close, func() { _ = conn.Close() })
	return testpb.NewTestServiceClient(conn), nil
}
