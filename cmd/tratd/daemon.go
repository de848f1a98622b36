package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	"github.com/grpc-trat/grpc-trat/internal/httptoken"
	"github.com/grpc-trat/grpc-trat/server"
)

// daemon is a token service that is ready to run.
type daemon struct {
	grpc    *grpc.Server
	http    *httptoken.Server // nil: off
	tokens  *server.Server
	health  *health.Server
	logger  *slog.Logger
	ready   func() error                // nil while tokens can be issued
	details []detail                    // of readiness
	updated func() <-chan struct{}      // closed when the answer of ready may have changed
	follow  []func(ctx context.Context) // what goes on beside, until ctx ends
}

// listeners are where a daemon serves.
type listeners struct {
	grpc net.Listener
	http net.Listener // nil: off
}

// run serves until ctx ends, and then lets the calls under way finish, for at most
// timeout. It closes the listeners.
func (d *daemon) run(ctx context.Context, on listeners, timeout time.Duration) error {
	d.tokens.Register(d.grpc)
	d.registerHealth(d.grpc)

	var background sync.WaitGroup
	defer background.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	background.Go(func() { d.watchReadiness(ctx) })
	for _, follow := range d.follow {
		background.Go(func() { follow(ctx) })
	}
	background.Go(func() {
		<-ctx.Done()
		d.stop(context.WithoutCancel(ctx), timeout)
	})
	log := d.logger.With("address", on.grpc.Addr().String())
	if d.http != nil {
		log = log.With("http_address", on.http.Addr().String())
		background.Go(func() {
			if err := d.http.Serve(on.http); err != nil {
				cancel(err) // half a service is none
			}
		})
	}
	log.Info("serving")
	err := d.grpc.Serve(on.grpc)
	if errors.Is(err, grpc.ErrServerStopped) { // stopped before it began
		err = nil
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) { // as it should
		cause = nil
	}
	return errors.Join(err, cause)
}

// stop tells callers first, so that they go elsewhere while calls finish.
func (d *daemon) stop(ctx context.Context, timeout time.Duration) {
	d.logger.Info("stopping", "timeout", timeout.String())
	d.health.Shutdown()
	d.tokens.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() {
		defer context.AfterFunc(ctx, d.grpc.Stop)()
		d.grpc.GracefulStop()
	})
	if d.http != nil {
		both.Go(func() {
			if err := d.http.Shutdown(ctx); err != nil {
				d.logger.Warn("HTTP requests were cut off", "error", err)
			}
		})
	}
	both.Wait()
	d.logger.Info("stopped")
}
