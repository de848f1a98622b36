package chainaudit

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/internal/spool"
)

// maxIssued is the longest line of the log of the token service, in bytes.
const maxIssued = 64 << 10

// issued is what the log of the token service says of one token.
type issued struct {
	Time        time.Time `json:"time"`
	Event       string    `json:"event.name"`
	Transaction string    `json:"txn_token.txn"`
	Fingerprint string    `json:"txn_token.fingerprint"`
	Requester   string    `json:"txn_token.req_wl"`
	Link        string    `json:"txn_chain.link.hash"`
}

var (
	errOtherLog = errors.New("no log of the token service: its lines are of another kind")
	errNoIssued = errors.New("there is no record of an issued token in the log of the token service, so that no token can be looked up")
)

// readIssued reads logs of the token service. Whether they were changed is for
// auditlog.Verify to say. A log of another kind, or none of an issued token, is an error: every
// token would seem to be forged.
func (s *sorter) readIssued(ctx context.Context, paths []string, workers int) error {
	err := s.readFiles(ctx, paths, workers, func(ctx context.Context, path string, in io.Reader) error {
		var own, other bool
		err := eachLine(in, maxIssued, func(number int64, line []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var t issued
			switch {
			case line == nil, json.Unmarshal(line, &t) != nil, t.Event == "":
				s.unreadable(path, number, "a record of the token service")
				other = true
			case t.Event == semconv.EventIssued || t.Event == semconv.EventReplaced:
				own = true
				if t.Transaction != "" {
					return s.addIssued(&t)
				}
			case t.Event == semconv.EventIssuanceDenied:
				own = true
			case t.Event != semconv.EventAuditOpened && t.Event != semconv.EventAuditResumed:
				other = true
			}
			return nil
		})
		if err == nil && other && !own {
			err = errOtherLog
		}
		return err
	})
	if err == nil && len(paths) > 0 && s.counts.Issued == 0 {
		err = errNoIssued
	}
	return err
}

// addIssued puts a token to its transaction.
func (s *sorter) addIssued(t *issued) error {
	s.mu.Lock()
	s.counts.Issued++
	s.mu.Unlock()
	var f spool.Frame
	f.Number(frameIssued)
	f.Text(t.Transaction)
	f.Text(t.Fingerprint)
	f.Text(t.Requester)
	f.Text(t.Link)
	f.Time(t.Time)
	_, err := s.transactions.Put(s.transactions.Of(t.Transaction), f)
	return err
}
