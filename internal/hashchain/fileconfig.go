package hashchain

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// DefaultMaxSize is the size from which a file is rotated, in bytes.
	DefaultMaxSize = 256 << 20
	// DefaultSyncInterval is how much time a loss of power can take from the log.
	DefaultSyncInterval = time.Second
	// DefaultCheckpointInterval is how old what an attacker removes from the end of the log
	// can be without being missed.
	DefaultCheckpointInterval = time.Minute
	// DefaultCheckpointRecords is how much it can be.
	DefaultCheckpointRecords = 10_000
)

// SyncMode is when records are forced from the operating system's memory to disk. An end of
// the process loses nothing in any mode; this is about loss of power and crashed kernels.
type SyncMode int

const (
	// SyncPeriodic is every FileConfig.SyncInterval, in the background.
	SyncPeriodic SyncMode = iota
	// SyncRecord is before Record returns. Records that wait at the same time share one.
	SyncRecord
	// SyncNever is when the operating system likes to.
	SyncNever
)

// FileConfig is what a File is made of. OpenFile reports all problems of it at once.
type FileConfig struct {
	// Path is the file that is written. Full ones stand beside it under its name with the
	// number of their last line, and so does a lock file. Its directory must be there.
	// Required.
	Path string
	// Logger gets the checkpoints, whatever its level, and what is wrong with the file.
	// Send it elsewhere than to where the log is: a checkpoint is worth something only
	// where an attacker of the log cannot get at it. Required.
	Logger *slog.Logger

	// Key chains the lines by HMAC-SHA256 in place of SHA-256.
	Key Key
	// MaxSize is the size from which a file is rotated, in bytes; default DefaultMaxSize.
	MaxSize int64
	// Sync says when records are forced to disk; default SyncPeriodic.
	Sync SyncMode
	// SyncInterval is for SyncPeriodic; default DefaultSyncInterval.
	SyncInterval time.Duration
	// CheckpointInterval and CheckpointRecords are how often the head goes to Logger, if
	// it has moved: whichever comes first. Defaults DefaultCheckpointInterval and
	// DefaultCheckpointRecords.
	CheckpointInterval time.Duration
	CheckpointRecords  int
	// Clock defaults to time.Now.
	Clock trat.Clock
}

// Check returns every problem of c.
func (c FileConfig) Check() error { return c.complete() }

// complete fills the defaults in and returns every problem.
func (c *FileConfig) complete() error {
	var problems []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf("hashchain: "+format, args...))
		}
	}
	add(c.Path == "", "Path is required")
	add(c.Logger == nil, "Logger is required")
	add(c.Key != nil && len(c.Key) < minKey, "Key has fewer than %d bytes", minKey)
	add(c.MaxSize < 0, "MaxSize is negative")
	add(c.Sync < SyncPeriodic || c.Sync > SyncNever, "Sync %d is unknown", c.Sync)
	add(c.SyncInterval < 0, "SyncInterval is negative")
	add(c.CheckpointInterval < 0, "CheckpointInterval is negative")
	add(c.CheckpointRecords < 0, "CheckpointRecords is negative")
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	if c.MaxSize == 0 {
		c.MaxSize = DefaultMaxSize
	}
	if c.SyncInterval == 0 {
		c.SyncInterval = DefaultSyncInterval
	}
	if c.CheckpointInterval == 0 {
		c.CheckpointInterval = DefaultCheckpointInterval
	}
	if c.CheckpointRecords == 0 {
		c.CheckpointRecords = DefaultCheckpointRecords
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return nil
}
