package hashchain

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sequenceDigits is how many digits the number in the name of a rotated file has, so that
// the order of names is the order of the chain.
const sequenceDigits = 16

// Files returns the files of the log at path that are there, in the order of the chain: the
// rotated ones, and then path itself. What has the name of a rotated file and is none, such as
// a pipe, for whose other end a reader would wait, is an error.
func Files(path string) ([]string, error) {
	files, err := rotatedFiles(path)
	if err != nil {
		return nil, fmt.Errorf("hashchain: %w", err)
	}
	for _, file := range files {
		switch info, err := os.Stat(file); {
		case err != nil:
			return nil, fmt.Errorf("hashchain: %w", err)
		case !info.Mode().IsRegular():
			return nil, fmt.Errorf("hashchain: %s is not a regular file", file)
		}
	}
	switch _, err := os.Stat(path); {
	case err == nil:
		return append(files, path), nil
	case errors.Is(err, fs.ErrNotExist) && len(files) > 0:
		return files, nil
	default:
		return nil, fmt.Errorf("hashchain: %w", err)
	}
}

// rotatedFiles returns the rotated files of the log at path, oldest first.
func rotatedFiles(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		number, ok := strings.CutPrefix(entry.Name(), filepath.Base(path)+".")
		if ok && isSequence(number) {
			files = append(files, filepath.Join(filepath.Dir(path), entry.Name()))
		}
	}
	slices.Sort(files)
	return files, nil
}

// rotate gives the full file a name of its own and begins the next one. If that fails, the
// log goes on in the full one.
func (f *File) rotate() error {
	name := fmt.Sprintf("%s.%0*d", f.path, sequenceDigits, f.chain.head.Sequence)
	err := renameNew(f.path, name)
	if err == nil {
		err = f.begin()
	}
	if err != nil {
		f.rotateAt = f.size + f.maxSize
		f.logger.Error("audit log is not rotated", slog.String("path", f.path), slog.Any("error", err))
		return nil
	}
	return f.declare()
}

// renameNew does not replace a file that has the name already.
func renameNew(from, to string) error {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	return os.Rename(from, to)
}

// begin makes the next file and lets go of the present one, with everything on disk.
func (f *File) begin() error {
	file, size, err := openAppend(f.path, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	if f.mode != SyncNever {
		// Whoever waits for a line of the old file must not wait for one that is closed.
		if err := errors.Join(f.file.Sync(), syncDirectory(f.path)); err != nil {
			f.logger.Error("audit log is not on disk", slog.String("path", f.path), slog.Any("error", err))
		} else {
			f.advanceSynced(f.chain.head.Sequence)
		}
	}
	if err := f.file.Close(); err != nil {
		f.logger.Error("audit log file is not closed", slog.String("path", f.path), slog.Any("error", err))
	}
	f.file, f.size, f.rotateAt, f.fresh, f.tail = file, size, f.maxSize, true, damage{}
	return nil
}

// syncDirectory makes the names of files last.
func syncDirectory(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// look finds out whether the path still leads to the file that is written, and only this
// process has written it. A file that was moved away or deleted is continued in a new one;
// another one in its place is set aside, so that nobody can end the log by putting it there.
func (f *File) look() error {
	ours, err := f.file.Stat()
	if err != nil {
		return err
	}
	if ours.Size() != f.size {
		f.logger.Error("audit log was changed by somebody else",
			slog.String("path", f.path), slog.Int64("bytes", ours.Size()), slog.Int64("written", f.size))
		f.size = ours.Size()
		f.tail.open = f.tail.torn == 0 // what they wrote must not become part of our next line
	}
	there, err := os.Lstat(f.path)
	switch {
	case err == nil && os.SameFile(ours, there):
		return nil
	case err == nil:
		aside := fmt.Sprintf("%s.foreign-%0*d", f.path, sequenceDigits, f.chain.head.Sequence)
		f.logger.Error("audit log was replaced by another file", slog.String("path", f.path), slog.String("aside", aside))
		if err := renameNew(f.path, aside); err != nil {
			return err
		}
	case errors.Is(err, fs.ErrNotExist):
		f.logger.Error("audit log was moved away or deleted", slog.String("path", f.path))
	default:
		return err
	}
	if f.tail.torn > 0 { // declared where it stands
		if err := f.declare(); err != nil {
			return err
		}
	}
	return f.begin()
}
