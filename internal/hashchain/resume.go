package hashchain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
)

// tailSize is how much of the end of a file is read to find its last line, in bytes: room
// for a line, and for what a crash may have left behind it.
const tailSize = 4 * MaxLine

// resume finds where the chain ends, in the file or in the newest that was rotated, and
// what a crash has left behind that.
func (f *File) resume(key []byte) error {
	last, tail, err := readTail(f.path, key)
	if err != nil {
		return err
	}
	f.tail = tail
	if last == nil {
		rotated, err := rotatedFiles(f.path)
		if err != nil {
			return err
		}
		if len(rotated) > 0 {
			if last, err = f.resumeRotated(rotated[len(rotated)-1], key); err != nil {
				return err
			}
		}
	}
	if f.tail.torn > 0 {
		f.warnTorn(f.path, f.tail)
	}
	if last == nil {
		f.chain.head.Log = newLogID()
		return nil
	}
	f.chain.head = *last
	f.synced.Store(last.Sequence)
	return nil
}

func (f *File) warnTorn(path string, tail damage) {
	f.logger.Warn("audit log has a half-written end", slog.String("path", path), slog.Int64("bytes", tail.torn))
}

// resumeRotated returns the last line of a rotated file. Half-written text behind it, which
// a loss of power leaves, or a full disk while no next file could be begun, is declared
// where it stands.
func (f *File) resumeRotated(path string, key []byte) (*Head, error) {
	last, tail, err := readTail(path, key)
	switch {
	case err != nil:
		return nil, err
	case last == nil:
		return nil, fmt.Errorf("%s has no record", path)
	case tail.torn == 0:
		return last, nil
	}
	f.warnTorn(path, tail)
	file, _, err := openAppend(path, 0)
	if err != nil {
		return nil, err
	}
	declaring := File{file: file, chain: f.chain, tail: tail, clock: f.clock}
	declaring.chain.head = *last
	err = declaring.declare()
	if err == nil && f.mode != SyncNever {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return &declaring.chain.head, nil
}

// readTail reads the end of a log file: its last line, nil if there is none, and the damage
// behind it.
func readTail(path string, key []byte) (last *Head, tail damage, err error) {
	info, err := regular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, damage{}, nil
	}
	if err != nil {
		return nil, damage{}, err
	}
	file, err := os.Open(path) //nolint:gosec // the path is configuration
	if err != nil {
		return nil, damage{}, err
	}
	defer file.Close()
	from := max(0, info.Size()-tailSize)
	end, err := io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if err != nil {
		return nil, damage{}, err
	}
	l, rest, ok := lastLine(end, from > 0)
	switch {
	case ok:
	case len(end) == 0:
		return nil, damage{}, nil
	case from == 0 && isTorn(end): // the first line of the file
		tail.add(end)
		return nil, tail, nil
	default:
		return nil, damage{}, fmt.Errorf("%s does not end as an audit log does: move it away to begin a new one", path)
	}
	if err := checkLine(l, key); err != nil {
		return nil, damage{}, fmt.Errorf("%s: %w", path, err)
	}
	head := Head{Sequence: l.seq, Hash: l.hash}
	if head.Log, err = logOf(file); err != nil {
		return nil, damage{}, fmt.Errorf("%s: %w", path, err)
	}
	if rest == nil {
		tail.open = true
	}
	tail.add(rest)
	return &head, tail, nil
}

// checkLine tells whether l was written with key.
func checkLine(l line, key []byte) error {
	fn, _ := newHash(key)
	if want := hashOf(fn, l.text); l.hash != string(want[:]) {
		return fmt.Errorf("line %d was changed, or written with another key: move the log away to begin a new one", l.seq)
	}
	return nil
}

// logOf returns the id of the log, which the first line of a file has.
func logOf(file io.ReaderAt) (string, error) {
	first, err := firstLine(file)
	return first.Log, err
}

// First returns the first line of a file: of which log it is, and which part of it.
func First(path string) (Head, error) {
	file, err := os.Open(path) //nolint:gosec // the caller names the file
	if err != nil {
		return Head{}, fmt.Errorf("hashchain: %w", err)
	}
	defer file.Close()
	first, err := firstLine(file)
	if err != nil {
		return Head{}, fmt.Errorf("hashchain: %s: %w", path, err)
	}
	return first, nil
}

func firstLine(file io.ReaderAt) (Head, error) {
	begin := make([]byte, MaxLine+1)
	n, err := file.ReadAt(begin, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Head{}, err
	}
	for text := range bytes.Lines(begin[:n]) { // the first that can be read: one before may be torn
		if l, ok := parseLine(bytes.TrimSuffix(text, newline)); ok {
			if m, ok := l.mark(); ok {
				return Head{Log: m.Log, Sequence: l.seq, Hash: l.hash}, nil
			}
			break
		}
	}
	return Head{}, errors.New("the file does not begin as an audit log does")
}

// lastLine finds the last line in the end of a file, and what follows its newline: nil if it
// has none. Of an end that is cut off, the first piece is no line.
func lastLine(end []byte, cut bool) (l line, rest []byte, ok bool) {
	pieces := slices.Collect(bytes.Lines(end))
	if cut && len(pieces) > 0 {
		pieces = pieces[1:]
	}
	after := 0
	for _, piece := range slices.Backward(pieces) {
		text, terminated := bytes.CutSuffix(piece, newline)
		if l, ok = parseLine(text); ok {
			if terminated {
				rest = end[len(end)-after:]
			}
			return l, rest, true
		}
		after += len(piece)
	}
	return line{}, nil, false
}

// isTorn says whether text can be the beginning of the first line of a file. A crash of the
// machine can leave zeros in place of what was written.
func isTorn(text []byte) bool {
	n := min(len(text), len(beforeSeq))
	return string(text[:n]) == beforeSeq[:n] || len(bytes.Trim(text, "\x00")) == 0
}
