package interceptors_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// Covers SEC-07, SEC-08.
func TestTheSamePathInAnotherTrustDomainIsAnotherWorkload(t *testing.T) {
	d, foreign := trattest.New(t, domainName), trattest.New(t, "partner.test")
	for _, tc := range refusalCases(t, d, foreign) {
		if tc.name != "federated peer" {
			continue
		}
		tc.rules = interceptors.Rules{wholeService: interceptors.Require().FromCallers(spiffeid.MatchID(d.ID("gateway")))}
		tc.opts = append(tc.opts, interceptors.UnsafeAllowPeerTrustDomain(foreign.TrustDomain()))
		_, client := tc.start(t, d) // as spiffe://partner.test/gateway
		for _, k := range kinds() {
			wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), client), trat.ReasonPeerDenied)
		}
	}
}

// Covers VER-25.
func TestAHeaderListBeyondTheLimitDoesNotReachTheHandler(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{}
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, anyScope()), svc))
	for _, k := range kinds() {
		ctx := metadata.AppendToOutgoingContext(withToken(callContext(t), d.Raw()), "x-bomb", strings.Repeat("x", 1<<20))
		if err := k.call(ctx, client); err == nil {
			t.Errorf("%s: 1 MB of headers were served", k.name)
		}
	}
	if n := svc.ran.Load(); n != 0 {
		t.Errorf("%d handlers ran", n)
	}
	if err := callUnary(withToken(callContext(t), d.Raw()), client); err != nil {
		t.Errorf("a good call afterwards: %v", err)
	}
}

// Covers VER-01, PRIV-01.
func TestACheckThatPanicsEndsTheCallClosed(t *testing.T) {
	d := trattest.New(t, domainName)
	panics := func(_ context.Context, token *trat.Token, _ any) error {
		panic(fmt.Sprintf("%v %+v %#v", token, token, token))
	}
	g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require().Check(panics).CheckMessage(panics)})
	raw := d.Raw()
	recovered := recovery.WithRecoveryHandler(func(p any) error {
		if text := fmt.Sprint(p); strings.Contains(text, "eyJ") {
			t.Errorf("a panic shows the token: %.20s…", text)
		}
		return status.Error(codes.Internal, "panic")
	})
	opts := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(recovery.UnaryServerInterceptor(recovered)),
		grpc.ChainStreamInterceptor(recovery.StreamServerInterceptor(recovered)),
	}
	opts = append(append(opts, g.ServerOptions()...), grpc.Creds(d.ServerCredentials("orders", d.Members())))
	srv := grpc.NewServer(opts...)
	svc := &backend{}
	testpb.RegisterTestServiceServer(srv, svc)
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	client := dialRaw(t, d, serve(t, srv))
	for _, k := range kinds() {
		if err := k.call(withToken(callContext(t), raw), client); status.Code(err) != codes.Internal {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	if n := svc.received.Load(); n != 0 {
		t.Errorf("handlers received %d messages", n)
	}
}

// A stream whose message was refused stays refused, whatever its handler does then.
//
// Covers VER-01.
func TestARefusedMessageEndsTheStreamWhateverTheHandlerDoes(t *testing.T) {
	d := trattest.New(t, domainName)
	bad := &testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: []byte("bad")}}
	g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require(), bidiStreaming: interceptors.Require().CheckMessage(
		interceptors.CheckOf(func(_ context.Context, _ *trat.Token, req *testpb.StreamingOutputCallRequest) error {
			if string(req.GetPayload().GetBody()) == "bad" {
				return trat.Errorf(trat.ReasonTxnTokenMissing, "", "a word that is not for checks")
			}
			return nil
		}))})
	svc := &stubborn{t: t}
	client := dialRaw(t, d, serveGuarded(t, d, g, svc))
	stream, err := client.FullDuplexCall(withToken(callContext(t), d.Raw()))
	if err != nil {
		t.Fatal(err)
	}
	good := &testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: []byte("good")}}
	for _, m := range []*testpb.StreamingOutputCallRequest{{}, {}, bad, good} {
		// An io.EOF says that the stream has ended, and its status is to be had from Recv.
		if err := stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	answers := 0
	for {
		if _, err = stream.Recv(); err != nil {
			break
		}
		answers++
	}
	wantRefusal(t, err, trat.ReasonPolicyDenied)
	if answers != 2 {
		t.Errorf("%d answers, want 2: those before the refused message", answers)
	}
}

// stubborn is a service whose handler ignores every error.
type stubborn struct {
	testpb.UnimplementedTestServiceServer
	t *testing.T
}

func (s *stubborn) FullDuplexCall(stream grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	for range 6 {
		var m testpb.StreamingOutputCallRequest
		_ = stream.RecvMsg(&m)
		if m.GetPayload() != nil {
			s.t.Error("the handler saw a refused message, or one behind it")
		}
		_ = stream.Send(&testpb.StreamingOutputCallResponse{})
	}
	return nil
}

func TestAMethodWithoutARuleIsLoggedOnceAMinute(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	g := guard(t, d, interceptors.Rules{}, interceptors.WithLogger(s.logger))
	srv := grpc.NewServer(append(g.ServerOptions(), grpc.Creds(d.ServerCredentials("orders", d.Members())))...)
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	testpb.RegisterTestServiceServer(srv, &backend{}) // too late
	client := dialRaw(t, d, serve(t, srv))
	for range 5 {
		for _, k := range kinds() {
			wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), client), trat.ReasonPolicyDenied)
		}
	}
	if n := strings.Count(s.log.String(), "TraT guard has no rule for a called method"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// Calls that are denied for want of a coverage check look like an outage; one line a
// minute says what it is.
func TestAnUncheckedGuardSaysSoOnceAMinute(t *testing.T) {
	d := trattest.New(t, domainName)
	s := newSinks()
	g := guard(t, d, anyScope(), interceptors.WithLogger(s.logger))
	srv := grpc.NewServer(append(g.ServerOptions(), grpc.Creds(d.ServerCredentials("orders", d.Members())))...)
	testpb.RegisterTestServiceServer(srv, &backend{})
	client := dialRaw(t, d, serve(t, srv))
	for minute := 1; minute <= 2; minute++ {
		for _, k := range kinds() {
			wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), client), trat.ReasonCoverageUnchecked)
		}
		if n := strings.Count(s.log.String(), "TraT guard denies every call"); n != minute {
			t.Errorf("logged %d times in minute %d", n, minute)
		}
		d.Advance(time.Minute)
	}
}

// onlyContext is a stream of which nothing but the context is used.
type onlyContext struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has one
}

func (s onlyContext) Context() context.Context { return s.ctx }

// What kind a method is comes from grpc.ServiceInfo, how a call arrives from the
// transport. Where the two differ, a check that cannot run must not be passed over.
func TestACheckIsNotPassedOverInTheOtherShape(t *testing.T) {
	d := trattest.New(t, domainName)
	g := guard(t, d, interceptors.Rules{
		wholeService: interceptors.Require(), unaryMethod: interceptors.Require().Check(allow), bidiStreaming: interceptors.Require().CheckMessage(allow),
	}, interceptors.InstalledByHand())
	srv := grpc.NewServer()
	testpb.RegisterTestServiceServer(srv, &backend{})
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	ran := false
	asStream := func(method string) error {
		return g.Stream(nil, onlyContext{ctx: incoming(t, d, method, d.Raw())}, &grpc.StreamServerInfo{FullMethod: method},
			func(any, grpc.ServerStream) error { ran = true; return nil })
	}
	asUnary := func(method string) error {
		_, err := g.Unary(incoming(t, d, method, d.Raw()), nil, &grpc.UnaryServerInfo{FullMethod: method},
			func(context.Context, any) (any, error) { ran = true; return nil, nil })
		return err
	}
	wantRefusal(t, asStream(unaryMethod), trat.ReasonPolicyDenied)
	wantRefusal(t, asUnary(bidiStreaming), trat.ReasonPolicyDenied)
	if ran {
		t.Error("a handler ran")
	}
	if err := errors.Join(asUnary(unaryMethod), asStream(bidiStreaming)); err != nil || !ran {
		t.Errorf("in their own shapes: %v", err)
	}
}
