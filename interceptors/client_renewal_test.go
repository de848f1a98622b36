package interceptors_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// renewalOf judges a renewal as workload "orders" does that got it from peer.
func renewalOf(t *testing.T, d *trattest.Domain, renewal *tratv1.StreamRenewal, peer, method string) (*trat.Token, *callchain.Chain, error) {
	t.Helper()
	token, err := d.Verifier().Verify(renewal.GetTxnToken())
	if err != nil {
		return nil, nil, err
	}
	verifier, err := callchain.NewVerifier(d.Source("orders"), callchain.WithClock(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	from, _ := spiffecreds.PeerFromContext(d.PeerContext(t.Context(), peer))
	chain, err := verifier.Verify(callchain.Received{
		Encoded: renewal.GetTxnChain(), Audience: d.ID("orders"), Method: method, Token: token,
		Peer: callchain.Peer{ID: from.ID, Leaf: from.Leaf, Intermediates: from.Intermediates}, Mode: callchain.ModePath,
	})
	return token, chain, err
}

// openBidi opens a renewable stream.
func openBidi(ctx context.Context, t *testing.T, client testpb.TestServiceClient) grpc.BidiStreamingClient[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse] {
	t.Helper()
	stream, err := client.FullDuplexCall(ctx, interceptors.Renewable())
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// Covers STR-02.
func TestARenewalIsWhatANewCallWouldCarry(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{}
	client := dialCarrier(t, d, serveGuarded(t, d, guard(t, d, anyScope()), svc), carrier(t, d))
	t.Run("at the beginning of a chain", func(t *testing.T) {
		stream := openBidi(d.Context(callContext(t)), t, client)
		renewed := d.Token()
		c := carrier(t, d)
		renewal, err := c.Renewal(trat.NewContext(t.Context(), renewed), stream)
		if err != nil {
			t.Fatal(err)
		}
		token, chain, err := renewalOf(t, d, renewal, "gateway", bidiStreaming)
		if err != nil || token.TransactionID() != renewed.TransactionID() || chain.Len() != 1 {
			t.Errorf("%d links: %v", chain.Len(), err)
		}
		again, err := c.Renewal(trat.NewContext(t.Context(), renewed), stream)
		if err != nil || again.GetTxnChain() == renewal.GetTxnChain() {
			t.Errorf("another renewal has the same link: %v", err)
		}
		// Another workload that got hold of it has nothing.
		if _, _, err := renewalOf(t, d, renewal, "payments", bidiStreaming); err == nil {
			t.Error("good from another peer")
		}
		if _, _, err := renewalOf(t, d, renewal, "gateway", unaryMethod); err == nil {
			t.Error("good for another method")
		}
	})
	t.Run("behind other links", func(t *testing.T) {
		asPricing := dialCarrierAs(t, d, "pricing", serveGuarded(t, d, guard(t, d, anyScope()), svc), carrierOf(t, d, "pricing"))
		stream := openBidi(d.ChainContext(callContext(t), []string{"gateway"}, "pricing", unaryMethod), t, asPricing)
		renewal, err := carrierOf(t, d, "pricing").Renewal(d.ChainContext(callContext(t), []string{"gateway"}, "pricing", unaryMethod), stream)
		if err != nil {
			t.Fatal(err)
		}
		if _, chain, err := renewalOf(t, d, renewal, "pricing", bidiStreaming); err != nil || chain.Len() != 2 {
			t.Errorf("%d links: %v", chain.Len(), err)
		}
	})
	t.Run("without a chain", func(t *testing.T) {
		stream := openBidi(d.Context(callContext(t)), t, client)
		renewal, err := carrier(t, d, interceptors.WithChainMode(bidiStreaming, callchain.ModeOff)).Renewal(d.Context(t.Context()), stream)
		if err != nil || renewal.GetTxnToken() == "" || renewal.GetTxnChain() != "" {
			t.Errorf("a chain of %d bytes: %v", len(renewal.GetTxnChain()), err)
		}
	})
}

// Covers STR-02, PROP-09, STR-06.
func TestARenewalIsRefusedAsACallWouldBe(t *testing.T) {
	d := trattest.New(t, domainName)
	partner := trattest.New(t, "partner.test")
	_, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	s := newSinks()
	c := carrier(t, d, interceptors.WithLogger(s.logger))
	client := dialCarrier(t, d, addr, c)
	open := func(t *testing.T) grpc.ClientStream { return openBidi(d.Context(callContext(t)), t, client) }
	for name, tc := range map[string]struct {
		stream func(*testing.T) grpc.ClientStream
		ctx    func() context.Context
		want   trat.Reason
	}{
		"no token":             {open, t.Context, trat.ReasonTxnTokenMissing},
		"another trust domain": {open, func() context.Context { return partner.Context(t.Context()) }, trat.ReasonEgressBlocked},
		"expired": {open, func() context.Context {
			ctx := d.Context(t.Context(), trattest.Lifetime(time.Second))
			d.Advance(2 * time.Second)
			return ctx
		}, trat.ReasonTxnTokenExpired},
		"too many links": {open, func() context.Context {
			return d.ChainContext(t.Context(), []string{"a", "b", "c", "d", "e", "f"}, "gateway", unaryMethod)
		}, trat.ReasonChainTooDeep},
		"not renewable": {func(t *testing.T) grpc.ClientStream {
			stream, err := client.FullDuplexCall(d.Context(callContext(t)))
			if err != nil {
				t.Fatal(err)
			}
			return stream
		}, func() context.Context { return d.Context(t.Context()) }, trat.ReasonInternal},
		"not connected": {func(t *testing.T) grpc.ClientStream {
			stream, err := c.Stream(d.Context(t.Context()), streamsBoth, nil, bidiStreaming, new(loose).open, interceptors.Renewable())
			if err != nil {
				t.Fatal(err)
			}
			return stream
		}, func() context.Context { return d.Context(t.Context()) }, trat.ReasonEgressBlocked},
	} {
		t.Run(name, func(t *testing.T) {
			renewal, err := c.Renewal(tc.ctx(), tc.stream(t))
			if renewal != nil {
				t.Error("a renewal all the same")
			}
			if got, _ := interceptors.ReasonFrom(err); got != tc.want {
				t.Errorf("reason %s, want %s: %v", got, tc.want, err)
			}
		})
	}
	if log := s.log.String(); strings.Contains(log, "eyJ") || !strings.Contains(log, "CHAIN_TOO_DEEP") {
		t.Errorf("the log:\n%s", log)
	}
}

// loose is a stream without a connection.
type loose struct{ outgoing }

func (l *loose) Context() context.Context { return l.ctx }

func (l *loose) open(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	l.ctx = ctx
	return l, nil
}

// A server whose certificate has run out gets no renewal, on a connection that is older.
//
// Covers STR-02.
func TestARenewalIsNotForAnExpiredServer(t *testing.T) {
	d := trattest.New(t, domainName)
	_, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	c := carrier(t, d)
	stream := openBidi(d.Context(callContext(t)), t, dialCarrier(t, d, addr, c))
	d.Advance(25 * time.Hour)
	_, err := c.Renewal(d.Context(t.Context()), stream)
	if got, _ := interceptors.ReasonFrom(err); got != trat.ReasonPeerSVIDExpired {
		t.Errorf("reason %s: %v", got, err)
	}
}

// A renewed stream stays open beyond the TraT that it was opened with.
//
// Covers STR-02.
func TestARenewableStreamHasTheCallersDeadline(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{handle: func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); ok {
			return status.Error(codes.FailedPrecondition, "a deadline")
		}
		md, _ := metadata.FromIncomingContext(ctx)
		if len(md.Get("txn-token")) != 1 {
			return status.Error(codes.FailedPrecondition, "no token")
		}
		return nil
	}}
	_, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), svc)
	stream := openBidi(d.Context(t.Context()), t, dialCarrier(t, d, addr, carrier(t, d)))
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != io.EOF { //nolint:errorlint // as gRPC returns it
		t.Error(err)
	}
}

// A caller that gives up while its link waits to be signed is told that, and of no fault.
//
// Covers STR-02.
func TestARenewalThatIsGivenUpIsNoFault(t *testing.T) {
	d := trattest.New(t, domainName)
	_, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	stream := openBidi(d.Context(callContext(t)), t, dialCarrier(t, d, addr, carrier(t, d)))
	s := newSinks()
	ctx, cancel := context.WithCancel(d.Context(t.Context()))
	defer cancel()
	slow := signerFunc(func(ctx context.Context, _ callchain.Draft) (*callchain.Signed, error) {
		cancel()
		return nil, &trat.Error{Reason: trat.ReasonDependencyUnavailable, Err: ctx.Err()}
	})
	c := carrier(t, d, interceptors.WithLogger(s.logger), interceptors.WithLinkSigner(slow))
	if _, err := c.Renewal(ctx, stream); status.Code(err) != codes.Canceled {
		t.Errorf("%v", err)
	}
	if log := s.log.String(); log != "" {
		t.Errorf("logged: %s", log)
	}
}

// A program that renews what it has not opened for that is told so: its author by the cause
// and the log, and nobody else.
//
// Covers STR-02, ERR-15.
func TestARenewalOfAnotherStreamSaysWhatIsWrong(t *testing.T) {
	d := trattest.New(t, domainName)
	_, addr := serveRecorded(t, d.ServerCredentials("orders", d.Members()), &backend{})
	for name, tc := range map[string]struct {
		dial  func(*interceptors.Client) testpb.TestServiceClient
		cause string
		names string // what the log says of the method
	}{
		"without Renewable": {
			func(c *interceptors.Client) testpb.TestServiceClient { return dialCarrier(t, d, addr, c) },
			"the stream was opened without the call option Renewable", `"rpc.method":"grpc.testing.TestService/FullDuplexCall"`,
		},
		"without a carrier": {
			func(*interceptors.Client) testpb.TestServiceClient {
				return dial(t, addr, d.ClientCredentials("gateway", d.Members()))
			},
			"the stream was not opened through a carrier", `"rpc.method":""`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSinks()
			c := carrier(t, d, interceptors.WithLogger(s.logger))
			stream, err := tc.dial(c).FullDuplexCall(d.Context(callContext(t)))
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Renewal(d.Context(t.Context()), stream)
			if code := status.Code(err); code != codes.Internal {
				t.Errorf("code %s", code)
			}
			var failure *trat.Error
			if !errors.As(err, &failure) || !strings.Contains(failure.Error(), tc.cause) {
				t.Errorf("the cause is %v", failure)
			}
			if !errors.Is(err, trat.ReasonInternal) || strings.Contains(err.Error(), tc.cause) {
				t.Errorf("the error is %v", err)
			}
			for _, passedOn := range []error{err, fmt.Errorf("renewing: %w", err)} {
				if text := status.Convert(passedOn).Proto().String(); strings.Contains(text, tc.cause) {
					t.Errorf("a peer is told: %s", text)
				}
			}
			if log := s.log.String(); !strings.Contains(log, tc.cause) || !strings.Contains(log, tc.names) {
				t.Errorf("the log:\n%s", log)
			}
		})
	}
}
