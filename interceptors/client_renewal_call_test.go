package interceptors_test

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// renewedByMessage is a handler of an application whose messages hold renewals, or nothing. It
// answers each with the transaction that it acts in.
func renewedByMessage(stream grpc.ServerStream) error {
	ctx := stream.Context()
	for {
		var request testpb.StreamingOutputCallRequest
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		var renewal tratv1.StreamRenewal
		if err := proto.Unmarshal(request.GetPayload().GetBody(), &renewal); err != nil {
			return err
		}
		if renewal.GetTxnToken() != "" {
			var err error
			if ctx, err = interceptors.Reverify(ctx, renewal.GetTxnToken(), renewal.GetTxnChain()); err != nil {
				return err
			}
		}
		token, _ := trat.FromContext(ctx)
		answer := &testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: []byte(token.TransactionID())}}
		if err := stream.SendMsg(answer); err != nil {
			return err
		}
	}
}

// A stream that its client renews goes on until the last TraT has expired. The links of all
// renewals are of the span that the stream was opened in.
//
// Covers STR-02, STR-05.
func TestAStreamThatIsRenewedGoesOn(t *testing.T) {
	s := newStreamTest(t, interceptors.Require().StrictTrace(), renewedByMessage)
	sinks := newSinks()
	c := carrier(t, s.Domain)
	client := dialCarrier(t, s.Domain, strings.TrimPrefix(s.cc.Target(), "passthrough:///"), c,
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(sinks.tracers), otelgrpc.WithPropagators(propagation.TraceContext{}))))
	type bidi = grpc.BidiStreamingClient[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]
	open := func() bidi {
		return openBidi(s.Context(callContext(t), trattest.Lifetime(streamLifetime)), t, client)
	}
	ask := func(stream bidi, renewal *tratv1.StreamRenewal) (string, error) {
		body, err := proto.Marshal(renewal)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: body}}); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		return string(answer.GetPayload().GetBody()), err
	}
	renew := func(stream grpc.ClientStream, opts ...trattest.TokenOption) (*tratv1.StreamRenewal, string) {
		token := s.Token(append(opts, trattest.Lifetime(streamLifetime))...)
		renewal, err := c.Renewal(trat.NewContext(t.Context(), token), stream)
		if err != nil {
			t.Fatal(err)
		}
		return renewal, token.TransactionID()
	}

	stream := open()
	if _, err := ask(stream, nil); err != nil { // the guard has let it in
		t.Fatal(err)
	}
	for range 4 {
		s.alarms.advance(streamLifetime - time.Second)
		renewal, want := renew(stream)
		for _, message := range []*tratv1.StreamRenewal{renewal, nil} {
			if got, err := ask(stream, message); err != nil || got != want {
				t.Fatalf("in %q, want %q: %v", got, want, err)
			}
		}
	}
	s.alarms.advance(streamLifetime + trat.DefaultLeeway)
	wantEnded(t, "not renewed any more", result(stream))

	stream = open()
	stolen, _ := renew(stream, trattest.Subject("user-2"))
	if _, err := ask(stream, stolen); err == nil {
		t.Error("a renewal for another subject")
	} else {
		wantRefusal(t, err, trat.ReasonPolicyDenied)
	}
}
