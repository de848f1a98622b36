package interceptors_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// outerStream is a stream as an interceptor outside the guard hands it on.
type outerStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has one
}

func (s outerStream) Context() context.Context { return s.ctx }

// An interceptor outside the guard may have ended its context, by a timeout of its own, of
// which a handler that waits for messages sees nothing. The end comes all the same.
//
// Covers STR-03.
func TestStreamEndsAlthoughAnOuterContextHasEndedBefore(t *testing.T) {
	d := trattest.New(t, domainName)
	s := &streamTest{Domain: d, alarms: newAlarms(d)}
	out := newSinks()
	g := guard(t, d, anyScope(), s.alarms.option(), interceptors.WithMeterProvider(out.meters))
	outer := func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, cancel := context.WithCancel(stream.Context())
		cancel()
		return handler(srv, outerStream{stream, ctx})
	}
	srv := grpc.NewServer(append([]grpc.ServerOption{grpc.ChainStreamInterceptor(outer), grpc.Creds(d.ServerCredentials("orders", d.Members()))},
		g.ServerOptions()...)...)
	testpb.RegisterTestServiceServer(srv, &streamer{handle: echo})
	if err := g.CheckCoverage(srv); err != nil {
		t.Fatal(err)
	}
	s.cc = connectAs(t, d, "gateway", serve(t, srv))
	stream := s.open(t, callContext(t), bidiStreaming)
	roundTrip(t, stream)
	s.alarms.advance(time.Hour)
	_ = stream.CloseSend()
	wantEnded(t, "peer", result(stream))
}

// Whatever ends a stream, its handler learns why, also where no token's expiry does.
//
// Covers STR-04, STR-05.
func TestHandlerOfARefusedStreamLearnsTheCauseUnderEveryRule(t *testing.T) {
	for name, rule := range map[string]interceptors.Rule{
		"open only":    interceptors.Require().StreamOpenOnly(),
		"close at exp": interceptors.Require().StreamCloseAtExp(),
	} {
		cause := make(chan error, 1)
		s := newStreamTest(t, rule, func(stream grpc.ServerStream) error {
			_, err := interceptors.Reverify(stream.Context(), "none", "")
			<-stream.Context().Done()
			cause <- context.Cause(stream.Context())
			return err
		})
		wantRefusal(t, result(s.open(t, callContext(t), bidiStreaming)), trat.ReasonTxnTokenMalformed)
		if err := <-cause; !errors.Is(err, trat.ReasonTxnTokenMalformed) {
			t.Errorf("%s: the cause of the handler's context is %v", name, err)
		}
	}
}

// A stream that was kept open beyond its end, and renewed, is held to its new end.
//
// Covers STR-03, VER-21.
func TestStreamThatWasKeptAndRenewedIsHeldToItsNewEnd(t *testing.T) {
	d := trattest.New(t, domainName)
	s := &streamTest{Domain: d, alarms: newAlarms(d)}
	results := make(chan renewed, 1)
	g := guard(t, d, anyScope(), inMode(interceptors.EnforcePresence), s.alarms.option())
	s.cc = connectAs(t, d, "gateway", serveGuarded(t, d, g, &streamer{handle: renewing(results)}))
	stream := s.open(t, callContext(t), bidiStreaming)
	roundTrip(t, stream)
	s.alarms.advance(time.Hour)
	token, link := s.renewal()
	if r := renew(t, stream, results, token, link); r.err != nil {
		t.Fatal(r.err)
	}
	answered(t, stream)
	if err := g.Tighten(bidiStreaming, interceptors.EnforceStrict); err != nil {
		t.Fatal(err)
	}
	s.alarms.advance(streamLifetime)
	roundTrip(t, stream)
	s.alarms.advance(s.Verifier().Leeway())
	_ = stream.CloseSend()
	wantEnded(t, "peer", result(stream))
}

// A stream that was opened in shadow mode without a token is that of the first one it gets.
//
// Covers STR-05, VER-21.
func TestStreamThatWasOpenedWithoutATokenKeepsTheSubjectOfItsFirst(t *testing.T) {
	for name, next := range map[string]trattest.TokenOption{
		"sub": trattest.Subject("user-2"), "scope": trattest.Scope("test more"),
	} {
		d := trattest.New(t, domainName)
		s := &streamTest{Domain: d, alarms: newAlarms(d)}
		results := make(chan renewed, 1)
		g := guard(t, d, anyScope(), inMode(interceptors.EnforceShadow), s.alarms.option())
		s.cc = connectAs(t, d, "gateway", serveGuarded(t, d, g, &streamer{handle: renewing(results)}))
		stream, err := testpb.NewTestServiceClient(s.cc).FullDuplexCall(callContext(t))
		if err != nil {
			t.Fatal(err)
		}
		token, link := s.renewal(trattest.Scope("test"))
		if r := renew(t, stream, results, token, link); r.err != nil {
			t.Fatal(r.err)
		}
		answered(t, stream)
		if err := g.Tighten(bidiStreaming, interceptors.EnforceStrict); err != nil {
			t.Fatal(err)
		}
		token, link = s.renewal(trattest.Scope("test"), next)
		var failure *trat.Error
		if r := renew(t, stream, results, token, link); !errors.As(r.err, &failure) || failure.Reason != trat.ReasonPolicyDenied || failure.Field != name {
			t.Errorf("%s: %v", name, r.err)
		}
		_ = stream.CloseSend()
		if err := result(stream); err == io.EOF { //nolint:errorlint // as gRPC returns it
			t.Errorf("%s: the stream was not ended", name)
		}
	}
}

// A context that outlives its handler renews nothing, and uses up no link.
//
// Covers STR-02.
func TestRenewalAfterTheHandlerHasReturnedIsNone(t *testing.T) {
	for name, rule := range map[string]interceptors.Rule{
		"open only":    interceptors.Require().StreamOpenOnly(),
		"close at exp": interceptors.Require().StreamCloseAtExp(),
	} {
		left := make(chan context.Context, 1)
		out := newSinks()
		s := newStreamTest(t, rule, func(stream grpc.ServerStream) error {
			left <- stream.Context()
			return nil
		}, interceptors.WithMeterProvider(out.meters))
		if err := result(s.open(t, callContext(t), bidiStreaming)); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		ctx := <-left
		token, link := s.renewal()
		if got, err := interceptors.Reverify(ctx, token, link); !errors.Is(err, trat.ReasonInternal) || got != ctx {
			t.Errorf("%s: %v", name, err)
		}
		if n := s.alarms.len(); n != 0 {
			t.Errorf("%s: %d alarms", name, n)
		}
		if got := out.actions(t); len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A renewal at the very instant at which its token expires is one with an expired token.
//
// Covers STR-05.
func TestRenewalAtTheExpiryOfItsTokenIsTooLate(t *testing.T) {
	results := make(chan renewed, 1)
	s := newStreamTest(t, interceptors.Require(), renewing(results))
	stream := s.open(t, callContext(t), bidiStreaming)
	token, link := s.renewal(trattest.Age(time.Minute), trattest.Lifetime(time.Minute))
	if r := renew(t, stream, results, token, link); !errors.Is(r.err, trat.ReasonTxnTokenExpired) {
		t.Error(r.err)
	}
}

// Renewals do not move the greatest age, and a stream that has passed it is reported once.
//
// Covers STR-03, VER-21.
func TestStreamThatWasKeptBeyondItsAgeIsReportedOnce(t *testing.T) {
	out, results := newSinks(), make(chan renewed, 1)
	s := newStreamTest(t, interceptors.Require().StreamMaxAge(time.Minute), renewing(results),
		inMode(interceptors.EnforcePresence), interceptors.WithMeterProvider(out.meters))
	stream := s.open(t, callContext(t), bidiStreaming)
	roundTrip(t, stream)
	s.alarms.advance(time.Minute)
	for range 3 {
		token, link := s.renewal()
		if r := renew(t, stream, results, token, link); r.err != nil {
			t.Fatal(r.err)
		}
		answered(t, stream)
		s.alarms.advance(time.Second)
	}
	if diff := cmp.Diff([]string{"kept 1", "renewed 3"}, out.actions(t)); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
}

// A stream that ends shortly before its end, of which its handler was not told, has not been
// drained.
//
// Covers STR-04.
func TestStreamIsDrainedOnlyIfItsHandlerWasTold(t *testing.T) {
	out := newSinks()
	s := newStreamTest(t, interceptors.Require().StreamDrain(time.Minute), echo,
		inMode(interceptors.EnforcePresence), interceptors.WithMeterProvider(out.meters))
	stream := s.open(t, callContext(t), bidiStreaming)
	roundTrip(t, stream)
	s.alarms.advance(streamLifetime - time.Second)
	if err := errors.Join(stream.CloseSend(), result(stream)); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	<-s.alarms.stopped
	if got := out.actions(t); len(got) != 0 {
		t.Errorf("actions %q", got)
	}
}

// A stream that may outlive its token is no way to keep a call for later: what its client has
// to send must have come while the token was good.
//
// Covers STR-03, VER-21.
func TestRequestOfAnOpenStreamMustNotComeAfterItsTokenExpired(t *testing.T) {
	rule := interceptors.Require()
	for name, test := range map[string]struct {
		rule interceptors.Rule
		mode interceptors.Enforcement
		age  time.Duration // when the request comes
		late bool
	}{
		"open only":                 {rule, interceptors.EnforceStrict, streamLifetime + 5*time.Second, true},
		"open only, in time":        {rule, interceptors.EnforceStrict, streamLifetime + 4*time.Second, false},
		"open only, not strict":     {rule, interceptors.EnforcePresence, time.Hour, false},
		"grace":                     {rule.StreamGrace(time.Minute), interceptors.EnforceStrict, streamLifetime + 30*time.Second, true},
		"open only, with messages'": {rule.CheckMessage(func(context.Context, *trat.Token, any) error { return nil }), interceptors.EnforceStrict, time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			var ran atomic.Bool
			d := trattest.New(t, domainName)
			s := &streamTest{Domain: d, alarms: newAlarms(d)}
			out := newSinks()
			g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require(), serverStreaming: test.rule},
				inMode(test.mode), s.alarms.option(), interceptors.WithMeterProvider(out.meters))
			admitted := make(chan struct{})
			inside := func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				close(admitted)
				return handler(srv, stream)
			}
			s.cc = connectAs(t, d, "gateway", serveGuarded(t, d, g, &streamer{handle: func(grpc.ServerStream) error {
				ran.Store(true)
				return nil
			}}, grpc.ChainStreamInterceptor(inside)))
			ctx := withToken(callContext(t), d.Raw(trattest.Lifetime(streamLifetime)))
			stream, err := s.cc.NewStream(ctx, streamsOut, serverStreaming)
			if err != nil {
				t.Fatal(err)
			}
			<-admitted
			s.alarms.advance(test.age)
			if err := errors.Join(stream.SendMsg(&testpb.StreamingOutputCallRequest{}), stream.CloseSend()); err != nil {
				t.Fatal(err)
			}
			err = result(stream)
			if test.late {
				wantRefusal(t, err, trat.ReasonTxnTokenExpired)
			} else if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			if ran.Load() == test.late {
				t.Errorf("the handler ran: %t", ran.Load())
			}
			if told := len(out.reasons(t)) == 1; told != (test.late || test.mode != interceptors.EnforceStrict) {
				t.Errorf("reported: %q", out.reasons(t))
			}
		})
	}
}

// A stream that was kept open beyond its end goes on until its method is strict, and no
// message further.
//
// Covers STR-03, VER-21.
func TestStreamThatWasKeptEndsWithTheNextMessageWhenTheMethodIsTightened(t *testing.T) {
	for _, method := range []string{bidiStreaming, serverStreaming} {
		next := make(chan struct{})
		out := newSinks()
		d := trattest.New(t, domainName)
		s := &streamTest{Domain: d, alarms: newAlarms(d)}
		g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require().StreamCloseAtExp()},
			inMode(interceptors.EnforcePresence), s.alarms.option(), interceptors.WithMeterProvider(out.meters))
		s.cc = connectAs(t, d, "gateway", serveGuarded(t, d, g, &streamer{handle: func(stream grpc.ServerStream) error {
			if method == bidiStreaming {
				return echo(stream)
			}
			for range next {
				if err := stream.SendMsg(&testpb.StreamingOutputCallResponse{}); err != nil {
					return err
				}
			}
			return nil
		}}))
		stream := s.open(t, callContext(t), method)
		message := func() error {
			if method == serverStreaming {
				next <- struct{}{}
			} else if err := stream.SendMsg(&testpb.StreamingOutputCallRequest{}); err != nil {
				return err
			}
			return stream.RecvMsg(&testpb.StreamingOutputCallResponse{})
		}
		if err := message(); err != nil {
			t.Fatal(err)
		}
		s.alarms.advance(time.Hour)
		if err := errors.Join(message(), message()); err != nil {
			t.Fatal(err)
		}
		if err := g.Tighten(method, interceptors.EnforceStrict); err != nil {
			t.Fatal(err)
		}
		wantEnded(t, method, message())
		if diff := cmp.Diff([]string{"closed 1", "kept 1"}, out.actions(t)); diff != "" {
			t.Errorf("%s: actions (-want +got):\n%s", method, diff)
		}
		close(next)
	}
}
