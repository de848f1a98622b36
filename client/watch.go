package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// The token service sends every 30 seconds: a stream that is silent for three
	// such periods is taken for dead.
	maxSilence = 90 * time.Second

	// Pauses between attempts grow from firstBackoff to maxBackoff, 10 % more or
	// less, so never beyond a second (KEY-06).
	firstBackoff  = 100 * time.Millisecond
	maxBackoff    = 900 * time.Millisecond
	backoffFactor = 1.6
	backoffJitter = 0.1

	// alarmAfter failures in a row the log says so at level ERROR: once, and while
	// there are no usable keys again every alarmEvery.
	alarmAfter = 5
	alarmEvery = time.Minute
)

var errSilent = errors.New("no message for too long")

// watcher keeps one WatchKeys stream open and feeds what it says to the key set.
type watcher struct {
	rpc     tratv1.TokenServiceClient
	conn    *grpc.ClientConn
	keys    *keySet
	log     *slog.Logger // names the token service in every record
	clock   trat.Clock
	metrics *keyMetrics
	silence time.Duration

	// trouble is why the newest attempt or message failed; nil while all is well.
	trouble atomic.Pointer[error]

	// Of the loop alone.
	failures    int       // attempts in a row without an accepted message
	staleTold   bool      // the stale event of the present set was logged
	refusedTold bool      // the present run of refused messages was logged
	alarmed     time.Time // when the newest alarm was logged; zero while all is well
}

// run watches until ctx ends. Nothing else ends it.
func (w *watcher) run(ctx context.Context) {
	for {
		opened, err := w.watch(ctx)
		if ctx.Err() != nil {
			return
		}
		w.failed(ctx, opened, err)
		w.pause(ctx, backoff(w.failures))
	}
}

// watch opens one stream and reads it to its end, which is always an error. It reports
// whether there was a stream: whether the token service said anything on it.
func (w *watcher) watch(ctx context.Context) (opened bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(w.silence, func() { cancel(errSilent) })
	defer watchdog.Stop()

	stream, err := w.rpc.WatchKeys(ctx, &tratv1.WatchKeysRequest{})
	if err != nil {
		return false, err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			if errors.Is(context.Cause(ctx), errSilent) {
				err = errSilent
			}
			return opened, err
		}
		opened = true
		watchdog.Reset(w.silence)
		w.receive(ctx, m)
	}
}

// receive takes over one message or keeps what there is.
func (w *watcher) receive(ctx context.Context, m *tratv1.WatchKeysResponse) {
	replaced, err := w.keys.apply(m)
	if err != nil {
		w.refuse(ctx, err)
		return
	}
	if !w.alarmed.IsZero() {
		w.log.LogAttrs(ctx, slog.LevelInfo, "the watch of the token service's keys has recovered",
			slog.Int("failures", w.failures))
	}
	w.failures, w.staleTold, w.refusedTold, w.alarmed = 0, false, false, time.Time{}
	w.trouble.Store(nil)
	w.metrics.refreshed(ctx)
	if !replaced {
		return
	}
	s := w.keys.current.Load()
	event(ctx, w.log, slog.LevelInfo, semconv.EventKeysRefreshed, "the token service's key set is new",
		slog.Uint64("version", s.version), slog.Int("keys", len(s.keys.Keys())))
}

// refuse tells of a message that was not taken over, the first of a run loudly:
// one that is not merely late means a wrong or a broken token service.
func (w *watcher) refuse(ctx context.Context, err error) {
	w.trouble.Store(&err)
	w.keys.wake() // whoever waits for keys may want to give up
	w.metrics.failed(ctx, trat.ReasonKeysUnavailable)
	level := slog.LevelDebug
	switch {
	case w.refusedTold && !w.alarmAgain():
	case errors.Is(err, errOlder):
		level = slog.LevelWarn
	default:
		level = w.alarm()
	}
	w.refusedTold = true
	_, unusable := w.keys.usable()
	attrs := []slog.Attr{slog.Bool("usable_set", unusable == nil), slog.String("error", err.Error())}
	if other, ok := errors.AsType[*issuerError](err); ok {
		attrs = append(attrs, slog.String("issuer.configured", other.configured), slog.String("issuer.received", other.received))
	}
	w.log.LogAttrs(ctx, level, "a key set was refused", attrs...)
	w.checkStale(ctx)
}

// failed tells of a stream that could not be opened or that ended. A single one is
// everyday life (the server renews connections), many in a row are an alarm.
func (w *watcher) failed(ctx context.Context, opened bool, err error) {
	w.failures++
	w.trouble.Store(&err)
	w.metrics.failed(ctx, trat.ReasonDependencyUnavailable)
	level := slog.LevelDebug
	if w.failures == alarmAfter || w.failures > alarmAfter && w.alarmAgain() {
		level = w.alarm()
	}
	message := "the watch of the token service's keys cannot be opened"
	if opened {
		message = "the watch of the token service's keys was interrupted"
	}
	w.log.LogAttrs(ctx, level, message,
		slog.Int("failures", w.failures), slog.String("error", err.Error()))
	w.checkStale(ctx)
}

// alarm notes that an alarm is logged now, and returns its level.
func (w *watcher) alarm() slog.Level {
	w.alarmed = w.clock()
	return slog.LevelError
}

// alarmAgain reports whether it is time to repeat the alarm: a service that refuses
// every token must not fall silent about why.
func (w *watcher) alarmAgain() bool {
	_, err := w.keys.usable()
	return err != nil && w.clock().Sub(w.alarmed) >= alarmEvery
}

// checkStale logs, once, that the set has passed its maximum age.
func (w *watcher) checkStale(ctx context.Context) {
	if _, err := w.keys.usable(); w.staleTold || !errors.Is(err, errStale) {
		return
	}
	w.staleTold = true
	age, _ := w.keys.age()
	event(ctx, w.log, slog.LevelError, semconv.EventKeysStale, "the token service's key set is stale: every token is refused",
		slog.Duration("age", age))
}

// explain adds to err what the watch last ran into.
func (w *watcher) explain(err error) error {
	if trouble := w.trouble.Load(); trouble != nil {
		return fmt.Errorf("%w; last trouble: %w", err, *trouble)
	}
	return err
}

// otherIssuer is the trouble with a token service of another issuer; nil while there is
// none.
func (w *watcher) otherIssuer() *issuerError {
	trouble := w.trouble.Load()
	if trouble == nil {
		return nil
	}
	other, _ := errors.AsType[*issuerError](*trouble)
	return other
}

// pause waits for d. While the server cannot be reached gRPC is reconnecting at its
// own pace, which is no slower: then a connection ends the pause early.
func (w *watcher) pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	state := w.conn.GetState()
	if state != connectivity.TransientFailure {
		<-ctx.Done()
		return
	}
	for state != connectivity.Ready && w.conn.WaitForStateChange(ctx, state) {
		state = w.conn.GetState()
	}
}

// backoff is the pause after so many failures in a row.
func backoff(failures int) time.Duration {
	d := float64(firstBackoff)
	for range failures - 1 {
		if d *= backoffFactor; d >= float64(maxBackoff) {
			d = float64(maxBackoff)
			break
		}
	}
	//nolint:gosec // spreads load, guards nothing
	return time.Duration(d * (1 + backoffJitter*(2*rand.Float64()-1)))
}
