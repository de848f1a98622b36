package client_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

const journeyPolicy = `
version: 1
details: {order_id: any}
rules:
  - name: edge
    requester: spiffe://shop.test/ns/commerce-production/sa/hop-00-of-the-journey
    subject_tokens: [urn:ietf:params:oauth:token-type:self_signed]
    grants: [order.create]
    lifetime: 60s
    tctx: {order_id: details.order_id}
  - name: everybody
    requester: spiffe://shop.test/ns/*/sa/*
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    replacement: {scopes: [order.create], max_count: 15}
`

// headerLimit is what grpc-go means to accept by default one day.
const headerLimit = 8 << 10

// journey is a row of workloads. Each serves and is guarded, and calls the next one.
type journey struct {
	domain *trattest.Domain
	stops  []*stop
	spans  *sdktrace.TracerProvider
}

// stop is one workload of a journey, and what it has seen.
type stop struct {
	testpb.UnimplementedTestServiceServer

	name   string
	tts    *client.Client
	next   testpb.TestServiceClient // nil for the last one
	before func(context.Context) (context.Context, error)

	token   *trat.Token
	chain   *callchain.Chain
	headers int // the size of the header list in bytes
}

// hop is the name of a workload. The SPIFFE IDs have 66 bytes.
func hop(i int) string {
	return fmt.Sprintf("ns/commerce-production/sa/hop-%02d-of-the-journey", i)
}

// UnaryCall passes on to the next workload.
func (s *stop) UnaryCall(ctx context.Context, r *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	s.token, _ = trat.FromContext(ctx)
	s.chain, _ = callchain.FromContext(ctx)
	return s.call(ctx, r)
}

func (s *stop) call(ctx context.Context, r *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if s.next == nil {
		return &testpb.SimpleResponse{Username: s.name}, nil
	}
	ctx, err := s.before(ctx)
	if err != nil {
		return nil, err
	}
	return s.next.UnaryCall(ctx, r)
}

// TagRPC, HandleRPC, TagConn and HandleConn implement stats.Handler.
func (s *stop) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC measures as HTTP/2 does. The fields that grpc-go does not show are those of
// every call.
func (s *stop) HandleRPC(_ context.Context, event stats.RPCStats) {
	in, ok := event.(*stats.InHeader)
	if !ok {
		return
	}
	fields := metadata.Join(in.Header, metadata.Pairs(":method", "POST", ":scheme", "https", ":path", in.FullMethod, "te", "trailers", "grpc-timeout", "99999999u"))
	for name, values := range fields {
		for _, value := range values {
			s.headers += len(name) + len(value) + 32
		}
	}
}

func (s *stop) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (s *stop) HandleConn(context.Context, stats.ConnStats)                       {}

// startJourney starts hops+1 workloads, of which the first one is not called.
func startJourney(t *testing.T, hops int, options func(*client.Client) []interceptors.ClientOption) *journey {
	t.Helper()
	j := &journey{domain: trattest.New(t, "shop.test"), stops: make([]*stop, hops+1), spans: sdktrace.NewTracerProvider()}
	target := "passthrough:///" + startServiceBy(t, j.domain, journeyPolicy)
	for i := hops; i >= 0; i-- {
		source := j.domain.Source(hop(i))
		tts, err := client.New(client.Config{
			Target: target, Issuer: j.domain.Issuer(), ServerID: j.domain.ID("tts"), TrustDomain: j.domain.TrustDomain(), SVIDs: source, Bundles: source,
		}, client.WithClock(j.domain.Now))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tts.Close() })
		if err := tts.WaitReady(timeout(t)); err != nil {
			t.Fatal(err)
		}
		s := &stop{name: hop(i), tts: tts, before: func(ctx context.Context) (context.Context, error) { return ctx, nil }}
		j.stops[i] = s
		if i < hops {
			s.next = j.dial(t, s, hop(i+1), j.serve(t, j.stops[i+1]), options(tts))
		}
	}
	return j
}

// serve starts the guarded server of s.
func (j *journey) serve(t *testing.T, s *stop) string {
	t.Helper()
	source := j.domain.Source(s.name)
	guard, err := interceptors.NewServer(
		interceptors.ServerConfig{Verifier: s.tts.Verifier(), SVIDs: source, Bundles: source},
		interceptors.Rules{"/grpc.testing.TestService/*": interceptors.Require("order.create")},
		interceptors.WithClock(j.domain.Now), interceptors.WithLogger(slog.New(slog.DiscardHandler)), interceptors.WithMaxHeaderListSize(headerLimit))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(guard.ServerOptions(), grpc.Creds(j.domain.ServerCredentials(s.name, j.domain.Members())), grpc.StatsHandler(s))...)
	testpb.RegisterTestServiceServer(server, s)
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
	return listener.Addr().String()
}

// dial connects s with the workload of that name, with a carrier.
func (j *journey) dial(t *testing.T, s *stop, name, address string, options []interceptors.ClientOption) testpb.TestServiceClient {
	t.Helper()
	carrier, err := interceptors.NewClient(interceptors.ClientConfig{TrustDomain: j.domain.TrustDomain(), SVIDs: j.domain.Source(s.name)},
		append(options, interceptors.WithClock(j.domain.Now), interceptors.WithLogger(slog.New(slog.DiscardHandler)))...)
	if err != nil {
		t.Fatal(err)
	}
	tracing := otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(j.spans), otelgrpc.WithPropagators(propagation.TraceContext{}))
	conn, err := grpc.NewClient("passthrough:///"+address, append(carrier.DialOptions(),
		grpc.WithTransportCredentials(j.domain.ClientCredentials(s.name, j.domain.Only(name))), grpc.WithStatsHandler(tracing),
	)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return testpb.NewTestServiceClient(conn)
}

// run starts a transaction at the first workload and calls on.
func (j *journey) run(t *testing.T) error {
	t.Helper()
	first := j.stops[0]
	subject, err := first.tts.SignSubject(client.Subject{Name: "order-service"})
	if err != nil {
		t.Fatal(err)
	}
	first.token, err = first.tts.Exchange(timeout(t), client.Request{
		SubjectToken: subject, SubjectTokenType: client.SelfSigned, Scope: "order.create", Details: object(t, `{"order_id":4711}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = first.call(trat.NewContext(timeout(t), first.token), &testpb.SimpleRequest{ResponseSize: 1})
	return err
}

func (j *journey) last() *stop { return j.stops[len(j.stops)-1] }

// requesters are those of the token that arrived at s, by their names.
func (j *journey) requesters(s *stop) []string {
	var names []string
	for id := range s.token.Claims().Requesters().Workloads() {
		names = append(names, strings.TrimPrefix(id, "spiffe://shop.test/"))
	}
	return names
}

// checkpoints has a carrier replace the TraTs of calls that do not fit.
func checkpoints(tts *client.Client) []interceptors.ClientOption {
	return []interceptors.ClientOption{interceptors.WithCheckpoint(func(ctx context.Context) (context.Context, error) {
		return tts.Replace(ctx, client.Replacement{})
	})}
}

// Covers REPL-06, REPL-07.
func TestChainOfTwentyHopsWithCheckpoints(t *testing.T) {
	j := startJourney(t, 20, checkpoints)
	if err := j.run(t); err != nil {
		t.Fatal(err)
	}
	if got, want := j.requesters(j.last()), []string{hop(0), hop(6), hop(12), hop(18)}; !slices.Equal(got, want) {
		t.Errorf("the last workload sees the requesters %v, want %v", got, want)
	}
	largest := 0
	for i, s := range j.stops[1:] {
		if s.headers == 0 || s.headers > headerLimit {
			t.Errorf("hop %d: a header list of %d bytes", i+1, s.headers)
		}
		largest = max(largest, s.headers)
		// Every segment is a whole chain of its token: of one to six links.
		if want := i%6 + 1; s.chain.Len() != want || !s.chain.Complete() || s.chain.Last().Issuer() != j.domain.ID(hop(i)) {
			t.Errorf("hop %d: %d links, want %d", i+1, s.chain.Len(), want)
		}
		if s.token.TransactionID() != j.stops[0].token.TransactionID() || s.token.TransactionContext() != j.stops[0].token.TransactionContext() {
			t.Errorf("hop %d: another transaction", i+1)
		}
		t.Logf("hop %2d: %d links, header list %d bytes, of which TraT %d", i+1, s.chain.Len(), s.headers, s.token.Size())
	}
	t.Logf("largest header list: %d of %d bytes", largest, headerLimit)
	// The segments are bound to each other: root to chn, chn to the last link before.
	for _, i := range []int{6, 12, 18} {
		end, begin := j.stops[i].chain.Last().Hash(), j.stops[i+1]
		root := slices.Collect(begin.chain.Links())[0]
		if root.Anchor() != end || callchain.Hash(begin.token.CallChainHash()) != end {
			t.Errorf("the chain from hop %d on is not bound to the one before", i)
		}
	}
}

// Without a checkpoint the seventh call does not leave.
func TestChainEndsWithoutACheckpoint(t *testing.T) {
	j := startJourney(t, 7, func(*client.Client) []interceptors.ClientOption { return nil })
	var refused error
	j.stops[6].next = observed{j.stops[6].next, &refused}
	if err := j.run(t); err == nil {
		t.Fatal("seven links in one chain")
	}
	if reason, _ := interceptors.ReasonFrom(refused); reason != trat.ReasonChainTooDeep || j.last().token != nil {
		t.Errorf("the seventh call: %v", refused)
	}
}

// observed keeps the error of the last call.
type observed struct {
	testpb.TestServiceClient
	err *error
}

func (o observed) UnaryCall(ctx context.Context, r *testpb.SimpleRequest, opts ...grpc.CallOption) (*testpb.SimpleResponse, error) {
	response, err := o.TestServiceClient.UnaryCall(ctx, r, opts...)
	*o.err = err
	return response, err
}

// As many requesters as a token can name, and one more, which policy refuses.
//
// Covers REPL-05, REPL-06, REPL-07.
func TestEveryHopRequestsATokenOfItsOwn(t *testing.T) {
	j := startJourney(t, trat.MaxWorkloadChain+1, func(*client.Client) []interceptors.ClientOption { return nil })
	var refused error
	for i, s := range j.stops[1:] {
		s.before = func(ctx context.Context) (context.Context, error) {
			behind, err := s.tts.Replace(ctx, client.Replacement{})
			if i+1 == trat.MaxWorkloadChain {
				refused = err
			}
			return behind, err
		}
	}
	if err := j.run(t); err == nil {
		t.Fatal("a requester too many")
	}
	if reason, _ := interceptors.ReasonFrom(refused); reason != trat.ReasonReplacementLimit {
		t.Errorf("the seventeenth requester: %v", refused)
	}
	end := j.stops[trat.MaxWorkloadChain]
	var want []string
	for i := range trat.MaxWorkloadChain {
		want = append(want, hop(i))
	}
	if got := j.requesters(end); !slices.Equal(got, want) {
		t.Errorf("requesters %v", got)
	}
	for i, s := range j.stops[1 : trat.MaxWorkloadChain+1] {
		if s.chain.Len() != 1 || s.headers > headerLimit {
			t.Errorf("hop %d: %d links, a header list of %d bytes", i+1, s.chain.Len(), s.headers)
		}
	}
	t.Logf("with %d requesters the TraT has %d bytes, the header list %d", trat.MaxWorkloadChain, end.token.Size(), end.headers)
}
