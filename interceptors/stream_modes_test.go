package interceptors_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// actions returns what became of streams, by the metric.
func (s *sinks) actions(t *testing.T) []string {
	t.Helper()
	points := s.points(t, "txn_token.stream.expirations")
	for i, point := range points {
		points[i] = strings.TrimPrefix(point, "txn_token.stream.action=")
	}
	return points
}

// reasons returns how often streams of FullDuplexCall were refused or would have been, and
// for what.
func (s *sinks) reasons(t *testing.T) []string {
	t.Helper()
	points := s.points(t, "txn_token.server.verifications")
	return slices.DeleteFunc(points, func(p string) bool { return !strings.Contains(p, "error.type") })
}

// Covers STR-03, STR-05, VER-21.
func TestStreamsThatAreNotStrictAreReportedOnceAndGoOn(t *testing.T) {
	for _, mode := range modes()[1:] {
		for name, test := range map[string]struct {
			renewal func(*streamTest) (token, link string) // nil: none
			want    trat.Reason
			actions []string
		}{
			"outlives its token": {nil, trat.ReasonTxnTokenExpired, []string{"kept 1"}},
			"renewed by another subject, and outlives its token": {func(s *streamTest) (string, string) {
				return s.renewal(trattest.Subject("user-2"))
			}, trat.ReasonPolicyDenied, []string{"kept 1"}},
			"renewed without a link, and outlives its token": {func(s *streamTest) (string, string) {
				token, _ := s.renewal()
				return token, ""
			}, trat.ReasonChainMissing, []string{"kept 1", "renewed 1"}},
		} {
			t.Run(mode.String()+" "+name, func(t *testing.T) {
				out, results := newSinks(), make(chan renewed, 1)
				s := newStreamTest(t, interceptors.Require().StreamDrain(time.Second), func(stream grpc.ServerStream) error {
					defer func() {
						select {
						case <-interceptors.StreamDraining(stream.Context()):
							t.Error("the handler was told of an end that did not come")
						default:
						}
					}()
					return renewing(results)(stream)
				}, inMode(mode), interceptors.WithMeterProvider(out.meters))
				stream := s.open(t, callContext(t), bidiStreaming)
				roundTrip(t, stream)
				if test.renewal != nil {
					token, link := test.renewal(s)
					if r := renew(t, stream, results, token, link); r.err != nil {
						t.Fatal(r.err)
					} else if token, ok := trat.FromContext(r.ctx); !ok || token.Subject() != "user-1" {
						t.Error("the renewal was taken, or the token lost")
					}
					answered(t, stream)
				}
				for range 3 {
					s.alarms.advance(time.Hour)
					roundTrip(t, stream)
				}
				if err := errors.Join(stream.CloseSend(), result(stream)); !errors.Is(err, io.EOF) {
					t.Errorf("the stream ended with %v", err)
				}
				<-s.alarms.stopped
				want := []string{fmt.Sprintf("error.type=%s,rpc.method=%s,txn_token.mode=%s,txn_token.result=would_deny 1",
					test.want, strings.TrimPrefix(bidiStreaming, "/"), mode)}
				if diff := cmp.Diff(want, out.reasons(t)); diff != "" {
					t.Errorf("reported (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.actions, out.actions(t)); diff != "" {
					t.Errorf("actions (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// In shadow mode a stream may be opened with a token that is not good, and get one later.
//
// Covers STR-02, VER-21.
func TestShadowedStreamWithoutATokenMayGetOne(t *testing.T) {
	out, results := newSinks(), make(chan renewed, 1)
	s := newStreamTest(t, interceptors.Require(), renewing(results), inMode(interceptors.EnforceShadow), interceptors.WithMeterProvider(out.meters))
	stream, err := testpb.NewTestServiceClient(s.cc).FullDuplexCall(callContext(t))
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, stream)
	if r := renew(t, stream, results, "none", ""); r.err != nil {
		t.Fatal(r.err)
	} else if _, ok := interceptors.StreamEnd(r.ctx); ok {
		t.Error("the stream has an end")
	}
	answered(t, stream)
	token, link := s.renewal()
	if r := renew(t, stream, results, token, link); r.err != nil {
		t.Fatal(r.err)
	} else if got, ok := trat.FromContext(r.ctx); !ok || got.UnsafeRaw() != token {
		t.Error("the handler has no token")
	} else if _, ok := interceptors.StreamEnd(r.ctx); !ok {
		t.Error("the stream has no end")
	}
	answered(t, stream)
	s.alarms.advance(time.Hour)
	roundTrip(t, stream)
	if diff := cmp.Diff([]string{"kept 1", "renewed 1"}, out.actions(t)); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
}

// Covers STR-03.
func TestStreamIsHeldToTheModeThatTheMethodHasAtItsEnd(t *testing.T) {
	d := trattest.New(t, domainName)
	s := &streamTest{Domain: d, alarms: newAlarms(d)}
	g := guard(t, d, anyScope(), inMode(interceptors.EnforcePresence), s.alarms.option())
	s.cc = connectAs(t, d, "gateway", serveGuarded(t, d, g, &streamer{handle: echo}))
	stream := s.open(t, callContext(t), bidiStreaming)
	roundTrip(t, stream)
	if err := g.Tighten(bidiStreaming, interceptors.EnforceStrict); err != nil {
		t.Fatal(err)
	}
	s.alarms.advance(time.Hour)
	wantEnded(t, "peer", result(stream))
}

// Covers STR-03, VER-21.
func TestShadowedStreamWithoutATokenEndsWhenTheMethodIsTightened(t *testing.T) {
	d := trattest.New(t, domainName)
	s := &streamTest{Domain: d, alarms: newAlarms(d)}
	g := guard(t, d, anyScope(), inMode(interceptors.EnforceShadow), s.alarms.option())
	s.cc = connectAs(t, d, "gateway", serveGuarded(t, d, g, &streamer{handle: echo}))
	stream, err := testpb.NewTestServiceClient(s.cc).FullDuplexCall(callContext(t))
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, stream)
	if err := g.Tighten(wholeService, interceptors.EnforcePresence); err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(&testpb.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, result(stream), trat.ReasonTxnTokenMissing)
}

// Covers STR-04.
func TestWhatBecameOfStreamsIsReported(t *testing.T) {
	for name, test := range map[string]struct {
		rule   interceptors.Rule
		age    time.Duration // when it is finished, if it is not ended before
		want   []string
		logged bool
	}{
		"finished in time":        {interceptors.Require(), time.Second, nil, false},
		"ended":                   {interceptors.Require(), time.Hour, []string{"closed 1"}, true},
		"ended although told":     {interceptors.Require().StreamDrain(time.Second), time.Hour, []string{"closed 1"}, true},
		"finished when told":      {interceptors.Require().StreamDrain(time.Minute), 100 * time.Second, []string{"drained 1"}, false},
		"kept open":               {interceptors.Require().StreamOpenOnly(), time.Hour, []string{"kept 1"}, false},
		"open only, not outlived": {interceptors.Require().StreamOpenOnly(), time.Second, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			out := newSinks()
			d := trattest.New(t, domainName)
			s := &streamTest{Domain: d, alarms: newAlarms(d)}
			g := guard(t, d, interceptors.Rules{wholeService: interceptors.Require(), bidiStreaming: test.rule},
				s.alarms.option(), interceptors.WithMeterProvider(out.meters), interceptors.WithLogger(out.logger))
			s.cc = connectAs(t, d, "gateway", serveGuarded(t, d, g, &streamer{handle: echo}, out.serverOption()))
			stream := s.open(t, callContext(t), bidiStreaming, trattest.TransactionID("the-txn"))
			roundTrip(t, stream)
			s.alarms.advance(test.age)
			_ = errors.Join(stream.CloseSend(), result(stream))
			attrs := out.last(t, 1, trace.SpanKindServer)
			if diff := cmp.Diff(test.want, out.actions(t)); diff != "" {
				t.Errorf("actions (-want +got):\n%s", diff)
			}
			if got := attrs["txn_token.stream.action"] == "closed"; got != test.logged {
				t.Errorf("span says closed: %t", got)
			}
			logged := out.log.String()
			for _, want := range []string{
				`"level":"INFO"`, `"event.name":"txn_token.stream.expired"`, `"txn_token.stream.action":"closed"`, `"txn_token.txn":"the-txn"`,
				`"rpc.method":"grpc.testing.TestService/FullDuplexCall"`,
			} {
				if test.logged && !strings.Contains(logged, want) {
					t.Errorf("no %s in the log:\n%s", want, logged)
				}
			}
			if !test.logged && strings.Contains(logged, "stream.expired") {
				t.Errorf("logged: %s", logged)
			}
		})
	}
}
