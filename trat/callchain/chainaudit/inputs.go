package chainaudit

import (
	"cmp"
	"path/filepath"
	"slices"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

// chainLog is one log on its way through an audit.
type chainLog struct {
	Log
	paths       []string
	first, last time.Time // of its calls
	damage      []chainlog.Damage
	more        int64
	torn        int64
}

// gather finds out which files belong together: rotated files of a log are found beside it,
// and files of one log may be given one by one, in any order.
func gather(names []string) ([]*chainLog, error) {
	type file struct {
		path  string
		name  string
		id    string
		first uint64
	}
	var files []file
	seen := make(map[string]bool)
	for _, name := range names {
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
			files = append(files, file{path: path, name: name, id: id, first: first})
		}
	}
	var logs []*chainLog
	for _, f := range files {
		if slices.ContainsFunc(logs, func(l *chainLog) bool { return l.ID == f.id }) {
			continue
		}
		same := slices.DeleteFunc(slices.Clone(files), func(o file) bool { return o.id != f.id })
		slices.SortStableFunc(same, func(a, b file) int { return cmp.Compare(a.first, b.first) })
		l := &chainLog{Log: Log{Name: f.name, ID: f.id}}
		for _, o := range same {
			l.paths = append(l.paths, o.path)
		}
		logs = append(logs, l)
	}
	return logs, nil
}
