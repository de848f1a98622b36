package interceptors

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
)

// Stream is the grpc.StreamServerInterceptor. It is part of ServerOptions. Token and chain
// are verified once, before the handler runs.
func (s *Server) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, c := s.decide(stream.Context(), info.FullMethod, streamCall, nil)
	if c.err != nil {
		return grpcerr.Error(c.err)
	}
	guarded := guardedStream{ServerStream: stream, ctx: ctx}
	var err error
	if !c.method.checksMessages() {
		err = handler(srv, guarded)
	} else {
		checked := &checkedStream{guardedStream: guarded, server: s, call: c}
		err = handler(srv, checked)
		if denial := checked.denial.Load(); denial != nil {
			return *denial
		}
	}
	if err != nil {
		err = c.method.afterHandler(ctx, &s.settings, err)
	}
	return err
}

// guardedStream is a stream with the handler's context. It is immutable, so that
// nested interceptors cannot change each other's context through it.
type guardedStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has one
}

func (s guardedStream) Context() context.Context { return s.ctx }

// checkedStream runs CheckMessage on what the handler receives. The first refusal
// stays: nothing more is received or sent, and it becomes the stream's status.
type checkedStream struct {
	guardedStream
	server *Server
	call   call
	denial atomic.Pointer[error]
}

// RecvMsg receives one message and shows it to the handler only if every check allows.
func (s *checkedStream) RecvMsg(m any) error {
	if denial := s.denial.Load(); denial != nil {
		return *denial
	}
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	err := s.server.checkMessage(s.ctx, &s.call, m)
	if err == nil {
		return nil
	}
	if message, ok := m.(proto.Message); ok {
		proto.Reset(message)
	}
	denial := grpcerr.Error(err)
	if s.denial.CompareAndSwap(nil, &denial) {
		refused := s.call
		refused.err = err
		s.server.reportRefusal(s.ctx, &refused)
	}
	return denial
}

// SendMsg sends unless a check has refused.
func (s *checkedStream) SendMsg(m any) error {
	if denial := s.denial.Load(); denial != nil {
		return *denial
	}
	return s.ServerStream.SendMsg(m)
}
