package hashchain

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat"
)

// lookInterval is how often a File looks whether the path still leads to what it writes.
const lookInterval = time.Second

var (
	// ErrClosed is the error of what comes after Close.
	ErrClosed = errors.New("hashchain: the log is closed")
	// ErrTooLong is the error of an entry whose line would be longer than MaxLine.
	ErrTooLong = fmt.Errorf("hashchain: the record is longer than %d bytes", MaxLine)
)

// appender is the open file. It is an *os.File, but for tests of disks that are full.
type appender interface {
	io.WriteCloser
	Stat() (fs.FileInfo, error)
	Sync() error
}

// File is a log that is being written: a file of JSON lines that have a number and the hash
// of the line before. It never changes or removes what it has written. Safe for concurrent
// use; one process at a time may have it open.
//
// What cannot be written is lost. The next line that can be is preceded by one that says how
// many were lost, and which bytes before it are the half of a line that a full disk left.
type File struct {
	path    string
	maxSize int64
	mode    SyncMode
	every   uint64 // checkpoint records
	clock   trat.Clock
	logger  *slog.Logger
	lock    io.Closer

	mu       sync.Mutex // for what follows, down to appended
	closing  bool
	file     appender // nil after Close
	chain    chain
	tail     damage
	fresh    bool   // the file has no line of ours yet
	lost     uint64 // records since the last line
	size     int64
	rotateAt int64
	looked   time.Time
	appended uint64 // records since the last checkpoint
	begun    int    // files, of this run

	synced   atomic.Uint64 // every line up to this number is on disk
	syncing  sync.Mutex    // held during an fsync; never taken while mu is held
	unsynced atomic.Pointer[syncFailure]

	checkpointing sync.Mutex // for noted, and for the order of checkpoints
	noted         uint64     // number of the last checkpoint

	early chan struct{} // asks for a checkpoint before its time
	stop  chan struct{}
	loops sync.WaitGroup
}

// OpenFile opens the log at c.Path, or begins one, and goes on where the log ends: in that
// file, or in the newest one that was rotated. What a crash has left of a half-written line
// stays and is declared. It fails if another process has the log open, if it is not a log,
// if its end was not written with this key, or if others than the owner may write it.
func OpenFile(c FileConfig) (_ *File, err error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	f := &File{
		path: c.Path, maxSize: c.MaxSize, rotateAt: c.MaxSize, mode: c.Sync, every: uint64(c.CheckpointRecords), //nolint:gosec // not negative
		clock: c.Clock, logger: c.Logger, chain: newChain(c.Key), fresh: true,
		early: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	if f.lock, err = lockFile(c.Path + ".lock"); err != nil {
		return nil, fmt.Errorf("hashchain: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.abandon())
		}
	}()
	if err := f.resume(c.Key); err != nil {
		return nil, fmt.Errorf("hashchain: %w", err)
	}
	file, size, err := openAppend(c.Path, os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("hashchain: %w", err)
	}
	f.file, f.size, f.looked = file, size, f.clock()
	if err := f.declare(); err != nil {
		return nil, fmt.Errorf("hashchain: %w", err)
	}
	if err := syncDirectory(c.Path); err != nil && c.Sync != SyncNever {
		return nil, fmt.Errorf("hashchain: %w", err)
	}
	f.Checkpoint()
	f.loops.Go(func() { f.run(c.SyncInterval, c.CheckpointInterval) })
	return f, nil
}

// openAppend opens a regular file that only its owner may write.
func openAppend(path string, flags int) (file *os.File, size int64, err error) {
	if _, err := regular(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND|flags, 0o600) //nolint:gosec // the path is configuration
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.Mode().Perm()&0o022 != 0 {
		err = fmt.Errorf("%s can be written by others than its owner (%v)", path, info.Mode())
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// regular looks at a path before it is opened: to open a pipe is to wait for its other end,
// and a symbolic link is not the file that is looked for later, renamed and verified.
func regular(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	return info, err
}

// abandon lets go of what a failed OpenFile has taken.
func (f *File) abandon() error {
	err := f.lock.Close()
	if f.file != nil {
		err = errors.Join(f.file.Close(), err)
	}
	return err
}

func newLogID() string {
	var id [idSize / 2]byte
	_, _ = rand.Read(id[:]) // never fails: it ends the process instead
	return hex.EncodeToString(id[:])
}

// Append writes one line. With SyncRecord it returns when the line is on disk. An entry that
// cannot be written is lost, and the error says why.
func (f *File) Append(e Entry) error {
	written, seq, err := f.append([]Entry{e})
	if written == 0 {
		f.Lose(1)
	}
	if err == nil && f.mode == SyncRecord {
		err = f.waitSynced(seq)
	}
	return err
}

// AppendAll writes lines with one call of the operating system and returns how many of them
// are in the log; an error is about the entry after those. None is counted as lost: the
// caller may try the rest again, or give up with Lose.
func (f *File) AppendAll(entries []Entry) (written int, err error) {
	written, seq, err := f.append(entries)
	if err == nil && f.mode == SyncRecord {
		err = f.waitSynced(seq)
	}
	return written, err
}

// Ready makes the file ready for the next entries, which may begin another file, and returns
// how many files were begun since the log was opened. It is for a caller, the only one that
// appends, who repeats something in every file.
func (f *File) Ready() (begun int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		return 0, ErrClosed
	}
	if err := f.prepare(); err != nil {
		return 0, fmt.Errorf("hashchain: %w", err)
	}
	return f.begun, nil
}

// Lose counts n entries as lost, for the log to declare.
func (f *File) Lose(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost += n
}

// append writes lines and returns the number of the last line of the log.
func (f *File) append(entries []Entry) (written int, seq uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		return 0, 0, ErrClosed
	}
	if err := f.prepare(); err != nil {
		return 0, 0, fmt.Errorf("hashchain: %w", err)
	}
	var tooLong error
	for i := range entries {
		if !f.chain.add(&entries[i]) {
			tooLong = ErrTooLong
			break
		}
	}
	written, err = f.write()
	if err != nil {
		return written, 0, fmt.Errorf("hashchain: %w", err)
	}
	if f.appended += uint64(written); f.appended >= f.every { //nolint:gosec // not negative
		f.appended = 0
		select {
		case f.early <- struct{}{}:
		default:
		}
	}
	return written, f.chain.head.Sequence, tooLong
}

// prepare makes the file ready for the next record.
func (f *File) prepare() error {
	if now := f.clock(); now.Sub(f.looked) >= lookInterval || now.Before(f.looked) {
		f.looked = now
		if err := f.look(); err != nil {
			return err
		}
	}
	if f.fresh || f.lost > 0 || f.tail.torn > 0 {
		if err := f.declare(); err != nil {
			return err
		}
	}
	if f.size < f.rotateAt {
		return nil
	}
	return f.rotate()
}

// declare writes the line that begins a file, or one that goes on after a failure.
func (f *File) declare() error {
	name := semconv.EventAuditResumed
	if f.fresh {
		name = semconv.EventAuditOpened
	}
	f.chain.add(f.chain.mark(name, f.clock(), f.tail.mark(f.lost)))
	if _, err := f.write(); err != nil {
		return err
	}
	if f.fresh {
		f.begun++
	}
	f.fresh, f.lost = false, 0
	return nil
}

// write appends the lines in the buffer, and accounts for what a failure leaves. It returns
// how many are in the file; the error is nil if all are.
func (f *File) write() (lines int, err error) {
	drafts := f.chain.drafts
	if len(drafts) == 0 {
		return 0, nil
	}
	text, separator := f.chain.text.buf, 0
	if f.tail.open || f.tail.torn > 0 {
		text, separator = slices.Concat(newline, text), len(newline)
	}
	n, err := f.file.Write(text)
	f.size += int64(n)
	for lines < len(drafts) && n >= separator+drafts[lines].end-1 { // without its newline a line counts
		lines++
	}
	switch {
	case err == nil:
		f.tail = damage{}
	case lines == 0:
		f.tail.add(text[:n])
	default:
		end := separator + drafts[lines-1].end
		f.tail = damage{open: n < end}
		if n > end {
			f.tail.add(text[end:n])
		}
		if lines == len(drafts) {
			err = nil
		}
	}
	f.chain.commit(lines)
	return lines, err
}

// Head returns the last line that was written.
func (f *File) Head() Head {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.chain.head
}

// Close writes a last checkpoint and closes the log. Later entries are errors.
func (f *File) Close() error {
	f.mu.Lock()
	again := f.closing
	f.closing = true
	f.mu.Unlock()
	if again {
		return nil
	}
	close(f.stop)
	f.loops.Wait()
	f.Checkpoint()

	f.mu.Lock()
	defer f.mu.Unlock()
	file := f.file
	f.file = nil
	err := errors.Join(file.Close(), f.lock.Close())
	if err != nil {
		return fmt.Errorf("hashchain: %w", err)
	}
	return nil
}
