package hashchain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

// syncFailure is an fsync that failed: the lines in question may never get to disk, and a
// later fsync that succeeds says nothing about them.
type syncFailure struct {
	after, upTo uint64
	err         error
}

// syncState tells what is known about line seq.
func (f *File) syncState(seq uint64) (done bool, err error) {
	if failure := f.unsynced.Load(); failure != nil && seq > failure.after && seq <= failure.upTo {
		return true, failure.err
	}
	return f.synced.Load() >= seq, nil
}

// waitSynced returns when line seq is on disk. One of those who wait makes the fsync, and
// it counts for all whose line was written before it began.
func (f *File) waitSynced(seq uint64) error {
	if done, err := f.syncState(seq); done {
		return err
	}
	f.syncing.Lock()
	defer f.syncing.Unlock()
	if done, err := f.syncState(seq); done {
		return err
	}
	return f.sync()
}

// sync forces to disk what was written so far. Call it with syncing held.
func (f *File) sync() error {
	f.mu.Lock()
	file, seq := f.file, f.chain.head.Sequence
	f.mu.Unlock()
	if file == nil {
		return ErrClosed
	}
	if f.synced.Load() >= seq {
		return nil
	}
	err := file.Sync()
	// Closed meanwhile means rotated meanwhile, and that forces the file to disk.
	if err == nil || errors.Is(err, os.ErrClosed) && f.synced.Load() >= seq {
		f.advanceSynced(seq)
		return nil
	}
	failure := &syncFailure{after: f.synced.Load(), upTo: seq, err: fmt.Errorf("hashchain: not on disk: %w", err)}
	f.unsynced.Store(failure)
	return failure.err
}

// advanceSynced notes that line seq and those before are on disk.
func (f *File) advanceSynced(seq uint64) {
	for {
		old := f.synced.Load()
		if old >= seq || f.synced.CompareAndSwap(old, seq) {
			return
		}
	}
}

// Checkpoint forces the log to disk, unless with SyncNever, and gives its head to the
// logger if that has moved since the last time. A File does so by itself at the configured
// intervals, when it is opened, and when it is closed.
func (f *File) Checkpoint() {
	f.checkpointing.Lock()
	defer f.checkpointing.Unlock()
	head := f.Head()
	if head.Sequence == f.noted {
		return
	}
	if f.mode != SyncNever {
		f.flush()
		if f.synced.Load() < head.Sequence {
			return // a head that a loss of power can take back would accuse the innocent
		}
	}
	f.noted = head.Sequence
	ctx := context.Background()
	record := slog.NewRecord(f.clock(), slog.LevelInfo, "audit log checkpoint", 0)
	record.AddAttrs(
		slog.String(semconv.EventName, semconv.EventAuditCheckpoint),
		slog.String(string(semconv.AuditHead), head.String()),
		slog.String("path", f.path),
	)
	// Not by way of the logger: a level above INFO would drop it.
	if err := f.logger.Handler().Handle(ctx, record); err != nil {
		f.logger.Error("audit log checkpoint is not logged", slog.Any("error", err))
	}
}

// flush forces the log to disk and reports when it cannot.
func (f *File) flush() {
	f.syncing.Lock()
	defer f.syncing.Unlock()
	if err := f.sync(); err != nil {
		f.logger.Error("audit log is not on disk", slog.String("path", f.path), slog.Any("error", err))
	}
}

// run does what is due at intervals, until Close.
func (f *File) run(syncInterval, checkpointInterval time.Duration) {
	checkpoint := time.NewTicker(checkpointInterval)
	defer checkpoint.Stop()
	var periodic <-chan time.Time
	if f.mode == SyncPeriodic {
		ticker := time.NewTicker(syncInterval)
		defer ticker.Stop()
		periodic = ticker.C
	}
	for {
		select {
		case <-f.stop:
			return
		case <-periodic:
			f.flush()
		case <-checkpoint.C:
			f.Checkpoint()
		case <-f.early:
			f.Checkpoint()
		}
	}
}
