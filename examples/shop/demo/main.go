// Command demo shows the whole of it on one machine: it builds and starts the shop
// as separate processes, places an order as a user, prints the transaction from the
// spans that the services exported, audits what they recorded of it, and then attacks it.
//
//	go run ./examples/shop/demo
//
// It brings an authority of its own for the workloads' SVIDs. With -workload-api and
// -rival-workload-api they come from somewhere else, as from the agents of two SPIRE
// deployments; whoever attests programs by their path needs -programs besides.
//
// The exit status is 0 only if the order went through, every attack was refused by the
// expected party and for the expected reason, and the audit found what there was to find.
// Nothing is left behind but the page of the audit, also after Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// buildTimeout bounds the builds, which are long when nothing is cached.
	buildTimeout = 10 * time.Minute
	// demoTimeout bounds everything after the builds.
	demoTimeout = 2 * time.Minute
	// parentInterval is how often the demo looks whether its parent is still there.
	parentInterval = 250 * time.Millisecond
)

// The order of the demo.
const (
	sku         = "teapot"
	quantity    = int64(2)
	amountCents = int64(4990)
)

func main() {
	// Refusals by the attacker's own carrier are expected, and printed as verdicts.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	signal.Ignore(syscall.SIGPIPE) // cleaning up matters more than who reads the output
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithCancelCause(ctx)
	go watchParent(ctx, cancel)
	err := mainErr(ctx, os.Args[1:])
	interrupted := context.Cause(ctx)
	cancel(nil)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return
	case interrupted != nil:
		fmt.Fprintln(os.Stderr, "\ndemo stopped:", interrupted)
	default:
		fmt.Fprintln(os.Stderr, "\ndemo failed:", err)
	}
	os.Exit(1)
}

// watchParent ends the demo when the process that started it is gone: killing
// `go run` does not reach its child.
func watchParent(ctx context.Context, cancel context.CancelCauseFunc) {
	parent := os.Getppid()
	ticker := time.NewTicker(parentInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if os.Getppid() != parent {
				cancel(errors.New("the process that started the demo is gone"))
				return
			}
		}
	}
}

func mainErr(ctx context.Context, args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	return run(ctx, o, os.Stdout)
}

// run is the demo; whatever it made is gone when it returns.
func run(ctx context.Context, o options, w io.Writer) (err error) {
	scratch, remove, err := newScratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()

	fmt.Fprint(w, "grpc-trat: one order as a transaction, and what it has to withstand\n\n")
	s := &shop{programs: o.programs, scratch: scratch, external: o.workloadAPIs(), outlive: o.outlive, spansTo: o.spansTo}
	if s.report, err = filepath.Abs(o.report); err != nil {
		return err
	}
	if err := s.newRecords(o.records); err != nil {
		return err
	}
	if s.source, err = findSource(ctx); err != nil {
		return err
	}
	if s.programs == "" {
		s.programs = scratch
		if err := phase(w, "build", func() (string, error) {
			ctx, cancel := context.WithTimeout(ctx, buildTimeout)
			defer cancel()
			return fmt.Sprintf("%d programs", len(programs)), build(ctx, scratch)
		}); err != nil {
			return err
		}
	}
	limit := demoTimeout + o.outlive
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done after %s", limit))
	defer cancel()
	return s.show(ctx, w)
}

// show opens the shop, has an order placed and audited, and attacks it.
func (s *shop) show(ctx context.Context, w io.Writer) (err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	if err := phase(w, "start", func() (string, error) {
		return s.open(ctx)
	}); err != nil {
		return err
	}
	a, err := newAttacker(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	first, err := a.certificates(ctx)
	if err != nil {
		return err
	}
	if err := a.prepare(ctx); err != nil {
		return err
	}
	if err := s.order(ctx, w, a); err != nil {
		return err
	}
	if err := s.auditOrder(ctx, w, a); err != nil {
		return err
	}
	if err := a.attackAll(ctx, w); err != nil {
		return err
	}
	if s.outlive > 0 {
		if err := a.outlive(ctx, w, first); err != nil {
			return err
		}
	}
	if err := s.auditAll(ctx, w); err != nil {
		return err
	}
	if err := s.auditTampered(ctx, w); err != nil {
		return err
	}
	return s.noTokenLeaked(w)
}

// phase prints what a step did and how long it took.
func phase(w io.Writer, name string, step func() (string, error)) error {
	began := time.Now()
	what, err := step()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "  %-8s %-66s %7.1f s\n", name, what, time.Since(began).Seconds())
	return nil
}
