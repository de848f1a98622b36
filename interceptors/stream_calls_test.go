package interceptors_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// A stream that stays open makes no calls with a token that has expired. With a new one it
// does again.
//
// Covers STR-06, STR-02.
func TestCallsOutOfAStreamNeedATokenThatIsGood(t *testing.T) {
	d := trattest.New(t, domainName)
	svc := &backend{}
	stock := guardOf(t, d, "stock", anyScope())
	onward := dialCarrierAs(t, d, "orders", serveAs(t, d, "stock", stock, svc), carrierOf(t, d, "orders"))
	results, calls := make(chan renewed, 1), make(chan error, 4)
	handle := renewing(results)
	steps := make(chan context.Context)
	s := &streamTest{Domain: d, alarms: newAlarms(d)}
	g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require(), bidiStreaming: interceptors.Require().StreamOpenOnly()}, s.alarms.option())
	s.cc = connectAs(t, d, "gateway", serveGuarded(t, d, g, &streamer{handle: func(stream grpc.ServerStream) error {
		go func() {
			for ctx := range steps {
				if ctx == nil {
					ctx = stream.Context()
				}
				for _, k := range kinds() {
					calls <- k.call(ctx, onward)
				}
			}
		}()
		return handle(stream)
	}}))
	stream := s.open(t, callContext(t), bidiStreaming)
	roundTrip(t, stream)
	each := func(check func(error)) {
		for range kinds() {
			check(<-calls)
		}
	}
	good := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	steps <- nil
	each(good)
	ran := svc.ran.Load()
	s.alarms.advance(streamLifetime + time.Second)
	roundTrip(t, stream)
	steps <- nil
	each(func(err error) { wantRefusal(t, err, trat.ReasonTxnTokenExpired) })
	if n := svc.ran.Load(); n != ran {
		t.Errorf("%d calls went out with an expired token", n-ran)
	}
	token, link := s.renewal()
	r := renew(t, stream, results, token, link)
	if r.err != nil {
		t.Fatal(r.err)
	}
	answered(t, stream)
	steps <- r.ctx
	each(good)
	close(steps)
	if err := errors.Join(stream.CloseSend(), result(stream)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// foreignStream is a stream of a transport that is not grpc-go's.
type foreignStream struct {
	grpc.ServerStream
	ctx     context.Context //nolint:containedctx // a stream has one
	waiting chan struct{}   // closed when somebody receives
	arrive  chan struct{}   // closed for a message to arrive
}

func (s *foreignStream) Context() context.Context { return s.ctx }

func (s *foreignStream) RecvMsg(m any) error {
	close(s.waiting)
	<-s.arrive
	m.(*testpb.StreamingOutputCallRequest).ResponseType = 7 //nolint:forcetypeassert // the test's own
	return nil
}

// Covers STR-03, STR-04.
func TestStreamOfAnotherTransportEndsForItsHandler(t *testing.T) {
	d := trattest.New(t, domainName)
	alarms := newAlarms(d)
	g := openGuard(t, d, alarms.option())
	stream := &foreignStream{
		ctx:     incoming(t, d, bidiStreaming, d.Raw()),
		waiting: make(chan struct{}), arrive: make(chan struct{}),
	}
	done := make(chan error)
	var message testpb.StreamingOutputCallRequest
	go func() {
		done <- g.Stream(nil, stream, &grpc.StreamServerInfo{FullMethod: bidiStreaming}, func(_ any, inner grpc.ServerStream) error {
			received := inner.RecvMsg(&message)
			wantEnded(t, "receiving", received)
			wantEnded(t, "receiving again", inner.RecvMsg(&message))
			wantEnded(t, "sending", inner.SendMsg(&testpb.StreamingOutputCallResponse{}))
			if _, err := interceptors.Reverify(inner.Context(), d.Raw(), ""); !errors.Is(err, trat.ReasonTxnTokenExpired) {
				t.Errorf("a renewal after the end: %v", err)
			}
			if cause := context.Cause(inner.Context()); !errors.Is(cause, trat.ReasonTxnTokenExpired) {
				t.Errorf("the cause of the handler's context is %v", cause)
			}
			return nil
		})
	}()
	<-stream.waiting
	alarms.advance(time.Hour)
	close(stream.arrive)
	wantEnded(t, "what the guard returns", <-done)
	if message.GetResponseType() == 7 {
		t.Error("the handler has seen a message after the end")
	}
}
