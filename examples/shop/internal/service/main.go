// Package service is what the workloads of the shop have in common: flags, the
// start of a workload (its SPIFFE identity, the token service's keys, the carrier),
// dialling another workload, serving behind the guard. It is small on purpose: it
// is meant to be read, and copied.
package service

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// flushTimeout bounds the export of the last spans.
const flushTimeout = 2 * time.Second

// Main runs a service until it fails or the process is told to stop. It ends the
// process with status 1 after a failure.
func Main(f *Flags, run func(context.Context) error) {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("service", f.Name))
	if err := mainErr(f, run); err != nil && !errors.Is(err, flag.ErrHelp) {
		slog.Error("cannot go on", "error", err)
		os.Exit(1)
	}
}

func mainErr(f *Flags, run func(context.Context) error) error {
	if err := f.Parse(os.Args[1:]); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	flush, err := startTelemetry(ctx, f.Name)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := flush(ctx); err != nil { // no reason to fail
			slog.Warn("the last telemetry was not sent", "error", err)
		}
	}()
	return run(ctx)
}
