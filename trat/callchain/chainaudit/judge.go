package chainaudit

import (
	"cmp"
	"slices"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// inquiry is the audit of one transaction: what is known of it so far, and what was found.
type inquiry struct {
	s *sorter
	m *material
	t *Transaction
	// byLink has all hops that have a link; links those of proved ones.
	byLink map[callchain.Hash]*Hop
	links  map[callchain.Hash]callchain.Link
	hops   []*Hop // of byLink, and those that only spans tell of
	found  []found
	// reported has what was found about hops.
	reported map[report]bool
}

// report is a kind of finding about a hop.
type report struct {
	hop  *Hop
	kind Kind
}

// found is a finding with the hop that it is about, if any.
type found struct {
	Finding
	hop *Hop
	at  time.Time
}

// judge audits one transaction.
func (s *sorter) judge(m *material) (*Transaction, error) {
	q := &inquiry{
		s: s, m: m, t: &Transaction{ID: m.txn, KnownFrom: m.knownFrom(), Tokens: []Token{}, Roots: []*Hop{}, Spans: len(m.spans)},
		byLink: make(map[callchain.Hash]*Hop), links: make(map[callchain.Hash]callchain.Link),
		reported: make(map[report]bool),
	}
	if err := q.takeCalls(); err != nil {
		return nil, err
	}
	q.tokens()
	q.connect()
	q.compareLinks()
	q.joinSpans()
	q.finish()
	return q.t, nil
}

// takeCalls verifies the recorded calls and makes hops of their links.
func (q *inquiry) takeCalls() error {
	for _, c := range q.m.calls {
		if !c.HasReceipt() {
			q.unproved(c)
			continue
		}
		q.s.prove(c)
		if c.err != nil {
			if err := q.failed(c); err != nil {
				return err
			}
			continue
		}
		last := q.takeChain(c.chain)
		q.compareRecord(c, last)
		q.judgement(c, last)
	}
	return nil
}

// takeChain makes hops of all links of a chain and returns that of the last one.
func (q *inquiry) takeChain(chain *callchain.Chain) *Hop {
	var h *Hop
	for link := range chain.Links() {
		if h = q.byLink[link.Hash()]; h == nil || h.Proof != ProofSigned {
			h = q.take(link)
		}
	}
	return h
}

// take makes a hop of a link that was verified.
func (q *inquiry) take(link callchain.Link) *Hop {
	h := q.byLink[link.Hash()]
	if h == nil {
		h = q.add(link.Hash(), &Hop{})
	}
	h.Parent, h.Anchor, h.Depth = link.Parent().String(), link.Anchor().String(), link.Depth()
	h.Caller, h.Callee, h.Method = link.Issuer().String(), link.Audience().String(), link.Method()
	h.IssuedAt, h.Token, h.Proof = link.IssuedAt(), callchain.Hash(link.TokenHash()).String(), ProofSigned
	q.links[link.Hash()] = link
	return h
}

func (q *inquiry) add(hash callchain.Hash, h *Hop) *Hop {
	h.Link, h.hash = hash.String(), hash
	q.byLink[hash] = h
	q.hops = append(q.hops, h)
	return h
}

// unproved takes a call without a chain that was verified: a refused one, or one of a method
// that requires none.
func (q *inquiry) unproved(c *judged) {
	if c.Accepted() {
		if c.Mode != callchain.ModeOff.String() {
			q.find(nil, c.time, contradiction(c, "accepted a call without a chain, which only methods in mode off do"))
		}
		return
	}
	q.t.Refused = append(q.t.Refused, judgementOf(c))
	q.find(nil, c.time, refusal(c))
}

// failed takes a call whose chain does not verify.
func (q *inquiry) failed(c *judged) error {
	f, chain, err := q.explain(c)
	if err != nil {
		return err
	}
	var h *Hop
	switch {
	case chain != nil:
		h = q.takeChain(chain)
	case c.Link.IsZero():
		h = &Hop{}
		q.hops = append(q.hops, h)
	default:
		if h = q.byLink[c.Link]; h == nil {
			h = q.add(c.Link, &Hop{})
		}
	}
	if h.Proof == "" {
		h.Caller, h.Callee, h.Method = c.Peer.String(), c.Server.String(), c.Method
		h.IssuedAt, h.Token, h.Proof = c.time, callchain.Hash(c.TokenHash).String(), ProofFailed
	}
	h.Judgements = append(h.Judgements, judgementOf(c))
	q.find(h, c.time, f)
	return nil
}

// judgement adds what a server has decided about a call that is proved.
func (q *inquiry) judgement(c *judged, h *Hop) {
	h.Judgements = append(h.Judgements, judgementOf(c))
	if !c.Accepted() {
		q.find(h, c.time, refusal(c))
	}
}

func judgementOf(c *judged) Judgement {
	return Judgement{
		Time: c.time, Server: c.Server.String(), Replica: c.log.ID, Peer: c.Peer.String(), Method: c.Method, Mode: c.Mode,
		Accepted: c.Accepted(), Result: c.Result, Reason: c.Reason, Log: c.file, Line: c.line,
	}
}

// find adds a finding about a hop, or about the transaction when it is nil.
func (q *inquiry) find(h *Hop, at time.Time, f Finding) {
	f.Transaction = q.m.txn
	if h != nil {
		q.reported[report{h, f.Kind}] = true
		f.Link = h.Link
		if f.Servers == nil {
			f.Servers = servers(h.Caller, h.Callee)
		}
	}
	q.found = append(q.found, found{Finding: f, hop: h, at: at})
}

// finish puts what was found into the transaction, in an order that is always the same.
func (q *inquiry) finish() {
	slices.SortStableFunc(q.found, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), a.at.Compare(b.at), cmp.Compare(a.Text, b.Text))
	})
	for i, f := range q.found {
		q.t.Findings = append(q.t.Findings, f.Finding)
		if f.hop != nil {
			f.hop.Findings = append(f.hop.Findings, i)
		}
	}
	for _, h := range q.hops {
		q.t.Hops++
		if h.Proof == ProofSigned {
			q.t.Proved++
		}
		q.lasts(h.IssuedAt)
		for _, j := range h.Judgements {
			q.lasts(j.Time)
		}
	}
	for _, j := range q.t.Refused {
		q.lasts(j.Time)
	}
	if q.t.Start.IsZero() { // nobody tells of a call
		for i := range q.m.issued {
			q.lasts(q.m.issued[i].Time)
		}
	}
	sortHops(q.t.Roots)
	for _, h := range q.hops {
		sortHops(h.Children)
	}
}

// lasts widens the time that the transaction took.
func (q *inquiry) lasts(at time.Time) {
	if at.IsZero() {
		return
	}
	if q.t.Start.IsZero() || at.Before(q.t.Start) {
		q.t.Start = at
	}
	if at.After(q.t.End) {
		q.t.End = at
	}
}

func sortHops(hops []*Hop) {
	slices.SortStableFunc(hops, func(a, b *Hop) int {
		return cmp.Or(a.IssuedAt.Compare(b.IssuedAt), cmp.Compare(a.Link, b.Link))
	})
}
