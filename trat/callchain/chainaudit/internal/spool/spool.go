package spool

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// maxFrame is the longest frame of a spool, in bytes: more than a line of a log has.
const maxFrame = 1 << 20

// Spool sorts frames into partitions on disk, so that all that belongs together is in one
// of them, whatever the inputs' order. Safe for concurrent use until it is sealed.
type Spool struct {
	seed  maphash.Seed
	parts []part
}

type part struct {
	mu   sync.Mutex
	file *os.File
	buf  *bufio.Writer
	size int64
}

// New makes n partitions in dir. Partitions of one seed have the same keys.
func New(dir, name string, n int, seed maphash.Seed) (*Spool, error) {
	s := &Spool{seed: seed, parts: make([]part, n)}
	for i := range s.parts {
		file, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%s-%d", name, i)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // in a directory of our own
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.parts[i].file, s.parts[i].buf = file, bufio.NewWriterSize(file, 4<<10)
	}
	return s, nil
}

// Parts returns how many partitions there are.
func (s *Spool) Parts() int { return len(s.parts) }

// Of returns the partition of a key.
func (s *Spool) Of(key string) int {
	return int(maphash.String(s.seed, key) % uint64(len(s.parts))) //nolint:gosec // less than len
}

// Put appends a frame to a partition, and returns where it is there.
func (s *Spool) Put(partition int, frame []byte) (at int64, err error) {
	if len(frame) > maxFrame {
		return 0, ErrChanged
	}
	p := &s.parts[partition]
	p.mu.Lock()
	defer p.mu.Unlock()
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(frame))) //nolint:gosec // at most maxFrame
	at = p.size
	p.size += int64(len(size) + len(frame))
	_, _ = p.buf.Write(size[:]) // a failure is returned by the next Write, or by Flush
	_, err = p.buf.Write(frame)
	return at, err
}

// Seal ends writing.
func (s *Spool) Seal() error {
	var errs []error
	for i := range s.parts {
		errs = append(errs, s.parts[i].buf.Flush())
		s.parts[i].buf = nil
	}
	return errors.Join(errs...)
}

// Read gives each frame of a partition, which is valid until each returns.
func (s *Spool) Read(partition int, each func(frame []byte) error) error {
	return s.readFrom(partition, 0, each)
}

var errEnough = errors.New("enough")

// At returns the frame that Put has put there.
func (s *Spool) At(partition int, offset int64) (frame []byte, err error) {
	err = s.readFrom(partition, offset, func(f []byte) error {
		frame = f
		return errEnough
	})
	if errors.Is(err, errEnough) {
		return frame, nil
	}
	return nil, errors.Join(ErrChanged, err)
}

func (s *Spool) readFrom(partition int, offset int64, each func(frame []byte) error) error {
	p := &s.parts[partition]
	in := bufio.NewReaderSize(io.NewSectionReader(p.file, offset, p.size-offset), 64<<10)
	var frame []byte
	for {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > maxFrame {
			return ErrChanged
		}
		if uint32(cap(frame)) < n { //nolint:gosec // at most maxFrame
			frame = make([]byte, n)
		}
		frame = frame[:n]
		if _, err := io.ReadFull(in, frame); err != nil {
			return err
		}
		if err := each(frame); err != nil {
			return err
		}
	}
}

// Close closes the files. It does not remove them.
func (s *Spool) Close() error {
	var errs []error
	for i := range s.parts {
		if s.parts[i].file != nil {
			errs = append(errs, s.parts[i].file.Close())
		}
	}
	return errors.Join(errs...)
}
