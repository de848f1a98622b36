package chainaudit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/sync/errgroup"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/internal/spool"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

var errNoChainLog = errors.New("no chain log: its lines are of another kind")

// readLogs reads all chain logs, several at a time.
func (s *sorter) readLogs(ctx context.Context, workers int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := range s.logs {
		group.Go(func() error { return s.readLog(ctx, i) })
	}
	return group.Wait()
}

// readLog reads one log.
func (s *sorter) readLog(ctx context.Context, number int) error {
	l := s.logs[number]
	var latest uint64 // line that was taken
	var bundle, before uint64
	var trusted *chainlog.Bundle
	var since time.Time // trusted was
	sum, err := chainlog.Read(l.paths, chainlog.ReadOptions{Key: s.key}, func(e *chainlog.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Changed && e.Call != nil {
			l.Unused++
		}
		if e.Sequence <= latest || e.Changed {
			return nil // one that is there twice, or that somebody has changed
		}
		latest = e.Sequence
		l.runs.take(e)
		switch {
		case e.Certificate != nil:
			return s.certificates.add(e.Certificate.SHA256, e.Certificate.DER)
		case e.Bundle != nil && l.is(e.Bundle.Server):
			trusted, since = e.Bundle, e.Time
			if b := s.bundles.add(number, since, trusted); b != bundle {
				bundle, before = b, bundle
			}
		case e.Call != nil && l.is(e.Call.Server):
			if trusted != nil && e.Time.Before(since) { // the line of the bundle may give any time
				since = e.Time
				s.bundles.add(number, since, trusted)
			}
			l.took(e)
			return s.route(number, e, bundle, before)
		case e.Call != nil:
			l.Unused++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !sum.Own && (sum.Other || sum.First == 0) {
		return fmt.Errorf("%s: %w", l.Name, errNoChainLog)
	}
	l.runs.finish()
	if sum.ID != "" {
		l.ID = sum.ID
	}
	l.First, l.Last, l.Records, l.Lost, l.Closed = sum.First, sum.Last, sum.Calls, sum.Lost, sum.Closed
	l.damage, l.more, l.torn = sum.Damage, sum.MoreDamage, sum.Torn
	l.Damaged = int64(len(sum.Damage)) + sum.MoreDamage + l.foreign
	return nil
}

// is reports whether it is the log of server, as the first line says that tells. No other
// server is to be charged with what this one has written.
func (l *chainLog) is(server spiffeid.ID) bool {
	if l.Server == "" {
		l.Server = server.String()
	}
	if l.Server != server.String() {
		l.foreign++
		return false
	}
	return true
}

func (l *chainLog) took(e *chainlog.Entry) {
	if l.first.IsZero() || e.Time.Before(l.first) {
		l.first = e.Time
	}
	if e.Time.After(l.last) {
		l.last = e.Time
	}
}

// route puts a call to the others of its transaction.
func (s *sorter) route(number int, e *chainlog.Entry, bundle, before uint64) error {
	c := e.Call
	s.mu.Lock()
	s.counts.Records++
	s.counts.judged(c.Accepted())
	s.mu.Unlock()
	if c.Transaction == "" {
		s.withoutToken(number, e)
		return nil
	}
	f := make(spool.Frame, 0, len(e.Text)+256)
	f.Number(frameCall)
	f.Text(c.Transaction)
	f.Number(uint64(number)) //nolint:gosec // an index
	f.Text(e.File)
	f.Number(uint64(e.Line)) //nolint:gosec // from 1
	f.Number(bundle)
	f.Number(before)
	f = append(f, e.Text...)
	partition := s.transactions.Of(c.Transaction)
	at, err := s.transactions.Put(partition, f)
	if err == nil && !c.Link.IsZero() {
		link := append(spool.Frame(nil), c.Link[:]...)
		link.Number(uint64(partition)) //nolint:gosec // an index
		link.Number(uint64(at))        //nolint:gosec // an offset
		_, err = s.links.Put(s.links.Of(string(c.Link[:])), link)
	}
	if err != nil {
		return err
	}
	return s.noteTraces(c)
}

// noteTraces writes down in which traces a transaction is.
func (s *sorter) noteTraces(c *chainlog.Call) error {
	var done [16]byte
	for _, t := range [...]callchain.Trace{c.Span, c.Received} {
		if t.TraceID == ([16]byte{}) || t.TraceID == done {
			continue
		}
		done = t.TraceID
		trace := hex.EncodeToString(done[:])
		var f spool.Frame
		f.Text(trace)
		f.Text(c.Transaction)
		if _, err := s.traces.Put(s.traces.Of(trace), f); err != nil {
			return err
		}
	}
	return nil
}

// withoutToken is for calls without a valid token: they are of no transaction, and refused.
func (s *sorter) withoutToken(number int, e *chainlog.Entry) {
	f := Finding{
		Kind: KindRefused, Severity: SeverityInfo, Log: s.logs[number].Name, Line: e.Line,
		Servers: servers(e.Call.Server.String(), e.Call.Peer.String()),
		Text: fmt.Sprintf("%s refused a call of %s by %s, without a valid token, for %s.",
			e.Call.Server, e.Call.Method, peerName(e.Call), e.Call.Reason),
	}
	if e.Call.Accepted() {
		f.Kind, f.Severity = KindRecordMismatch, SeverityAlarm
		f.Text = fmt.Sprintf("According to its log, %s accepted a call of %s by %s without a valid token.",
			e.Call.Server, e.Call.Method, peerName(e.Call))
	}
	s.noted.add(f)
}
