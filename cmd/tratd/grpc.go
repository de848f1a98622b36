package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// What a peer can make the server hold.
const (
	maxHeaderBytes  = 16 << 10
	maxMessageBytes = 64 << 10 // the fields of an ExchangeRequest are four fifths of it at most
	connectTimeout  = 10 * time.Second
)

// Ages of connections, see connectionAge, and how dead ones are found.
const (
	maxConnectionAge   = 30 * time.Minute
	connectionAgeGrace = 10 * time.Second // for calls; key watchers reconnect
	keepaliveTime      = 30 * time.Second
	keepaliveTimeout   = 10 * time.Second
	minClientKeepalive = 20 * time.Second
)

func (p *parts) newGRPCServer(creds credentials.TransportCredentials) *grpc.Server {
	log := logCalls(p.logger)
	options := []logging.Option{
		logging.WithLogOnEvents(logging.FinishCall),
		logging.WithFieldsFromContext(peerField),
		logging.WithErrorFields(reasonField),
	}
	recovered := recovery.WithRecoveryHandlerContext(func(ctx context.Context, v any) error {
		// The value may hold anything, a token included: its type has to do.
		p.logger.LogAttrs(ctx, slog.LevelError, "panic", slog.String("type", fmt.Sprintf("%T", v)), slog.String("stack", string(debug.Stack())))
		return grpcerr.Error(trat.ReasonInternal)
	})
	notHealth := selector.MatchFunc(func(_ context.Context, call middleware.CallMeta) bool {
		return call.Service != healthpb.Health_ServiceDesc.ServiceName
	})
	return grpc.NewServer(
		grpc.Creds(p.connections.bound(creds)),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.MaxConcurrentStreams(uint32(p.cfg.Limits.MaxStreams)), //nolint:gosec // bounded by package config
		grpc.ConnectionTimeout(connectTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge:      connectionAge(p.svids),
			MaxConnectionAgeGrace: connectionAgeGrace,
			Time:                  keepaliveTime,
			Timeout:               keepaliveTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minClientKeepalive, PermitWithoutStream: true}),
		grpc.StatsHandler(otelgrpc.NewServerHandler(
			otelgrpc.WithTracerProvider(p.providers.Tracer),
			otelgrpc.WithMeterProvider(p.providers.Meter),
			otelgrpc.WithPropagators(p.providers.Propagators),
			otelgrpc.WithFilter(filters.Not(filters.HealthCheck())),
		)),
		// The log is outside, so that it sees what the recovery made of a panic.
		grpc.ChainUnaryInterceptor(
			selector.UnaryServerInterceptor(logging.UnaryServerInterceptor(log, options...), notHealth),
			recovery.UnaryServerInterceptor(recovered),
		),
		grpc.ChainStreamInterceptor(
			selector.StreamServerInterceptor(logging.StreamServerInterceptor(log, options...), notHealth),
			recovery.StreamServerInterceptor(recovered),
		),
	)
}

// connectionAge is less than half the lifetime of an SVID, also with the tenth that gRPC
// adds to it: SVIDs are renewed at half their life, so that a connection ends before the
// certificates that it was made with. It assumes that SVIDs of the trust domain live as
// long as ours does now.
func connectionAge(svids x509svid.Source) time.Duration {
	svid, err := svids.GetX509SVID()
	if err != nil { // expired a moment ago: as short as any
		return time.Minute
	}
	leaf := svid.Certificates[0]
	return min(leaf.NotAfter.Sub(leaf.NotBefore)*2/5, maxConnectionAge)
}

// logCalls writes one record per call: method, code, duration. Requests, responses and
// metadata hold tokens and are not logged.
func logCalls(logger *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(ctx context.Context, level logging.Level, message string, fields ...any) {
		logger.Log(ctx, slog.Level(level), message, fields...)
	})
}

func peerField(ctx context.Context) logging.Fields {
	peer, ok := spiffecreds.PeerFromContext(ctx)
	if !ok {
		return nil
	}
	return logging.Fields{string(semconv.ChainPeerID), peer.ID.String()}
}

func reasonField(err error) logging.Fields {
	reason, ok := grpcerr.ReasonFrom(err)
	if !ok {
		return nil
	}
	return logging.Fields{string(semconv.ErrorType), string(reason)}
}
