package auditlog

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/hashchain"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// DefaultMaxSize is the size from which a file is rotated, 256 MiB, in bytes.
	DefaultMaxSize = hashchain.DefaultMaxSize
	// DefaultSyncInterval is how much time a loss of power can take from the log: 1 s.
	DefaultSyncInterval = hashchain.DefaultSyncInterval
	// DefaultCheckpointInterval is how old what an attacker removes from the end of the log
	// can be without being missed: 1 min.
	DefaultCheckpointInterval = hashchain.DefaultCheckpointInterval
	// DefaultCheckpointRecords is how much it can be: 10,000.
	DefaultCheckpointRecords = hashchain.DefaultCheckpointRecords
)

// SyncMode is when records are forced from the operating system's memory to disk. An end of
// the process loses nothing in any mode; this is about loss of power and crashed kernels.
type SyncMode int

const (
	// SyncPeriodic is every FileConfig.SyncInterval, in the background.
	SyncPeriodic = SyncMode(hashchain.SyncPeriodic)
	// SyncRecord is before Record returns. Records that wait at the same time share one.
	SyncRecord = SyncMode(hashchain.SyncRecord)
	// SyncNever is when the operating system likes to.
	SyncNever = SyncMode(hashchain.SyncNever)
)

// FileConfig is what a File is made of. OpenFile reports all problems of it at once. It
// prints without its key.
type FileConfig struct {
	// Path is the file that is written. Full ones stand beside it under its name with the
	// number of their last line, and so does a lock file. Its directory must be there.
	// Required.
	Path string
	// Logger gets the checkpoints, whatever its level, and what is wrong with the file.
	// Send it elsewhere than to where the log is: a checkpoint is worth something only
	// where an attacker of the log cannot get at it. Required.
	Logger *slog.Logger

	// Key chains the lines by HMAC-SHA256 in place of SHA-256, so that only its holders
	// can make lines that pass Verify: at least 32 random bytes. Nil: no key.
	Key []byte
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

// String names the file. It does not print the key.
func (c FileConfig) String() string { return fmt.Sprintf("auditlog.FileConfig(%q)", c.Path) }

// Format prints what String returns, whatever the verb.
func (c FileConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue returns what String returns.
func (c FileConfig) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText returns what String returns: as JSON, too, it has no key.
func (c FileConfig) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// chain is the part of c that is about the chain of lines, which is all of it.
func (c FileConfig) chain() hashchain.FileConfig {
	return hashchain.FileConfig{
		Path: c.Path, Logger: c.Logger, Key: c.Key, MaxSize: c.MaxSize, Sync: hashchain.SyncMode(c.Sync), SyncInterval: c.SyncInterval,
		CheckpointInterval: c.CheckpointInterval, CheckpointRecords: c.CheckpointRecords, Clock: c.Clock,
	}
}
