package chainlog

import (
	"errors"
	"log/slog"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/hashchain"
	"github.com/grpc-trat/grpc-trat/trat"
)

const (
	// DefaultQueue is how many records wait for the disk at most.
	DefaultQueue = 8192
	// maxQueue is more than any memory is for.
	maxQueue = 1 << 20
)

// Key is what only the writer of a log and its auditors know: at least 32 random bytes, made
// once for a log with crypto/rand and kept where the log is not. It is a []byte that prints
// without its bytes. The file that trat audit takes as --key-file has it in hexadecimal, 64
// digits for 32 bytes, so that encoding/hex makes the Key from it.
type Key = hashchain.Key

// FileConfig is what a File is made of. OpenFile reports all problems of it at once.
type FileConfig struct {
	// Path is the file that is written. Full ones stand beside it under its name with the
	// number of their last line, and so does a lock file. Its directory must be there.
	// Required. Each process has a log of its own.
	Path string
	// Logger gets checkpoints of the log, whatever its level, and what is wrong with it: see
	// docs/audit-log.md. Required.
	Logger *slog.Logger
	// Server is the workload whose log this is. Required.
	Server spiffeid.ID
	// Bundles has what certificates are held to: the bundle of Server's trust domain is
	// written down whenever it has changed. Required.
	Bundles x509bundle.Source

	// Key chains the lines by HMAC-SHA256 in place of SHA-256. Nil: no key.
	Key Key
	// MaxSize is the size from which a file is rotated, in bytes; default 256 MiB.
	MaxSize int64
	// Queue is how many records may wait for the disk; default DefaultQueue, at most 2^20.
	// Those that find it full are lost, and counted. Each holds the chain and the token that
	// it is about, up to some 20 KB of what a peer may send.
	Queue int
	// SyncInterval is how much time a loss of power can take from the log; default one
	// second.
	SyncInterval time.Duration
	// Clock defaults to time.Now.
	Clock trat.Clock
}

// complete fills the defaults in and returns every problem but those that package hashchain
// finds.
func (c *FileConfig) complete() error {
	var problems []error
	add := func(bad bool, text string) {
		if bad {
			problems = append(problems, errors.New("chainlog: "+text))
		}
	}
	add(c.Bundles == nil, "Bundles is required")
	add(c.Server.IsZero(), "Server is required")
	add(c.Queue < 0 || c.Queue > maxQueue, "Queue is out of range")
	if c.Queue == 0 {
		c.Queue = DefaultQueue
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return errors.Join(problems...)
}
