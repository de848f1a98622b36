package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/internal/telemetry"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// flushTimeout bounds the last export of telemetry.
const flushTimeout = 5 * time.Second

// serve runs the token service until ctx ends, with decided as its policy. Whatever it
// starts has ended when it returns.
func serve(ctx context.Context, cfg *config.Config, decided *policy.Policy, logs io.Writer) (err error) {
	format := telemetry.Text
	if cfg.Log.JSON {
		format = telemetry.JSON
	}
	logger := telemetry.NewLogger(logs, cfg.Log.Level, format)
	audit := telemetry.NewLogger(logs, slog.LevelInfo, format) // whatever the log level

	telemetry.LogErrors(logger)
	providers, err := telemetry.Setup(ctx, telemetry.Service{Name: "tratd", Version: buildVersion()})
	if err != nil {
		return err
	}
	defer flush(ctx, providers, logger)

	subjects, err := newSubjects(cfg, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, subjects.Close()) }()

	source, err := spiffecreds.NewSource(ctx, spiffecreds.WithLogger(logger))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := checkIdentity(source, cfg.ID); err != nil {
		return err
	}
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(cfg.TrustDomain), spiffecreds.WithLogger(logger))
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return err
	}
	// Now, and not before: from here on the key counts as published.
	ring, err := keys.New(keys.Config{})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	tokens, err := server.New(server.Config{
		TrustDomain:   cfg.TrustDomain,
		Issuer:        cfg.Issuer,
		Keys:          ring,
		Policy:        func() *policy.Policy { return decided },
		Subjects:      subjects,
		Auditor:       auditlog.NewLog(audit),
		Logger:        logger,
		MaxWatchers:   cfg.Limits.MaxWatchers,
		MeterProvider: providers.Meter,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	d := &daemon{
		grpc:   newGRPCServer(creds, cfg, source, providers, logger),
		tokens: tokens,
		health: health.NewServer(),
		logger: logger,
		ready: func() error {
			_, err := ring.Signer()
			return errors.Join(source.Ready(), checkIdentity(source, cfg.ID), err)
		},
		issuers: subjects.Ready,
		updated: source.Updated,
	}
	subjects.Start() //nolint:contextcheck // its fetches end with Close, which is deferred
	return d.run(ctx, listener, cfg.Limits.ShutdownTimeout)
}

// flush sends what telemetry is still pending, also when ctx has ended. A collector that
// is away is no reason to fail.
func flush(ctx context.Context, providers *telemetry.Providers, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := providers.Shutdown(ctx); err != nil {
		logger.Warn("the last telemetry is lost", "error", err)
	}
}

// checkIdentity refuses to be somebody else than configured: clients pin the ID, and
// an SVID that was registered for another workload must not issue tokens.
func checkIdentity(source *spiffecreds.Source, want spiffeid.ID) error {
	got, err := source.ID()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the Workload API says that this process is %q, the configuration's spiffe_id is %q", got, want)
	}
	return nil
}

// daemon is a token service that is ready to run.
type daemon struct {
	grpc    *grpc.Server
	tokens  *server.Server
	health  *health.Server
	logger  *slog.Logger
	ready   func() error           // nil while tokens can be issued
	issuers func() error           // nil while the keys of every issuer are there
	updated func() <-chan struct{} // closed when the answer of ready may have changed
}

// run serves on listener until ctx ends, and then lets the calls under way finish, for
// at most timeout.
func (d *daemon) run(ctx context.Context, listener net.Listener, timeout time.Duration) error {
	d.tokens.Register(d.grpc)
	registerHealth(d.grpc, d.health)

	var background sync.WaitGroup
	defer background.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	background.Go(func() { d.watchReadiness(ctx) })
	background.Go(func() {
		<-ctx.Done()
		d.stop(timeout)
	})
	d.logger.Info("serving", "address", listener.Addr().String())
	if err := d.grpc.Serve(listener); !errors.Is(err, grpc.ErrServerStopped) { // stopped before it began
		return err
	}
	return nil
}

// stop tells callers first, so that they go elsewhere while calls finish.
func (d *daemon) stop(timeout time.Duration) {
	d.logger.Info("stopping", "timeout", timeout.String())
	d.health.Shutdown()
	d.tokens.Close()
	timer := time.AfterFunc(timeout, d.grpc.Stop)
	defer timer.Stop()
	d.grpc.GracefulStop()
	d.logger.Info("stopped")
}
