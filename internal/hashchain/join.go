package hashchain

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Base returns the path of the log that a file belongs to by its name: without the number
// that rotation gave it.
func Base(path string) string {
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 || !isSequence(path[dot+1:]) {
		return path
	}
	return path[:dot]
}

// isSequence reports whether s is what rotation puts behind the name of a file.
func isSequence(s string) bool {
	return len(s) == sequenceDigits && strings.Trim(s, "0123456789") == ""
}

// Join returns the files of two places in the order of the chain, if they are of one log: if
// each goes on where another ends. Of two of which one is a copy of the other's beginning the
// longer one is returned. It returns nil for files that are not of one log, whatever id they
// have. Whether lines were changed is for Verify to say.
func Join(a, b []string) ([]string, error) {
	var extents []extent
	for _, path := range slices.Concat(a, b) {
		e, ok, err := extentOf(path)
		if err != nil {
			return nil, fmt.Errorf("hashchain: %w", err)
		}
		if !ok {
			return nil, nil
		}
		extents = append(extents, e)
	}
	slices.SortStableFunc(extents, func(x, y extent) int {
		return cmp.Or(cmp.Compare(x.first.seq, y.first.seq), cmp.Compare(y.size, x.size))
	})
	var joined []string
	var last extent
	for i, e := range extents {
		switch {
		case i == 0, e.first.seq == last.last.seq+1 && e.first.prev == last.last.hash:
		case e.first.seq == last.first.seq:
			copied, err := isCopy(e.path, last.path)
			if err != nil {
				return nil, fmt.Errorf("hashchain: %w", err)
			}
			if !copied {
				return nil, nil
			}
			continue
		default:
			return nil, nil
		}
		joined, last = append(joined, e.path), e
	}
	return joined, nil
}

// extent is a file with its first and its last line.
type extent struct {
	path        string
	size        int64
	first, last line
}

// extentOf returns the extent of a file; false if it has no line.
func extentOf(path string) (e extent, ok bool, err error) {
	file, err := os.Open(path) //nolint:gosec // the caller names the file
	if err != nil {
		return extent{}, false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return extent{}, false, err
	}
	e = extent{path: path, size: info.Size()}
	begin := make([]byte, min(e.size, tailSize))
	if _, err := file.ReadAt(begin, 0); err != nil && !errors.Is(err, io.EOF) {
		return extent{}, false, err
	}
	for text := range bytes.Lines(begin) {
		if e.first, ok = parseLine(bytes.TrimSuffix(text, newline)); ok {
			break
		}
	}
	from := max(0, e.size-tailSize)
	end := make([]byte, e.size-from)
	if _, err := file.ReadAt(end, from); err != nil && !errors.Is(err, io.EOF) {
		return extent{}, false, err
	}
	last, _, found := lastLine(end, from > 0)
	e.last = last
	return e, ok && found, nil
}

// isCopy reports whether the file at path has what the longer one begins with.
func isCopy(path, longer string) (bool, error) {
	file, err := os.Open(path) //nolint:gosec // the caller names the file
	if err != nil {
		return false, err
	}
	defer file.Close()
	whole, err := os.Open(longer) //nolint:gosec // the caller names the file
	if err != nil {
		return false, err
	}
	defer whole.Close()
	const chunk = 64 << 10
	piece, other := make([]byte, chunk), make([]byte, chunk)
	for {
		n, err := io.ReadFull(file, piece)
		if _, err := io.ReadFull(whole, other[:n]); err != nil || !bytes.Equal(piece[:n], other[:n]) {
			return false, nil
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return true, nil
		case err != nil:
			return false, err
		}
	}
}
