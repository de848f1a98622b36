package interceptors

import (
	"context"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// Stream is the grpc.StreamServerInterceptor. It is part of ServerOptions. Token and chain
// are verified once, before the handler runs. What becomes of the stream when the token
// expires is for the method's rule to say; see StreamEnd.
func (s *Server) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, c := s.decide(stream.Context(), info.FullMethod, streamCall, nil)
	if c.err != nil {
		return grpcerr.Error(c.err)
	}
	if c.method.exempt {
		return s.afterStream(ctx, &c, handler(srv, guardedStream{ServerStream: stream, ctx: ctx}))
	}
	live := s.openStream(ctx, stream, info, c)
	defer live.finish()
	err := handler(srv, live)
	if denial := live.denial.Load(); denial != nil {
		return *denial
	}
	return s.afterStream(live.ctx, &c, err)
}

// afterStream returns what the caller gets for the error of a stream's handler.
func (s *Server) afterStream(ctx context.Context, c *call, err error) error {
	if err == nil {
		return nil
	}
	return c.method.afterHandler(ctx, &s.settings, err)
}

// guardedStream is a stream with the handler's context. It is immutable, so that
// nested interceptors cannot change each other's context through it.
type guardedStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has one
}

func (s guardedStream) Context() context.Context { return s.ctx }

// liveStream is a stream whose handler runs under a rule: it has an end, its messages may
// have to be checked, and its token may be renewed. The first refusal stays: nothing more
// is received or sent, and it becomes the stream's status.
type liveStream struct {
	guardedStream
	server     *Server
	fullMethod string
	single     bool // the client sends one message, the request
	first      admitted
	// current is what the stream was admitted with last: first, until it is renewed.
	current atomic.Pointer[admitted]
	denial  atomic.Pointer[error]
	// wouldDeny is what it was reported for, once, that a strict rule would have refused the
	// stream. Each call has its own, which only one goroutine may use.
	wouldDeny atomic.Pointer[error]
	cancel    context.CancelCauseFunc // of the handler's context
	renewals  sync.Mutex              // held to make one
	// origin is the first token that the stream had, which renewals carry on; nil before.
	// renewals is held.
	origin *trat.Token
	lifetime
}

// admitted is what messages are checked against: a call as the guard has judged it, and the
// context with its token.
type admitted struct {
	call   call
	checks bool            // messages are to be judged, see call.checksMessages
	ctx    context.Context //nolint:containedctx // of a stream
}

// streamKey is the key of the liveStream in the contexts of its handler.
type streamKey struct{}

// openStream makes the stream of an admitted call. Its end is looked after until finish.
func (s *Server) openStream(ctx context.Context, stream grpc.ServerStream, info *grpc.StreamServerInfo, c call) *liveStream {
	live := &liveStream{
		guardedStream: guardedStream{ServerStream: stream},
		server:        s,
		fullMethod:    info.FullMethod,
		single:        !info.IsClientStream,
		first:         admitted{call: c, checks: c.checksMessages()},
		origin:        c.token,
	}
	live.opened, live.expiry = c.start, s.expiry(c.method)
	if deadline, ok := ctx.Deadline(); ok {
		now := s.clock() // first, so that what follows is not later than the deadline itself
		live.deadline = now.Add(deadline.Sub(s.streams.wall()))
	}
	ctx, live.cancel = context.WithCancelCause(ctx)
	live.ctx = context.WithValue(ctx, streamKey{}, live)
	live.first.ctx, live.first.call.noted = live.ctx, &live.wouldDeny
	if c.wouldDeny != nil {
		live.noteWouldDeny(c.wouldDeny)
	}
	live.current.Store(&live.first)
	live.begin(c.token)
	return live
}

// RecvMsg receives one message and shows it to the handler only if every check allows, and
// the stream has not ended meanwhile.
func (s *liveStream) RecvMsg(m any) error {
	if denial := s.denial.Load(); denial != nil {
		return *denial
	}
	err := s.ServerStream.RecvMsg(m)
	s.atMessage() // before the message is judged: a stream whose end has passed has ended by that
	if now := s.current.Load(); err == nil && (now.checks || s.single) && s.denial.Load() == nil {
		s.check(now, m)
	}
	if denial := s.denial.Load(); denial != nil {
		if message, ok := m.(proto.Message); ok {
			proto.Reset(message)
		}
		return *denial
	}
	return err
}

// check ends the stream for a message that the rule does not allow, by what the stream was
// admitted with now.
func (s *liveStream) check(now *admitted, m any) {
	c := &now.call
	if known := s.wouldDeny.Load(); known != nil && c.wouldDeny == nil {
		c.wouldDeny = *known
	}
	err := s.checkInTime(c)
	if err == nil && now.checks {
		err = s.server.checkMessage(now.ctx, c, m)
	}
	if err != nil {
		if st := grpcerr.Status(err); s.deny(st) {
			refused := now.call
			refused.err = err
			s.server.reportRefusal(s.ctx, &refused)
			s.close(err, st)
		}
	}
}

// checkInTime refuses a request that comes when the token of its call has expired. A stream
// that may outlive its token would else be a call that is kept for any time later.
func (s *liveStream) checkInTime(c *call) error {
	if !s.single || c.token == nil || s.server.clock().Before(s.expiry.outlives(c.token)) {
		return nil
	}
	return s.server.refuse(s.ctx, c, layerRule,
		trat.Errorf(trat.ReasonTxnTokenExpired, "exp", "the request came after the TraT of its stream had expired"))
}

// noteWouldDeny notes that it was reported that a strict rule would have refused the stream.
func (s *liveStream) noteWouldDeny(err error) { s.wouldDeny.CompareAndSwap(nil, &err) }

// SendMsg sends unless the stream was refused or has ended.
func (s *liveStream) SendMsg(m any) error {
	s.atMessage()
	if denial := s.denial.Load(); denial != nil {
		return *denial
	}
	err := s.ServerStream.SendMsg(m)
	if err != nil {
		if denial := s.denial.Load(); denial != nil {
			return *denial
		}
	}
	return err
}

// statusWriter is grpc-go's transport stream, as grpc.ServerTransportStreamFromContext has
// it. Its method ends the stream: the peer gets the status, and whoever waits in RecvMsg or
// SendMsg wakes. It may be called while others use the stream; grpc-go does so itself, for
// receiving fails while another goroutine sends.
//
// grpc-go does not promise that the method is there. All else that wakes a waiting handler
// makes grpc-go tell the peer CANCELED before anybody can say why: cancelling the
// transport's context through grpc.InTapHandle does.
type statusWriter interface {
	WriteStatus(st *status.Status) error
}

// deny makes st the stream's status, whatever its handler does or returns, and reports
// whether it had none before. Whoever is told true closes the stream, when that is reported.
func (s *liveStream) deny(st *status.Status) bool {
	denial := st.Err()
	return s.denial.CompareAndSwap(nil, &denial)
}

// close ends the stream with st. Its handler's context ends with err as the cause.
//
// Where grpc-go has no statusWriter, a handler that waits in RecvMsg or SendMsg goes on
// waiting, until the peer moves: then it gets the status instead of a message.
func (s *liveStream) close(err error, st *status.Status) {
	s.cancel(err)
	if transport, ok := grpc.ServerTransportStreamFromContext(s.ctx).(statusWriter); ok {
		_ = transport.WriteStatus(st) // the connection may be gone, and then nobody waits
	}
}
