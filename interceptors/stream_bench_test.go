package interceptors_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// idleStream is a stream on which messages come and go at no cost.
type idleStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has one
}

func (s idleStream) Context() context.Context { return s.ctx }
func (idleStream) RecvMsg(any) error          { return nil }
func (idleStream) SendMsg(any) error          { return nil }

// ruledGuard is a guard of which FullDuplexCall has rule, whose coverage was checked.
func ruledGuard(tb testing.TB, d *trattest.Domain, rule interceptors.Rule, opts ...interceptors.ServerOption) *interceptors.Server {
	tb.Helper()
	g := guard(tb, d, interceptors.Rules{wholeService: interceptors.Require(), bidiStreaming: rule}, opts...)
	srv := grpc.NewServer(g.ServerOptions()...)
	testpb.RegisterTestServiceServer(srv, &backend{})
	if err := g.CheckCoverage(srv); err != nil {
		tb.Fatal(err)
	}
	return g
}

// Covers STR-01.
func TestMessagesOfAStreamCostNothing(t *testing.T) {
	const messages = 100_000
	for name, rule := range map[string]interceptors.Rule{
		"open only": interceptors.Require().StreamOpenOnly(), "close at exp": interceptors.Require().StreamCloseAtExp(),
	} {
		d, out := trattest.New(t, domainName), newSinks()
		g := ruledGuard(t, d, rule, interceptors.WithMeterProvider(out.meters))
		stream := idleStream{ctx: incoming(t, d, bidiStreaming, d.Raw())}
		info := &grpc.StreamServerInfo{FullMethod: bidiStreaming}
		err := g.Stream(nil, stream, info, func(_ any, stream grpc.ServerStream) error {
			var req testpb.StreamingOutputCallRequest
			var resp testpb.StreamingOutputCallResponse
			if allocs := testing.AllocsPerRun(messages, func() {
				if err := errors.Join(stream.RecvMsg(&req), stream.SendMsg(&resp)); err != nil {
					t.Error(err)
				}
			}); allocs != 0 {
				t.Errorf("%s: %v allocations for each message", name, allocs)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if points := out.points(t, "txn_token.server.verifications"); len(points) != 1 || !strings.HasSuffix(points[0], " 1") {
			t.Errorf("%s: %d messages, verifications %q", name, messages, points)
		}
	}
}

// BenchmarkGuardStream is what the guard does for a stream besides what it does for a call
// (BenchmarkGuardUnary), and for a message of one, without transport.
func BenchmarkGuardStream(b *testing.B) {
	for _, r := range streamRules() {
		d := trattest.New(b, domainName)
		g := ruledGuard(b, d, r.rule)
		stream := idleStream{ctx: incoming(b, d, bidiStreaming, d.Raw(draftClaims()...))}
		info := &grpc.StreamServerInfo{FullMethod: bidiStreaming}
		b.Run("open/"+r.name, func(b *testing.B) {
			handler := func(any, grpc.ServerStream) error { return nil }
			b.ReportAllocs()
			for b.Loop() {
				if err := g.Stream(nil, stream, info, handler); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("message/"+r.name, func(b *testing.B) {
			b.ReportAllocs()
			err := g.Stream(nil, stream, info, func(_ any, stream grpc.ServerStream) error {
				var req testpb.StreamingOutputCallRequest
				for b.Loop() {
					if err := stream.RecvMsg(&req); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkStream is a bidirectional stream over loopback TCP with SPIFFE mTLS, with guard
// and carrier: opened and closed again, and one message and its answer on an open one.
func BenchmarkStream(b *testing.B) {
	for _, r := range streamRules() {
		d := trattest.New(b, domainName)
		g := guard(b, d, interceptors.Rules{wholeService: interceptors.Require(), bidiStreaming: r.rule})
		cc := connect(b, serveGuarded(b, d, g, &streamer{handle: echo}), d.ClientCredentials("gateway", d.Members()), carrier(b, d).DialOptions()...)
		client := testpb.NewTestServiceClient(cc)
		ctx := trat.NewContext(b.Context(), d.Token(draftClaims()...))
		b.Run("open/"+r.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				stream, err := client.FullDuplexCall(ctx)
				if err != nil {
					b.Fatal(err)
				}
				if err := errors.Join(stream.CloseSend(), result(stream)); !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
			}
		})
		b.Run("message/"+r.name, func(b *testing.B) {
			stream, err := client.FullDuplexCall(ctx)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				roundTrip(b, stream)
			}
			if err := errors.Join(stream.CloseSend(), result(stream)); !errors.Is(err, io.EOF) {
				b.Fatal(err)
			}
		})
	}
}

type namedRule struct {
	name string
	rule interceptors.Rule
}

// streamRules are rules for a stream, the cheapest first. None wants a chain, whose signature
// would cost many times what there is to see.
func streamRules() []namedRule {
	rule := interceptors.Require().ChainOff().FromCallers(spiffeid.MatchAny())
	return []namedRule{
		{"exempt", interceptors.Exempt("what it costs without")},
		{"open_only", rule.StreamOpenOnly()},
		{"close_at_exp", rule.StreamCloseAtExp()},
		{"drain", rule.StreamCloseAtExp().StreamDrain(1)},
	}
}
