package spiffecreds

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Two waits add up before a Workload API that came back is used again: that of the gRPC
// channel before it connects, and that of the watch before it asks. go-spiffe's
// defaults (120 s and 30 s) leave a workload without an SVID for most of a minute. The
// other end is a local socket, so asking often costs nothing.
const (
	retryBase = 100 * time.Millisecond
	retryMax  = 250 * time.Millisecond
	// retryJitter is the part of a gRPC channel's wait that it may be longer or shorter by.
	retryJitter = 0.2
)

func newWorkloadClient(ctx context.Context, address string) (*workloadapi.Client, error) {
	return workloadapi.New(ctx,
		workloadapi.WithAddr(address),
		workloadapi.WithBackoffStrategy(retryStrategy{}),
		workloadapi.WithDialOptions(grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: retryBase, Multiplier: 1.6, Jitter: retryJitter, MaxDelay: retryMax},
			MinConnectTimeout: 2 * time.Second,
		})),
	)
}

// watch feeds a Source. It implements workloadapi.X509ContextWatcher.
type watch struct {
	source *Source
	logger *slog.Logger
	done   <-chan struct{} // closed when the watch is to end

	mu   sync.Mutex
	last error // since the last update; nil while all is well
}

// run watches until ctx ends. go-spiffe ends its watch for good when the Workload API
// answers CANCELLED or INVALID_ARGUMENT; a workload that runs on has no use for a source
// that has given up, so it starts anew.
func (w *watch) run(ctx context.Context, client *workloadapi.Client) {
	retry := retryStrategy{}.NewBackoff()
	for {
		//nolint:errcheck // each failure comes by OnX509ContextWatchError
		client.WatchX509Context(ctx, w)
		timer := time.NewTimer(retry.Next())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// OnX509ContextUpdate implements workloadapi.X509ContextWatcher.
func (w *watch) OnX509ContextUpdate(c *workloadapi.X509Context) {
	svid := c.DefaultSVID()
	w.mu.Lock()
	failed := w.last != nil
	w.last = nil
	w.mu.Unlock()
	w.source.set(svid, c.Bundles)
	if failed {
		w.logger.Info("Workload API works again")
	}
	w.logger.Debug("X.509-SVID received", "spiffe_id", svid.ID.String(), "not_after", svid.Certificates[0].NotAfter)
}

// OnX509ContextWatchError implements workloadapi.X509ContextWatcher. An outage is
// logged when it begins, not at each of the attempts to end it.
func (w *watch) OnX509ContextWatchError(err error) {
	select {
	case <-w.done:
		return // the failure is our own doing
	default:
	}
	w.mu.Lock()
	first := w.last == nil
	w.last = err
	w.mu.Unlock()
	if first {
		w.logger.Warn("Workload API failed, trying again", "error", err)
	}
}

// lastError is what the Workload API failed with since it last worked.
func (w *watch) lastError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// retryStrategy implements workloadapi.BackoffStrategy: doubling from retryBase to
// retryMax, less up to a fifth so that the workloads of a node do not ask in step.
type retryStrategy struct{}

// NewBackoff implements workloadapi.BackoffStrategy.
func (retryStrategy) NewBackoff() workloadapi.Backoff { return &retry{next: retryBase} }

type retry struct{ next time.Duration }

// Next implements workloadapi.Backoff.
func (r *retry) Next() time.Duration {
	d := r.next
	r.next = min(2*d, retryMax)
	return d - rand.N(d/5) //nolint:gosec // not a secret
}

// Reset implements workloadapi.Backoff.
func (r *retry) Reset() { r.next = retryBase }
