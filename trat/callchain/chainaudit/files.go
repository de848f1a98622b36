package chainaudit

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

// chainLog is one log on its way through an audit.
type chainLog struct {
	Log
	paths       []string
	base        string    // path without the number of a rotated file
	first, last time.Time // of its calls
	damage      []chainlog.Damage
	foreign     int64        // lines in the name of other servers
	rival       *chainLog    // another log with the same id
	explained   atomic.Int64 // chains that do not verify
	more        int64
	torn        int64
	runs        runs
}

// logFile is one file of a log.
type logFile struct {
	path  string
	name  string // that was given
	base  string // path without the number of a rotated file
	id    string
	first uint64
}

// lockSuffix ends the name of the file by which a server holds its log. It has nothing in it,
// and is among those that a pattern of names may give.
const lockSuffix = ".lock"

var (
	errOnlyLocks = errors.New("no chain log was given, but only lock files")
	errEmptyLog  = errors.New("the file is empty, and no chain log")
)

// findLogs finds out which files belong together: rotated files of a log are found beside it,
// and files of one log may be given one by one, in any order.
func findLogs(names []string) ([]*chainLog, error) {
	files, err := list(names)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errOnlyLocks
	}
	var logs []*chainLog
	for _, f := range files {
		if slices.ContainsFunc(logs, func(l *chainLog) bool { return l.ID == f.id && l.base == f.base }) {
			continue
		}
		same := slices.DeleteFunc(slices.Clone(files), func(o logFile) bool { return o.id != f.id || o.base != f.base })
		slices.SortStableFunc(same, func(a, b logFile) int { return cmp.Compare(a.first, b.first) })
		l := &chainLog{Log: Log{Name: f.name, ID: f.id}, base: f.base}
		for _, o := range same {
			l.paths = append(l.paths, o.path)
		}
		if err := l.notEmpty(); err != nil {
			return nil, err
		}
		logs = append(logs, l)
	}
	return reunite(logs)
}

// notEmpty returns an error for a log without a line: a server begins one when it opens it.
func (l *chainLog) notEmpty() error {
	for _, path := range l.paths {
		if info, err := os.Stat(path); err != nil || info.Size() > 0 {
			return err
		}
	}
	return fmt.Errorf("%s: %w", l.Name, errEmptyLog)
}

// list returns the files of logs with these names, each once.
func list(names []string) ([]logFile, error) {
	var files []logFile
	seen := make(map[string]bool)
	for _, name := range names {
		if strings.HasSuffix(name, lockSuffix) {
			continue
		}
		paths, err := chainlog.Files(name)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			absolute, err := filepath.Abs(path)
			if err != nil {
				return nil, err
			}
			if seen[absolute] {
				continue
			}
			seen[absolute] = true
			id, first, err := chainlog.First(path)
			if err != nil { // it is a log of its own, with nothing right in it
				id = absolute
			}
			files = append(files, logFile{path: path, name: name, base: chainlog.Base(absolute), id: id, first: first})
		}
	}
	return files, nil
}

// reunite puts files of one log together that are in several places. A log says itself which
// it is: one that says it is another one, and neither goes on where that ends nor is a copy
// of it, takes nothing away from it, and is read for itself.
func reunite(logs []*chainLog) ([]*chainLog, error) {
	var united []*chainLog
	for _, l := range logs {
		i := slices.IndexFunc(united, func(o *chainLog) bool { return o.ID == l.ID && o.rival == nil })
		if i < 0 {
			united = append(united, l)
			continue
		}
		with := united[i]
		paths, err := chainlog.Join(with.paths, l.paths)
		if err != nil {
			return nil, err
		}
		if paths == nil {
			l.rival = with
			united = append(united, l)
			continue
		}
		with.paths = paths
	}
	return united, nil
}
