package interceptors_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

const declaredStreams = "/trat.carriertest.v1.Streams/"

// declareStreams registers a service with a rule beside each of its methods.
var declareStreams = sync.OnceValue(func() error {
	method := func(name string, clientStreams bool, rule *tratv1.Rule) *descriptorpb.MethodDescriptorProto {
		options := &descriptorpb.MethodOptions{}
		proto.SetExtension(options, tratv1.E_Rule, rule)
		empty := new(".google.protobuf.Empty")
		return &descriptorpb.MethodDescriptorProto{
			Name: new(name), InputType: empty, OutputType: empty, Options: options,
			ClientStreaming: new(clientStreams), ServerStreaming: new(true),
		}
	}
	expiry := func(e tratv1.StreamExpiry) *tratv1.Rule { return &tratv1.Rule{Stream: &tratv1.Stream{Expiry: e}} }
	grace := expiry(tratv1.StreamExpiry_STREAM_EXPIRY_GRACE)
	grace.Stream.Grace = durationpb.New(time.Minute)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("trat/carriertest/v1/streams.proto"), Package: new("trat.carriertest.v1"), Syntax: new("proto3"),
		Dependency: []string{"google/protobuf/empty.proto", "trat/v1/rules.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: new("Streams"),
			Method: []*descriptorpb.MethodDescriptorProto{
				method("Close", false, expiry(tratv1.StreamExpiry_STREAM_EXPIRY_CLOSE_AT_EXP)),
				method("WatchOpen", true, expiry(tratv1.StreamExpiry_STREAM_EXPIRY_OPEN_ONLY)),
				method("Grace", true, grace),
				method("Silent", true, &tratv1.Rule{Scopes: []string{testScope}}),
				method("WatchSilent", false, &tratv1.Rule{Scopes: []string{testScope}}),
				method("Wrong", true, &tratv1.Rule{Scopes: []string{"no\tscope"}, Stream: &tratv1.Stream{Expiry: tratv1.StreamExpiry_STREAM_EXPIRY_OPEN_ONLY}}),
				method("Exempt", true, &tratv1.Rule{Exempt: &tratv1.Exemption{Reason: "a test"}}),
			},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		return err
	}
	return protoregistry.GlobalFiles.RegisterFile(file)
})

// outgoing is a call as it leaves the carrier, without a connection below.
type outgoing struct {
	grpc.ClientStream
	ctx context.Context //nolint:containedctx // that of the call
	err error           // that its messages end with
}

// RecvMsg waits for the end of the call, unless the test has given it one.
func (o *outgoing) RecvMsg(any) error {
	if o.err != nil {
		return o.err
	}
	<-o.ctx.Done()
	return status.FromContextError(o.ctx.Err()).Err()
}

func (o *outgoing) SendMsg(m any) error { return o.RecvMsg(m) }

// invoke is a grpc.UnaryInvoker.
func (o *outgoing) invoke(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
	o.ctx = ctx
	return o.RecvMsg(nil)
}

// open is a grpc.Streamer.
func (o *outgoing) open(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	o.ctx = ctx
	return o, nil
}

var (
	streamsOut  = &grpc.StreamDesc{ServerStreams: true}
	streamsIn   = &grpc.StreamDesc{ClientStreams: true}
	streamsBoth = &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
)

// wantEnd checks that err is from the deadline that the carrier gave, or else from the
// caller's.
func wantEnd(tb testing.TB, err error, carriers bool) {
	tb.Helper()
	if code := status.Code(err); code != codes.DeadlineExceeded {
		tb.Errorf("code %s: %v", code, err)
	}
	if reason, ok := interceptors.ReasonFrom(err); ok != carriers || carriers && reason != trat.ReasonTxnTokenExpired {
		tb.Errorf("reason %q, want one: %t", reason, carriers)
	}
}

// Covers RTY-08.
func TestACallEndsWithItsToken(t *testing.T) {
	if err := declareStreams(); err != nil {
		t.Fatal(err)
	}
	const lifetime = 15 * time.Second
	d := trattest.New(t, domainName)
	c := carrier(t, d, interceptors.WithoutToken(service+"EmptyCall", "a test"))
	for name, tc := range map[string]struct {
		method string
		desc   *grpc.StreamDesc // nil: unary
		opts   []grpc.CallOption
		bound  bool // by the token
	}{
		"unary":                    {method: unaryMethod, bound: true},
		"unary, without a token":   {method: service + "EmptyCall"},
		"unary, health":            {method: healthpb.Health_Check_FullMethodName},
		"unary, said renewable":    {method: unaryMethod, opts: []grpc.CallOption{interceptors.Renewable()}, bound: true},
		"server streaming":         {method: serverStreaming, desc: streamsOut},
		"client streaming":         {method: clientStreaming, desc: streamsIn, bound: true},
		"bidirectional":            {method: bidiStreaming, desc: streamsBoth, bound: true},
		"renewable":                {method: bidiStreaming, desc: streamsBoth, opts: []grpc.CallOption{interceptors.Renewable()}},
		"unknown, watch":           {method: "/a.B/WatchAll", desc: streamsOut, bound: true},
		"unknown, named otherwise": {method: "/a.Watch/All", desc: streamsOut},
		"a message's name":         {method: "/grpc.testing/SimpleRequest", desc: streamsBoth, bound: true},
		"no method's name":         {method: "x", desc: streamsOut},
		"stream, health":           {method: healthpb.Health_Watch_FullMethodName, desc: streamsOut},
		"declared close":           {method: declaredStreams + "Close", desc: streamsOut, bound: true},
		"declared open":            {method: declaredStreams + "WatchOpen", desc: streamsBoth},
		"declared grace":           {method: declaredStreams + "Grace", desc: streamsBoth},
		"declared nothing":         {method: declaredStreams + "Silent", desc: streamsBoth, bound: true},
		"declared nothing, watch":  {method: declaredStreams + "WatchSilent", desc: streamsOut, bound: true},
		"declared wrongly":         {method: declaredStreams + "Wrong", desc: streamsBoth, bound: true},
		"declared exempt":          {method: declaredStreams + "Exempt", desc: streamsBoth},
	} {
		t.Run(name, func(t *testing.T) {
			for _, callers := range []time.Duration{0, time.Second, lifetime, time.Hour} {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := t.Context(), context.CancelFunc(func() {})
					if callers > 0 {
						ctx, cancel = context.WithTimeout(ctx, callers)
					}
					defer cancel()
					ctx = d.Context(ctx, trattest.Lifetime(lifetime))
					if callers == 0 && !tc.bound {
						wantNoDeadline(t, ctx, c, tc.method, tc.desc, tc.opts)
						return
					}
					want := callers
					if tc.bound && (callers == 0 || callers > lifetime) {
						want = lifetime
					}
					begun := time.Now()
					err := run(ctx, c, new(outgoing), tc.method, tc.desc, tc.opts)
					wantEnd(t, err, want != callers)
					if took := time.Since(begun); took != want {
						t.Errorf("the caller's %s became %s, want %s", callers, took, want)
					}
				})
			}
		})
	}
}

// run makes a call to its end.
func run(ctx context.Context, c *interceptors.Client, o *outgoing, method string, desc *grpc.StreamDesc, opts []grpc.CallOption) error {
	if desc == nil {
		return c.Unary(ctx, method, nil, nil, nil, o.invoke, opts...)
	}
	stream, err := c.Stream(ctx, desc, nil, method, o.open, opts...)
	if err != nil {
		return err
	}
	return stream.RecvMsg(nil)
}

func wantNoDeadline(t *testing.T, ctx context.Context, c *interceptors.Client, method string, desc *grpc.StreamDesc, opts []grpc.CallOption) {
	t.Helper()
	o := &outgoing{err: io.EOF}
	if err := run(ctx, c, o, method, desc, opts); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if deadline, ok := o.ctx.Deadline(); ok {
		t.Errorf("a deadline in %s", time.Until(deadline))
	}
}

// Covers RTY-08.
func TestOnlyAnEndByTheTokenIsCalledOne(t *testing.T) {
	d := trattest.New(t, domainName)
	c := carrier(t, d)
	for name, tc := range map[string]struct {
		err     error
		after   time.Duration
		carrier bool
	}{
		"in time":                {status.Error(codes.DeadlineExceeded, "the server's own"), 14 * time.Second, false},
		"the server was faster":  {status.Error(codes.DeadlineExceeded, ""), 15*time.Second - time.Millisecond, true},
		"told by who called on":  {withInfo(t, codes.DeadlineExceeded, "trat.v1"), 15 * time.Second, true},
		"cancelled":              {status.Error(codes.Canceled, ""), 15 * time.Second, false},
		"refused":                {status.Error(codes.PermissionDenied, ""), 15 * time.Second, false},
		"the end of the stream":  {io.EOF, 15 * time.Second, false},
		"not gRPC's":             {context.DeadlineExceeded, 15 * time.Second, false},
		"another domain, in end": {withInfo(t, codes.DeadlineExceeded, "shop.example"), 15 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := d.Context(t.Context())
				stream, err := c.Stream(ctx, streamsBoth, nil, bidiStreaming, (&outgoing{err: tc.err}).open)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(tc.after)
				received, sent := stream.RecvMsg(nil), stream.SendMsg(nil)
				for _, err := range []error{received, sent} {
					if tc.carrier {
						wantEnd(t, err, true)
					} else if !errors.Is(err, tc.err) {
						t.Errorf("%v, want %v", err, tc.err)
					}
				}
			})
		})
	}
}

// What the carrier has put beside a stream goes when the stream has ended.
func TestAnEndedStreamLeavesNoTimer(t *testing.T) {
	d := trattest.New(t, domainName)
	c := carrier(t, d)
	open := func(desc *grpc.StreamDesc, o *outgoing) grpc.ClientStream {
		stream, err := c.Stream(d.Context(t.Context()), desc, nil, clientStreaming, o.open)
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	answered := &answering{}
	for name, tc := range map[string]struct {
		desc *grpc.StreamDesc
		o    *outgoing
		end  func(grpc.ClientStream) error
		want bool // ended
	}{
		"received all":     {streamsBoth, &outgoing{err: io.EOF}, func(s grpc.ClientStream) error { return s.RecvMsg(nil) }, true},
		"failed":           {streamsBoth, &outgoing{err: status.Error(codes.Internal, "")}, func(s grpc.ClientStream) error { return s.RecvMsg(nil) }, true},
		"not sent":         {streamsBoth, &outgoing{err: status.Error(codes.Internal, "")}, func(s grpc.ClientStream) error { return s.SendMsg(nil) }, true},
		"status to follow": {streamsBoth, &outgoing{err: io.EOF}, func(s grpc.ClientStream) error { return s.SendMsg(nil) }, false},
	} {
		stream := open(tc.desc, tc.o)
		if err := tc.end(stream); err == nil {
			t.Errorf("%s: no error", name)
		}
		if ended := tc.o.ctx.Err() != nil; ended != tc.want {
			t.Errorf("%s: released: %t", name, ended)
		}
	}
	for desc, ends := range map[*grpc.StreamDesc]bool{streamsIn: true, streamsBoth: false} {
		stream, err := c.Stream(d.Context(t.Context()), desc, nil, clientStreaming, answered.open)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(stream.SendMsg(nil), stream.RecvMsg(nil)); err != nil {
			t.Error(err)
		}
		if ended := answered.ctx.Err() != nil; ended != ends {
			t.Errorf("after one answer, the server streams: %t; released: %t", desc.ServerStreams, ended)
		}
	}
	var refused context.Context
	_, err := c.Stream(d.Context(t.Context()), streamsBoth, nil, bidiStreaming,
		func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
			refused = ctx //nolint:fatcontext // to look at it
			return nil, status.Error(codes.Unavailable, "")
		})
	if status.Code(err) != codes.Unavailable || refused.Err() == nil {
		t.Errorf("a stream that was not opened: %v", err)
	}
}

// answering is a stream on which every message is there at once.
type answering struct{ outgoing }

func (a *answering) open(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	a.ctx = ctx
	return a, nil
}

func (a *answering) RecvMsg(any) error { return nil }
func (a *answering) SendMsg(any) error { return nil }
