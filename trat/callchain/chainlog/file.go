package chainlog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"

	"github.com/grpc-trat/grpc-trat/internal/hashchain"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

const (
	// maxBatch is how many records are written with one call of the operating system.
	maxBatch = 128
	// complaintInterval is how often a log that loses records says so in the other log.
	complaintInterval = 10 * time.Second
)

// File is a callchain.Recorder that appends each record to a file, as one line of JSON that has a number
// and the hash of the line before. A certificate is written once per file, a bundle when it
// has changed. Safe for concurrent use; one process at a time may have the file open.
//
// Record never waits: lines are made and written in the background. What finds the queue
// full, or the disk, is lost; the next line that can be written is preceded by one that
// says how many were.
type File struct {
	log     *hashchain.File
	clock   trat.Clock
	logger  *slog.Logger
	queue   chan *callchain.Record
	lost    atomic.Uint64 // since the last batch
	ever    atomic.Uint64 // lost since the log was opened
	done    chan struct{}
	closing sync.RWMutex // held to send into queue
	closed  bool

	writer writer
}

// writer is what the goroutine that writes knows. Nobody else uses it.
type writer struct {
	server      string
	bundles     func() (*x509bundle.Bundle, error)
	bundle      *x509bundle.Bundle  // the one that was written last
	written     map[string]struct{} // fingerprints of certificates in the present file
	begun       int                 // files
	complained  time.Time
	unaccounted uint64 // lost since the last complaint
	cause       error  // of the last failure since
}

var _ callchain.Recorder = (*File)(nil)

// OpenFile opens the log at c.Path, or begins one, and goes on where the log ends. What a
// crash has left of a half-written line stays and is declared. It fails if another process
// has the log open, if it is not a log, if its end was not written with this key, or if
// others than the owner may write it.
func OpenFile(c FileConfig) (*File, error) {
	problems := c.complete()
	config := hashchain.FileConfig{
		Path: c.Path, Logger: c.Logger, Key: c.Key, MaxSize: c.MaxSize, SyncInterval: c.SyncInterval, Clock: c.Clock,
	}
	if problems != nil {
		return nil, errors.Join(problems, config.Check())
	}
	log, err := hashchain.OpenFile(config)
	if err != nil {
		return nil, err
	}
	f := &File{
		log: log, clock: c.Clock, logger: c.Logger,
		queue: make(chan *callchain.Record, c.Queue), done: make(chan struct{}),
		writer: writer{bundles: func() (*x509bundle.Bundle, error) {
			return c.Bundles.GetX509BundleForTrustDomain(c.Server.TrustDomain())
		}, server: c.Server.String()},
	}
	go f.run()
	return f, nil
}

// Record implements callchain.Recorder.
func (f *File) Record(_ context.Context, r callchain.Record) {
	f.closing.RLock()
	defer f.closing.RUnlock()
	if !f.closed {
		select {
		case f.queue <- &r:
			return
		default:
		}
	}
	f.lost.Add(1)
	f.ever.Add(1)
}

// Lost returns how many records were lost since the log was opened.
func (f *File) Lost() uint64 { return f.ever.Load() }

// Head returns the last line that was written, as trat audit verify-log takes it.
func (f *File) Head() string { return f.log.Head().String() }

// Close writes what waits, and a line that says that the log ends here. Later records are
// lost.
func (f *File) Close() error {
	f.closing.Lock()
	again := f.closed
	f.closed = true
	if !again {
		close(f.queue)
	}
	f.closing.Unlock()
	<-f.done
	if again {
		return nil
	}
	f.log.Lose(f.lost.Swap(0))
	return errors.Join(f.log.Append(hashchain.Entry{Event: eventClosed, Time: f.clock()}), f.log.Close())
}

// run writes until the queue is closed.
func (f *File) run() {
	defer close(f.done)
	batch := make([]*callchain.Record, 0, maxBatch)
	for r := range f.queue {
		batch = append(batch[:0], r)
	more:
		for len(batch) < maxBatch {
			select {
			case r, ok := <-f.queue:
				if !ok {
					break more
				}
				batch = append(batch, r)
			default:
				break more
			}
		}
		f.write(batch)
		clear(batch)
	}
}
