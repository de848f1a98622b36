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
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// What a handler does when its stream comes to its end. Each says what it was told then, by
// the stream if it was asked.
var occupations = map[string]struct {
	methods []string
	within  string // where it waits; "" for a place outside the transport
	busy    func(stream grpc.ServerStream, ready func(), answered <-chan struct{}) error
}{
	"receives": {
		[]string{clientStreaming, bidiStreaming},
		waitsToReceive,
		func(stream grpc.ServerStream, ready func(), _ <-chan struct{}) error {
			ready()
			return stream.RecvMsg(&testpb.StreamingInputCallRequest{})
		},
	},
	"sends": {
		[]string{serverStreaming, bidiStreaming},
		waitsToSend,
		func(stream grpc.ServerStream, ready func(), _ <-chan struct{}) error {
			ready()
			for { // until more is on the way than the client will take
				m := &testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, 1<<18)}}
				if err := stream.SendMsg(m); err != nil {
					return err
				}
			}
		},
	},
	"waits for its context": {
		[]string{serverStreaming, clientStreaming, bidiStreaming},
		"",
		func(stream grpc.ServerStream, ready func(), _ <-chan struct{}) error {
			ready()
			<-stream.Context().Done()
			return stream.SendMsg(&testpb.StreamingOutputCallResponse{})
		},
	},
	"looks at nothing": {
		[]string{serverStreaming, clientStreaming, bidiStreaming},
		"",
		func(stream grpc.ServerStream, ready func(), answered <-chan struct{}) error {
			ready()
			<-answered // for which the peer does not have to wait
			return stream.RecvMsg(&testpb.StreamingInputCallRequest{})
		},
	},
}

// Covers STR-03, STR-04.
func TestStreamEndsAtTheExpiryOfItsTokenWhateverItsHandlerDoes(t *testing.T) {
	for doing, o := range occupations {
		for _, method := range o.methods {
			t.Run(doing+" "+strings.TrimPrefix(method, service), func(t *testing.T) {
				ready, answered := make(chan struct{}), make(chan struct{})
				told, cause := make(chan error, 1), make(chan error, 1)
				s := newStreamTest(t, interceptors.Require().StreamCloseAtExp(), func(stream grpc.ServerStream) error {
					told <- o.busy(stream, func() { close(ready) }, answered)
					cause <- context.Cause(stream.Context())
					return errors.New("of no account")
				})
				stream := s.open(t, callContext(t), method)
				<-ready
				if o.within != "" {
					waitFor(t, o.within)
				}
				s.alarms.advance(streamLifetime + s.Verifier().Leeway() - time.Second)
				if len(told) > 0 {
					t.Fatal("the stream has ended before its time")
				}
				s.alarms.advance(time.Second)
				wantEnded(t, "peer", result(stream))
				close(answered)
				wantEnded(t, "handler", <-told)
				if err := <-cause; !errors.Is(err, trat.ReasonTxnTokenExpired) {
					t.Errorf("the cause of the handler's context is %v", err)
				}
			})
		}
	}
}

// Covers STR-01, STR-03.
func TestStreamGoesOnAfterItsTokenWhereTheRuleSaysSo(t *testing.T) {
	rule := interceptors.Require()
	for name, test := range map[string]struct {
		rule interceptors.Rule
		age  time.Duration // after which it is open still
		ends bool          // it ends a second later
	}{
		"open only":              {rule.StreamOpenOnly(), 24 * time.Hour, false},
		"open only, to an age":   {rule.StreamOpenOnly().StreamMaxAge(time.Hour), time.Hour - time.Second, true},
		"grace":                  {rule.StreamGrace(time.Minute), streamLifetime + 64*time.Second, true},
		"grace, or a lesser age": {rule.StreamGrace(time.Minute).StreamMaxAge(150 * time.Second), 149 * time.Second, true},
		"an age before exp":      {rule.StreamCloseAtExp().StreamMaxAge(time.Minute), 59 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreamTest(t, test.rule, echo)
			stream := s.open(t, callContext(t), bidiStreaming)
			roundTrip(t, stream)
			s.alarms.advance(test.age)
			roundTrip(t, stream)
			s.alarms.advance(time.Second)
			if test.ends {
				wantEnded(t, "peer", result(stream))
				return
			}
			roundTrip(t, stream)
			if err := errors.Join(stream.CloseSend(), result(stream)); !errors.Is(err, io.EOF) {
				t.Errorf("the stream ended with %v", err)
			}
		})
	}
}

func TestStreamEndTellsHandlersWhenTheirStreamEnds(t *testing.T) {
	type answer struct {
		end      time.Duration // after the stream was opened; 0: none
		draining bool
	}
	rule := interceptors.Require()
	for name, test := range map[string]struct {
		rule interceptors.Rule
		want answer
	}{
		"open only":               {rule.StreamOpenOnly(), answer{}},
		"close at exp":            {rule.StreamCloseAtExp(), answer{end: streamLifetime + 5*time.Second}},
		"close at exp with drain": {rule.StreamCloseAtExp().StreamDrain(time.Second), answer{streamLifetime + 5*time.Second, true}},
		"max age":                 {rule.StreamOpenOnly().StreamMaxAge(time.Hour), answer{end: time.Hour}},
		"drain of nothing":        {rule.StreamOpenOnly().StreamDrain(time.Second), answer{}},
		"exempt":                  {interceptors.Exempt("a test"), answer{}},
	} {
		for _, method := range []string{serverStreaming, clientStreaming, bidiStreaming} {
			got := make(chan error, 1)
			var s *streamTest
			s = newStreamTest(t, test.rule, func(stream grpc.ServerStream) error {
				end, ok := interceptors.StreamEnd(stream.Context())
				a := answer{draining: interceptors.StreamDraining(stream.Context()) != nil}
				if ok {
					a.end = end.Sub(s.Now())
				}
				if a != test.want {
					got <- fmt.Errorf("%+v, want %+v", a, test.want)
				}
				close(got)
				return nil
			})
			_ = result(s.open(t, callContext(t), method))
			if err := <-got; err != nil {
				t.Errorf("%s: %s: %v", name, method, err)
			}
		}
	}
	unary := newStreamTest(t, rule, echo)
	ctx := withToken(callContext(t), unary.Raw(trattest.Lifetime(streamLifetime)))
	if err := callUnary(ctx, testpb.NewTestServiceClient(unary.cc)); err != nil || unary.alarms.len() != 0 {
		t.Errorf("unary: %v, %d alarms", err, unary.alarms.len())
	}
	if _, ok := interceptors.StreamEnd(t.Context()); ok || interceptors.StreamDraining(t.Context()) != nil {
		t.Error("there is an end where there is no stream")
	}
}

// Covers STR-04.
func TestHandlerIsToldBeforeTheEndAndMayEndTheStreamItself(t *testing.T) {
	ready := make(chan struct{})
	s := newStreamTest(t, interceptors.Require().StreamCloseAtExp().StreamDrain(10*time.Second), func(stream grpc.ServerStream) error {
		draining := interceptors.StreamDraining(stream.Context())
		close(ready)
		<-draining
		return stream.SendMsg(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: []byte("goodbye")}})
	})
	stream := s.open(t, callContext(t), bidiStreaming)
	<-ready
	s.alarms.advance(streamLifetime + s.Verifier().Leeway() - 11*time.Second)
	if s.alarms.len() != 1 {
		t.Fatal("nothing is to come")
	}
	s.alarms.advance(time.Second)
	var last testpb.StreamingOutputCallResponse
	if err := stream.RecvMsg(&last); err != nil || string(last.GetPayload().GetBody()) != "goodbye" {
		t.Fatalf("%v, %v", &last, err)
	}
	if err := result(stream); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestHandlerThatDoesNotDrainIsEnded(t *testing.T) {
	s := newStreamTest(t, interceptors.Require().StreamCloseAtExp().StreamDrain(time.Hour), echo)
	stream := s.open(t, callContext(t), bidiStreaming)
	roundTrip(t, stream)
	s.alarms.advance(streamLifetime + s.Verifier().Leeway())
	wantEnded(t, "peer", result(stream))
}

// An alarm that goes off early, for the clock was set back meanwhile, ends nothing.
func TestStreamEndIsByTheClockAndNotByTheAlarm(t *testing.T) {
	s := newStreamTest(t, interceptors.Require().StreamCloseAtExp(), echo)
	stream := s.open(t, callContext(t), bidiStreaming)
	roundTrip(t, stream)
	s.alarms.early()
	roundTrip(t, stream)
	s.alarms.advance(streamLifetime + s.Verifier().Leeway())
	wantEnded(t, "peer", result(stream))
}

// Covers STR-01.
func TestStreamsLeaveNoAlarmBehind(t *testing.T) {
	for name, leave := range map[string]func(grpc.ClientStream, context.CancelFunc) error{
		"finished by the client": func(stream grpc.ClientStream, _ context.CancelFunc) error {
			return errors.Join(stream.CloseSend(), result(stream))
		},
		"given up by the client": func(stream grpc.ClientStream, cancel context.CancelFunc) error {
			cancel()
			return result(stream)
		},
	} {
		s := newStreamTest(t, interceptors.Require().StreamCloseAtExp(), echo)
		ctx, cancel := context.WithCancel(callContext(t))
		stream := s.open(t, ctx, bidiStreaming)
		roundTrip(t, stream)
		if n := s.alarms.len(); n != 1 {
			t.Errorf("%s: %d alarms for one stream", name, n)
		}
		_ = leave(stream, cancel)
		cancel()
		<-s.alarms.stopped
		if n := s.alarms.len(); n != 0 {
			t.Errorf("%s: %d alarms are left", name, n)
		}
		s.alarms.advance(time.Hour)
	}
}
