package chainaudit

import (
	"context"
	"encoding/json"
	"io"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/internal/spool"
)

// maxIssued is the longest line of the log of the token service, in bytes.
const maxIssued = 64 << 10

// issued is what the log of the token service says of one token.
type issued struct {
	Event       string `json:"event.name"`
	Transaction string `json:"txn_token.txn"`
	Fingerprint string `json:"txn_token.fingerprint"`
	Requester   string `json:"txn_token.req_wl"`
	Link        string `json:"txn_chain.link.hash"`
}

// readIssued reads logs of the token service. Whether they were changed is for
// auditlog.Verify to say.
func (s *sorter) readIssued(ctx context.Context, paths []string, workers int) error {
	return s.readFiles(ctx, paths, workers, func(ctx context.Context, path string, in io.Reader) error {
		return eachLine(in, maxIssued, func(number int64, line []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var t issued
			switch {
			case line == nil, json.Unmarshal(line, &t) != nil, t.Event == "":
				s.unreadable(path, number, "a record of the token service")
			case t.Transaction != "" && (t.Event == semconv.EventIssued || t.Event == semconv.EventReplaced):
				return s.addIssued(&t)
			}
			return nil
		})
	})
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
	_, err := s.transactions.Put(s.transactions.Of(t.Transaction), f)
	return err
}
