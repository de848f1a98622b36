package chainaudit

import (
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

const (
	// maxUnended is how many runs of one log are told apart that were not closed.
	maxUnended = 1000
	// arrival is how long after a link was signed its call can be judged: the longest that a
	// link is good for, and what clocks may differ.
	arrival = 65 * time.Second
)

// runs are the times from one opening of a log to the next one. A process that crashed did not
// close its log, and may have lost the records that it had not written.
type runs struct {
	// unended were not closed: the process crashed, or the end was removed.
	unended []run
	// inside counts those of unended that another run follows; file and line are where the
	// first of these follows.
	inside int64
	file   string
	line   int64

	began  time.Time // the present one
	any    bool      // there was a line
	closed bool      // the last one says that the log was closed
}

// run is from its first line to the first one of the next; a zero time is open.
type run struct{ from, to time.Time }

// take goes on to the next line.
func (r *runs) take(e *chainlog.Entry) {
	if e.Opened && r.any {
		if !r.closed {
			if r.inside++; r.inside == 1 {
				r.file, r.line = e.File, e.Line
			}
			r.end(e.Time)
		}
		r.began = e.Time
	}
	r.any, r.closed = true, e.Closed
}

// end notes a run that was not closed.
func (r *runs) end(at time.Time) {
	if len(r.unended) == maxUnended {
		r.unended[maxUnended-1].to = at
		return
	}
	r.unended = append(r.unended, run{from: r.began, to: at})
}

// finish takes what is after the last line.
func (r *runs) finish() {
	if !r.closed {
		r.end(time.Time{})
	}
}

// cutShort reports whether a call that was signed at that time may be of a run that was not
// closed.
func (r *runs) cutShort(signed time.Time) bool {
	for _, u := range r.unended {
		if !signed.Add(arrival).Before(u.from) && (u.to.IsZero() || !signed.After(u.to.Add(arrival))) {
			return true
		}
	}
	return false
}
