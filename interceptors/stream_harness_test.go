package interceptors_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

const streamLifetime = 2 * time.Minute // of the tokens that tests of streams open them with

// alarms are the alarms of a guard's streams. They run by a Domain's clock, when a test
// advances it.
type alarms struct {
	domain *trattest.Domain
	mu     sync.Mutex
	set    map[*testAlarm]time.Time // those that are set, and for when
	// stopped has a value for each time that one was stopped, as far as there is room.
	stopped chan struct{}
}

type testAlarm struct {
	of *alarms
	f  func()
}

func newAlarms(d *trattest.Domain) *alarms {
	return &alarms{domain: d, set: make(map[*testAlarm]time.Time), stopped: make(chan struct{}, 16)}
}

func (a *alarms) option() interceptors.ServerOption {
	return interceptors.WithAlarms(func(d time.Duration, f func()) interceptors.Alarm {
		alarm := &testAlarm{of: a, f: f}
		alarm.Reset(d)
		return alarm
	})
}

// Reset implements interceptors.Alarm.
func (t *testAlarm) Reset(d time.Duration) bool {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	_, was := t.of.set[t]
	t.of.set[t] = t.of.domain.Now().Add(d)
	return was
}

// Stop implements interceptors.Alarm.
func (t *testAlarm) Stop() bool {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	_, was := t.of.set[t]
	delete(t.of.set, t)
	select {
	case t.of.stopped <- struct{}{}:
	default:
	}
	return was
}

// advance lets time pass, and everything happen that is due by then.
func (a *alarms) advance(by time.Duration) {
	a.domain.Advance(by)
	for alarm := a.next(); alarm != nil; alarm = a.next() {
		alarm.f()
	}
}

// early runs every alarm that is set, before its time.
func (a *alarms) early() {
	a.mu.Lock()
	set := slices.Collect(maps.Keys(a.set))
	a.mu.Unlock()
	for _, alarm := range set {
		alarm.f()
	}
}

func (a *alarms) next() *testAlarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	for alarm, at := range a.set {
		if !at.After(a.domain.Now()) {
			delete(a.set, alarm)
			return alarm
		}
	}
	return nil
}

func (a *alarms) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.set)
}

// streamer is a service of which every streaming method runs handle. A unary call fails if it
// is told that it is a stream.
type streamer struct {
	testpb.UnimplementedTestServiceServer
	handle func(grpc.ServerStream) error
}

func (s *streamer) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if _, ok := interceptors.StreamEnd(ctx); ok || interceptors.StreamDraining(ctx) != nil {
		return nil, status.Error(codes.FailedPrecondition, "a unary call has an end")
	}
	if _, err := interceptors.Reverify(ctx, "", ""); !errors.Is(err, trat.ReasonInternal) {
		return nil, status.Error(codes.FailedPrecondition, "a unary call was renewed")
	}
	return &testpb.SimpleResponse{}, nil
}

func (s *streamer) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	return s.handle(stream)
}

func (s *streamer) StreamingInputCall(stream grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	return s.handle(stream)
}

func (s *streamer) FullDuplexCall(stream grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	return s.handle(stream)
}

// streamTest is a guarded streamer and a connection to it.
type streamTest struct {
	*trattest.Domain
	alarms *alarms
	cc     *grpc.ClientConn
}

// newStreamTest guards all methods by rule.
func newStreamTest(tb testing.TB, rule interceptors.Rule, handle func(grpc.ServerStream) error, opts ...interceptors.ServerOption) *streamTest {
	tb.Helper()
	d := trattest.New(tb, domainName)
	s := &streamTest{Domain: d, alarms: newAlarms(d)}
	rules := interceptors.Rules{
		unaryMethod:     interceptors.Require(),
		wholeService:    interceptors.Require(),
		serverStreaming: rule, clientStreaming: rule, bidiStreaming: rule,
	}
	g := guard(tb, d, rules, append(opts, s.alarms.option())...)
	s.cc = connectAs(tb, d, "gateway", serveGuarded(tb, d, g, &streamer{handle: handle}))
	return s
}

// open opens a stream with a token that has opts. The server does not get to know the deadline
// of ctx, which runs by another clock than the stream's end.
func (s *streamTest) open(tb testing.TB, ctx context.Context, method string, opts ...trattest.TokenOption) grpc.ClientStream {
	tb.Helper()
	limit := ctx
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(limit, cancel)
	desc := &grpc.StreamDesc{ServerStreams: method != clientStreaming, ClientStreams: method != serverStreaming}
	opts = append([]trattest.TokenOption{trattest.Lifetime(streamLifetime)}, opts...)
	stream, err := s.cc.NewStream(metadata.AppendToOutgoingContext(ctx, "txn-token", s.Raw(opts...)), desc, method)
	if err != nil {
		tb.Fatal(err)
	}
	if method == serverStreaming {
		if err := errors.Join(stream.SendMsg(&testpb.StreamingOutputCallRequest{}), stream.CloseSend()); err != nil {
			tb.Fatal(err)
		}
	}
	return stream
}

// result returns what a stream ends with, after whatever it sends before.
func result(stream grpc.ClientStream) error {
	for {
		if err := stream.RecvMsg(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

// echo sends back what it receives.
func echo(stream grpc.ServerStream) error {
	for {
		if err := stream.RecvMsg(&testpb.StreamingOutputCallRequest{}); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := stream.SendMsg(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

// roundTrip sends a message through echo and waits for it.
func roundTrip(tb testing.TB, stream grpc.ClientStream) {
	tb.Helper()
	if err := stream.SendMsg(&testpb.StreamingOutputCallRequest{}); err != nil {
		tb.Fatal(err)
	}
	if err := stream.RecvMsg(&testpb.StreamingOutputCallResponse{}); err != nil {
		tb.Fatal(err)
	}
}

// wantEnded checks that err is the status of a stream that the guard has ended.
func wantEnded(tb testing.TB, who string, err error) {
	tb.Helper()
	got := status.Convert(err).Proto()
	if diff := cmp.Diff(grpcerr.StreamEnded().Proto(), got, protocmp.Transform()); diff != "" {
		tb.Errorf("%s: (-want +got):\n%s", who, diff)
	}
}

// Functions in which grpc-go's transport has a handler wait.
const (
	waitsToReceive = "transport.(*recvBufferReader).readMessageHeader("
	waitsToSend    = "transport.(*writeQuota).get("
)

// waitFor returns when some goroutine is in function.
func waitFor(tb testing.TB, function string) {
	tb.Helper()
	buf := make([]byte, 1<<20)
	for until := time.Now().Add(callTimeout); time.Now().Before(until); runtime.Gosched() {
		if strings.Contains(string(buf[:runtime.Stack(buf, true)]), function) {
			return
		}
	}
	tb.Fatalf("nobody came into %s", function)
}
