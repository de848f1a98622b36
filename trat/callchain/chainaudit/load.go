package chainaudit

import (
	"cmp"
	"slices"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/internal/spool"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainlog"
)

// material is all that the inputs have of one transaction.
type material struct {
	txn    string
	calls  []*judged
	spans  []*Span
	issued []issued
}

// judged is one recorded call.
type judged struct {
	*chainlog.Call
	time           time.Time
	log            *chainLog
	file           string
	line           int64
	bundle, before uint64

	chain *callchain.Chain // nil if it does not verify, or there is none
	err   error
}

// load reads the transactions of a partition, in the order of their first call.
func (s *sorter) load(partition int) ([]*material, error) {
	byTxn := make(map[string]*material)
	err := s.transactions.Read(partition, func(text []byte) error {
		u := spool.Reader{Rest: text}
		kind, txn := u.Number(), u.Text()
		m := byTxn[txn]
		if m == nil {
			m = &material{txn: txn}
			byTxn[txn] = m
		}
		switch kind {
		case frameCall:
			c, err := s.readCall(&u)
			if err != nil {
				return err
			}
			m.calls = append(m.calls, c)
		case frameSpan:
			span, ok := readSpan(&u)
			if !ok {
				return spool.ErrChanged
			}
			m.spans = append(m.spans, span)
		default:
			m.issued = append(m.issued, issued{Transaction: txn, Fingerprint: u.Text(), Requester: u.Text(), Link: u.Text(), Time: u.Time()})
		}
		if u.Failed {
			return spool.ErrChanged
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all := make([]*material, 0, len(byTxn))
	for _, m := range byTxn {
		m.sort()
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *material) int {
		return cmp.Or(a.start().Compare(b.start()), cmp.Compare(a.txn, b.txn))
	})
	return all, nil
}

func (s *sorter) readCall(u *spool.Reader) (*judged, error) {
	number := u.Number()
	c := &judged{file: u.Text(), line: int64(u.Number()), bundle: u.Number(), before: u.Number()} //nolint:gosec // as it was put there
	if u.Failed || number >= uint64(len(s.logs)) {
		return nil, spool.ErrChanged
	}
	c.log = s.logs[number]
	var err error
	c.Call, c.time, err = chainlog.ParseCall(u.Rest)
	return c, err
}

// sort makes the order independent of that in which files were read.
func (m *material) sort() {
	slices.SortFunc(m.calls, func(a, b *judged) int {
		return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	})
	slices.SortFunc(m.spans, func(a, b *Span) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.TraceID, b.TraceID), cmp.Compare(a.SpanID, b.SpanID), cmp.Compare(a.Name, b.Name))
	})
	// An exporter that retries sends a span twice.
	m.spans = slices.CompactFunc(m.spans, func(a, b *Span) bool { return *a == *b })
}

// counts is how much the inputs have of it.
func (m *material) counts() Counts {
	c := Counts{Records: int64(len(m.calls)), Spans: int64(len(m.spans)), Issued: int64(len(m.issued))}
	for _, call := range m.calls {
		c.judged(call.Accepted())
	}
	return c
}

// knownFrom is what tells of it.
func (m *material) knownFrom() Knowledge {
	switch {
	case len(m.calls) > 0:
		return KnownFromRecords
	case len(m.spans) > 0:
		return KnownFromSpans
	}
	return KnownFromIssuance
}

func (m *material) start() time.Time {
	if len(m.calls) > 0 {
		return m.calls[0].time
	}
	if len(m.spans) > 0 {
		return m.spans[0].Start
	}
	if len(m.issued) > 0 {
		return m.issued[0].Time
	}
	return time.Time{}
}

// elsewhere finds calls of any transaction that were recorded with a link.
func (s *sorter) elsewhere(link callchain.Hash) ([]*judged, error) {
	const enough = 8
	var calls []*judged
	err := s.links.Read(s.links.Of(string(link[:])), func(text []byte) error {
		if len(calls) == enough || len(text) < len(link) || callchain.Hash(text[:len(link)]) != link {
			return nil
		}
		place := spool.Reader{Rest: text[len(link):]}
		partition, at := place.Number(), place.Number()
		if place.Failed || partition >= uint64(s.transactions.Parts()) { //nolint:gosec // a count
			return spool.ErrChanged
		}
		found, err := s.transactions.At(int(partition), int64(at)) //nolint:gosec // as they were put there
		if err != nil {
			return err
		}
		u := spool.Reader{Rest: found}
		_, _ = u.Number(), u.Bytes()
		c, err := s.readCall(&u)
		if err == nil {
			calls = append(calls, c)
		}
		return err
	})
	return calls, err
}
