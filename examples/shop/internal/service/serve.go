package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

const (
	// maxConnectionAge bounds the age of connections where X.509-SVIDs live long.
	maxConnectionAge = 10 * time.Minute
	// drainTimeout bounds a graceful stop.
	drainTimeout = 5 * time.Second
	// readyInterval is how often the health service looks at Ready.
	readyInterval = time.Second
)

// Serve runs the services that register adds, behind the guard: each of their methods needs
// a rule beside it in the proto file, and no handler runs before its rule has passed. It
// returns when ctx is done, the last calls have ended and the chain log is complete.
func (w *Workload) Serve(ctx context.Context, register func(grpc.ServiceRegistrar), opts ...interceptors.ServerOption) (err error) {
	if w.cfg.ChainLog != "" {
		log, openErr := w.openChainLog() //nolint:contextcheck // it ends when the last call has
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, log.Close()) }() //nolint:contextcheck // the same
		opts = append(opts, interceptors.WithChainLog(log))
	}
	guard, err := interceptors.NewServer(interceptors.ServerConfig{
		Verifier: w.Tokens.Verifier(),
		SVIDs:    w.Source,
		Bundles:  w.Source,
	}, interceptors.Rules{}, opts...)
	if err != nil {
		return err
	}
	creds, err := spiffecreds.NewServer(w.Source, w.Source, spiffeid.MatchMemberOf(w.cfg.TrustDomain))
	if err != nil {
		return err
	}
	server := w.NewServer(nil, append(guard.ServerOptions(), grpc.Creds(creds))...)
	register(server)
	return w.Run(ctx, server, guard.CheckCoverage)
}

// openChainLog opens the file with what this workload decides about call chains. trat
// audit puts those of all workloads together.
func (w *Workload) openChainLog() (*chainlog.File, error) {
	svid, err := w.Source.GetX509SVID()
	if err != nil {
		return nil, err
	}
	return chainlog.OpenFile(chainlog.FileConfig{
		Path:    w.cfg.ChainLog,
		Logger:  slog.Default(),
		Server:  svid.ID,
		Bundles: w.Source,
	})
}

// NewServer is grpc.NewServer with what every server of the shop has: spans,
// recovery from panics, a limit on the age of connections. opts come after these: a
// guard among them stands inside the recovery.
func (w *Workload) NewServer(spans []otelgrpc.Option, opts ...grpc.ServerOption) *grpc.Server {
	spans = append(spans, otelgrpc.WithFilter(filters.Not(filters.HealthCheck())))
	return grpc.NewServer(append([]grpc.ServerOption{
		grpc.StatsHandler(otelgrpc.NewServerHandler(spans...)),
		grpc.ChainUnaryInterceptor(recovery.UnaryServerInterceptor()),
		grpc.ChainStreamInterceptor(recovery.StreamServerInterceptor()),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: w.connectionAge()}),
	}, opts...)...)
}

// connectionAge is less than half the lifetime of a new X.509-SVID, also with the tenth
// that gRPC adds to it; what an authority has dated back does not count. SVIDs are renewed at half their life, so that
// connections end, and peers prove themselves anew, before the certificates expire that
// they were made with.
func (w *Workload) connectionAge() time.Duration {
	svid, err := w.Source.GetX509SVID()
	if err != nil { // expired a moment ago: as short as any
		return time.Minute
	}
	return min(time.Until(svid.Certificates[0].NotAfter)*2/5, maxConnectionAge)
}

// Run adds the health service, makes the last checks and serves until ctx is done;
// then it lets the calls that are under way end.
func (w *Workload) Run(ctx context.Context, server *grpc.Server, checks ...func(interceptors.ServiceInfoProvider) error) error {
	status := health.NewServer()
	healthpb.RegisterHealthServer(server, status)
	for _, check := range checks {
		if err := check(server); err != nil {
			return err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", w.cfg.Listen)
	if err != nil {
		return err
	}
	go w.reportHealth(ctx, status)
	stopped := context.AfterFunc(ctx, func() { drain(server, status) })
	defer stopped()
	slog.Info("serving", "address", listener.Addr().String())
	return server.Serve(listener)
}

// reportHealth keeps the health service's answer equal to Ready.
func (w *Workload) reportHealth(ctx context.Context, status *health.Server) {
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	for {
		state := healthpb.HealthCheckResponse_SERVING
		if err := w.Ready(); err != nil {
			slog.Warn("not ready", "error", err)
			state = healthpb.HealthCheckResponse_NOT_SERVING
		}
		status.SetServingStatus("", state)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func drain(server *grpc.Server, status *health.Server) {
	status.Shutdown()
	timer := time.AfterFunc(drainTimeout, server.Stop)
	defer timer.Stop()
	server.GracefulStop()
}
