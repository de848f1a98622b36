package interceptors_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// drainedStream is one whose client sends nothing any more.
type drainedStream struct{ idleStream }

func (drainedStream) RecvMsg(any) error { return io.EOF }

// The alarms of these tests run by real time, and never ring.
//
// Covers STR-03, STR-04.
func TestMessageEndsAStreamWhoseEndTheClockHasPassed(t *testing.T) {
	const leeway = trat.DefaultLeeway
	receive := func(s grpc.ServerStream) error { return s.RecvMsg(&testpb.StreamingInputCallRequest{}) }
	send := func(s grpc.ServerStream) error { return s.SendMsg(&testpb.StreamingOutputCallResponse{}) }
	for name, test := range map[string]struct {
		rule    interceptors.Rule
		message func(grpc.ServerStream) error
		after   time.Duration // it ends
		wrap    func(idleStream) grpc.ServerStream
	}{
		"received":              {rule: interceptors.Require(), message: receive, after: streamLifetime + leeway},
		"received at last":      {rule: interceptors.Require(), message: receive, after: streamLifetime + leeway, wrap: func(s idleStream) grpc.ServerStream { return drainedStream{s} }},
		"sent":                  {rule: interceptors.Require(), message: send, after: streamLifetime + leeway},
		"within a grace period": {rule: interceptors.Require().StreamGrace(time.Minute), message: send, after: streamLifetime + leeway + time.Minute},
		"of an age":             {rule: interceptors.Require().StreamOpenOnly().StreamMaxAge(time.Hour), message: receive, after: time.Hour},
		"of a great age":        {rule: interceptors.Require().StreamOpenOnly().StreamMaxAge(1<<63 - 1), message: send, after: 1<<63 - 1},
	} {
		t.Run(name, func(t *testing.T) {
			d, out := trattest.New(t, domainName), newSinks()
			g := ruledGuard(t, d, test.rule, interceptors.WithMeterProvider(out.meters))
			idle := idleStream{ctx: incoming(t, d, bidiStreaming, d.Raw(trattest.Lifetime(streamLifetime)))}
			var stream grpc.ServerStream = idle
			if test.wrap != nil {
				stream = test.wrap(idle)
			}
			err := g.Stream(nil, stream, &grpc.StreamServerInfo{FullMethod: bidiStreaming, IsClientStream: true}, func(_ any, stream grpc.ServerStream) error {
				d.Advance(test.after - time.Second)
				if err := test.message(stream); err != nil && !errors.Is(err, io.EOF) {
					t.Errorf("before the end: %v", err)
				}
				d.Advance(time.Second)
				wantEnded(t, "handler", test.message(stream))
				if cause := context.Cause(stream.Context()); !errors.Is(cause, trat.ReasonTxnTokenExpired) {
					t.Errorf("the cause of the handler's context is %v", cause)
				}
				return errors.New("of no account")
			})
			wantEnded(t, "peer", err)
			if diff := cmp.Diff([]string{"closed 1"}, out.actions(t)); diff != "" {
				t.Errorf("actions (-want +got):\n%s", diff)
			}
		})
	}
}

// A message that comes after the end is not judged: the peer is told to open another stream.
//
// Covers STR-04.
func TestMessageAfterTheEndIsNotJudged(t *testing.T) {
	d := trattest.New(t, domainName)
	rule := interceptors.Require().CheckMessage(func(context.Context, *trat.Token, any) error {
		t.Error("judged")
		return errors.New("never good")
	})
	idle := idleStream{ctx: incoming(t, d, bidiStreaming, d.Raw())}
	wantEnded(t, "peer", ruledGuard(t, d, rule).Stream(nil, idle, &grpc.StreamServerInfo{FullMethod: bidiStreaming, IsClientStream: true},
		func(_ any, stream grpc.ServerStream) error {
			d.Advance(time.Hour)
			return stream.RecvMsg(&testpb.StreamingInputCallRequest{})
		}))
}

// Covers STR-03, VER-21.
func TestMessageTellsTheHandlerThatTheEndIsNear(t *testing.T) {
	for mode, want := range map[interceptors.Enforcement]bool{interceptors.EnforceStrict: true, interceptors.EnforcePresence: false} {
		d, out := trattest.New(t, domainName), newSinks()
		var opts []interceptors.ServerOption
		if mode != interceptors.EnforceStrict {
			opts = append(opts, inMode(mode))
		}
		g := ruledGuard(t, d, interceptors.Require().StreamDrain(time.Minute), append(opts, interceptors.WithMeterProvider(out.meters))...)
		idle := idleStream{ctx: incoming(t, d, bidiStreaming, d.Raw(trattest.Lifetime(streamLifetime)))}
		err := g.Stream(nil, idle, &grpc.StreamServerInfo{FullMethod: bidiStreaming, IsClientStream: true}, func(_ any, stream grpc.ServerStream) error {
			d.Advance(streamLifetime)
			if err := stream.SendMsg(&testpb.StreamingOutputCallResponse{}); err != nil {
				return err
			}
			select {
			case <-interceptors.StreamDraining(stream.Context()):
				if !want {
					t.Errorf("%s: told", mode)
				}
			default:
				if want {
					t.Errorf("%s: not told", mode)
				}
			}
			d.Advance(time.Hour)
			return stream.SendMsg(&testpb.StreamingOutputCallResponse{})
		})
		action := "kept 1"
		if want {
			action = "closed 1"
			wantEnded(t, "peer", err)
		} else if err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		if diff := cmp.Diff([]string{action}, out.actions(t)); diff != "" {
			t.Errorf("%s: actions (-want +got):\n%s", mode, diff)
		}
	}
}
