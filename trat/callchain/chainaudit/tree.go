package chainaudit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// tokens lists the tokens of the transaction and compares what is said of each.
func (q *inquiry) tokens() {
	first := make(map[[32]byte]*judged)
	var order []*judged
	for _, c := range q.m.calls {
		known := first[c.TokenHash]
		switch {
		case known == nil:
			first[c.TokenHash] = c
			order = append(order, c)
		case known.Requester != c.Requester:
			q.find(nil, c.time, Finding{
				Kind: KindTwoRoots, Severity: SeverityAlarm, Log: c.file, Line: c.line,
				Servers: servers(known.Server.String(), c.Server.String()),
				Text: fmt.Sprintf("%s says that the token was issued for %s, and %s says for %s: one of them made up a beginning of the chain.",
					known.Server, known.Requester, c.Server, c.Requester),
			})
		case known.Anchor != c.Anchor || !known.IssuedAt.Equal(c.IssuedAt):
			q.find(nil, c.time, contradiction(c, "saw a token with other claims than "+known.Server.String()+" saw in the same token"))
		}
	}
	slices.SortStableFunc(order, func(a, b *judged) int { return a.IssuedAt.Compare(b.IssuedAt) })
	byToken := make(map[string]*issued, len(q.m.issued))
	for i := range slices.Backward(q.m.issued) { // of several about one token, the first
		byToken[q.m.issued[i].Fingerprint] = &q.m.issued[i]
	}
	if len(order) == 0 {
		q.unusedTokens()
	}
	requester := ""
	for _, c := range order {
		t := Token{
			Hash: callchain.Hash(c.TokenHash).String(), Requester: c.Requester, Anchor: c.Anchor.String(), IssuedAt: c.IssuedAt,
		}
		t.Issued = q.issued(c, &t, byToken[t.Hash])
		q.t.Tokens = append(q.t.Tokens, t)
		if t.Anchor != "" {
			continue
		}
		if requester != "" && requester != t.Requester {
			q.find(nil, c.time, Finding{
				Kind: KindTwoRoots, Severity: SeverityAlarm, Log: c.file, Line: c.line, Servers: servers(requester, t.Requester),
				Text: fmt.Sprintf("The transaction begins twice: there is a token that %s requested and one that %s requested, "+
					"and the later one does not continue a chain.", requester, t.Requester),
			})
		}
		requester = t.Requester
	}
}

// unusedTokens lists the tokens of a transaction of which no server has recorded a call, as the
// token service tells of them.
func (q *inquiry) unusedTokens() {
	for i := range q.m.issued {
		is := &q.m.issued[i]
		q.t.Tokens = append(q.t.Tokens, Token{
			Hash: is.Fingerprint, Requester: is.Requester, Anchor: is.Link, IssuedAt: is.Time, Issued: IssuanceRecorded,
		})
	}
}

// issued compares a token with what the token service has written down, which is nil if it
// has not.
func (q *inquiry) issued(c *judged, t *Token, is *issued) Issuance {
	if !q.s.issuedGiven {
		return IssuanceUnknown
	}
	f := Finding{Kind: KindTokenNotIssued, Severity: SeverityAlarm, Log: c.file, Line: c.line, Servers: servers(c.Server.String(), t.Requester)}
	switch {
	case is == nil:
		f.Text = fmt.Sprintf("%s judged a call with a token of %s that the log of the token service does not have.", c.Server, t.Requester)
	case is.Requester != t.Requester:
		f.Text = fmt.Sprintf("%s says that a token is of %s, and the token service says that it issued it to %s.",
			c.Server, t.Requester, is.Requester)
	case is.Link != t.Anchor:
		f.Text = fmt.Sprintf("%s says that a token continues another chain than the token service says it does.", c.Server)
	default:
		return IssuanceRecorded
	}
	q.find(nil, c.time, f)
	return IssuanceContradicted
}

// connect makes the tree.
func (q *inquiry) connect() {
	for _, h := range slices.Clone(q.hops) {
		q.place(h)
	}
}

// place puts a hop below the one that led to it.
func (q *inquiry) place(h *Hop) {
	before := callchain.Hash{}
	if link, proved := q.links[h.hash]; proved {
		if before = link.Parent(); before.IsZero() {
			before = link.Anchor()
		}
	}
	if before.IsZero() {
		q.t.Roots = append(q.t.Roots, h)
		return
	}
	parent := q.byLink[before]
	if parent == nil {
		parent = q.add(before, &Hop{Callee: h.Caller, Token: h.Token, Proof: ProofNamed, Depth: max(0, h.Depth-1), IssuedAt: h.IssuedAt})
		q.t.Roots = append(q.t.Roots, parent)
		text := fmt.Sprintf("%s called %s because of a call that it had received, and nobody has a record of that one.", h.Caller, h.Callee)
		if !q.hasLog(h.Caller) {
			text += fmt.Sprintf(" It took part, and no log of %s was given: it is elsewhere, or withheld.", h.Caller)
		}
		q.find(h, h.IssuedAt, Finding{Kind: KindMissingParent, Severity: SeverityWarning, Text: text})
	}
	parent.Children = append(parent.Children, h)
}

// hasLog reports whether a log of the server was given.
func (q *inquiry) hasLog(server string) bool {
	return slices.ContainsFunc(q.s.logs, func(l *chainLog) bool { return l.Server == server })
}

// compareLinks holds each link to its parent, and to what servers have recorded.
func (q *inquiry) compareLinks() {
	spans := make(map[callchain.Trace]*Hop)
	for _, h := range q.hops {
		link, proved := q.links[h.hash]
		if !proved {
			continue
		}
		q.compareParent(h, link)
		q.compareJudgements(h)
		if trace := link.Trace(); !trace.IsZero() {
			if other := spans[trace]; other != nil && other.Callee != h.Callee {
				q.find(h, h.IssuedAt, Finding{
					Kind: KindWrongAudience, Severity: SeverityAlarm, Servers: servers(h.Caller, h.Callee, other.Callee),
					Text: fmt.Sprintf("%s signed two calls with the same span, one to %s and one to %s: one of them is not what it seems.",
						h.Caller, other.Callee, h.Callee),
				})
			}
			spans[trace] = h
		}
	}
}

// compareParent checks that a link continues what its signer received.
func (q *inquiry) compareParent(h *Hop, link callchain.Link) {
	before := link.Parent()
	anchored := before.IsZero()
	if anchored {
		before = link.Anchor()
	}
	parent, known := q.links[before]
	if before.IsZero() || !known {
		return
	}
	switch {
	case parent.Audience() != link.Issuer():
		q.find(h, h.IssuedAt, Finding{
			Kind: KindForgedParent, Severity: SeverityAlarm, Servers: servers(h.Caller, h.Callee, parent.Audience().String()),
			Text: fmt.Sprintf("%s says that it called %s because of a call that was made to %s and not to it.",
				h.Caller, h.Callee, parent.Audience()),
		})
	case !anchored && parent.TokenHash() != link.TokenHash():
		q.find(h, h.IssuedAt, Finding{
			Kind: KindSplicedLink, Severity: SeverityAlarm,
			Text: fmt.Sprintf("%s continued with one token a chain that belongs to another one.", h.Caller),
		})
	case !anchored && link.Depth() != parent.Depth()+1:
		q.find(h, h.IssuedAt, Finding{
			Kind: KindDepthGap, Severity: SeverityAlarm,
			Text: fmt.Sprintf("The call of %s to %s says that %d calls led to it, and there are %d.", h.Caller, h.Callee, link.Depth(), parent.Depth()+1),
		})
	case q.onlyRefused(before):
		f := Finding{
			Kind: KindRecordMismatch, Severity: SeverityAlarm,
			Text: fmt.Sprintf("%s recorded that it refused a call, and went on to call %s because of it.", h.Caller, h.Callee),
		}
		if q.lostRecords(h.Caller) {
			f.Severity = SeverityWarning
			f.Text = fmt.Sprintf("%s recorded that it refused a call, and went on to call %s because of it. "+
				"It says that it lost records: it may have accepted the call when it came again.", h.Caller, h.Callee)
		}
		q.find(h, h.IssuedAt, f)
	}
}

// lostRecords reports whether a server says that it lost records. Its caller can have caused
// that, so that a record that is missing does not accuse it.
func (q *inquiry) lostRecords(server string) bool {
	return slices.ContainsFunc(q.s.logs, func(l *chainLog) bool { return l.Server == server && l.Lost > 0 })
}

// crashed reports whether a log of the server was not closed after a call of that time could
// have come.
func (q *inquiry) crashed(server string, signed time.Time) bool {
	return slices.ContainsFunc(q.s.logs, func(l *chainLog) bool { return l.Server == server && l.runs.cutShort(signed) })
}

func (q *inquiry) onlyRefused(link callchain.Hash) bool {
	judgements := q.byLink[link].Judgements
	return len(judgements) > 0 && !slices.ContainsFunc(judgements, func(j Judgement) bool { return j.Accepted })
}

// compareJudgements looks at how often a call was judged.
func (q *inquiry) compareJudgements(h *Hop) {
	if len(h.Judgements) == 0 {
		q.find(h, h.IssuedAt, q.withoutRecord(h))
		return
	}
	var by []string
	for _, j := range h.Judgements {
		if j.Accepted {
			by = append(by, j.Server)
		}
	}
	if len(by) > 1 {
		q.find(h, h.IssuedAt, Finding{
			Kind: KindAcceptedTwice, Severity: SeverityAlarm, Servers: servers(append(by, h.Caller)...),
			Text: fmt.Sprintf("The one call of %s that %s made was accepted %d times (by %s): it was replayed, and nothing stopped it.",
				h.Method, h.Caller, len(by), strings.Join(servers(by...), ", ")),
		})
	}
}

// withoutRecord reports a signed call that no server has recorded. That the server went on
// because of it proves that it received the call: then its log, or the record, is missing. The
// others that sign no further call may never have got it.
func (q *inquiry) withoutRecord(h *Hop) Finding {
	f := Finding{Kind: KindLinkWithoutRecord, Severity: SeverityWarning}
	wentOn, given := len(h.Children) > 0, q.hasLog(h.Callee)
	switch {
	case wentOn && !given:
		f.Text = fmt.Sprintf("%s received a call of %s by %s, for it went on because of it, and no log of it was given: it is elsewhere, or withheld.",
			h.Callee, h.Method, h.Caller)
	case wentOn:
		f.Text = fmt.Sprintf("%s received a call of %s by %s, for it went on because of it, and has no record: the record was lost or removed.",
			h.Callee, h.Method, h.Caller)
		switch {
		case q.lostRecords(h.Callee):
		case q.crashed(h.Callee, h.IssuedAt):
			f.Text = fmt.Sprintf("%s received a call of %s by %s, for it went on because of it, and has no record. "+
				"Its log was not closed then: the record was lost when it crashed or was killed, or was removed with the end.",
				h.Callee, h.Method, h.Caller)
		default:
			f.Severity = SeverityAlarm
		}
	case given:
		f.Text = fmt.Sprintf("%s signed a call of %s to %s, which has no record of it: it never arrived, or the record was lost or removed.",
			h.Caller, h.Method, h.Callee)
	default:
		f.Severity = SeverityInfo
		f.Text = fmt.Sprintf("%s signed a call of %s to %s, of which no log was given.", h.Caller, h.Method, h.Callee)
	}
	return f
}

// compareRecord holds what a server has written to the links that it has verified.
func (q *inquiry) compareRecord(c *judged, h *Hop) {
	link := c.chain.Last()
	switch {
	case c.Link != link.Hash():
		q.find(h, c.time, contradiction(c, "names another link than the one that it has verified"))
	case !c.Peer.IsZero() && c.Peer != link.Issuer():
		q.find(h, c.time, contradiction(c, "names another caller than "+h.Caller+", which signed"))
	case c.Method != link.Method():
		q.find(h, c.time, contradiction(c, "names another method than "+h.Method+", which was signed"))
	}
	trace := link.Trace()
	if c.Received.IsZero() || trace.IsZero() || c.Received == trace {
		return
	}
	q.find(h, c.time, Finding{
		Kind: KindTraceMismatch, Severity: SeverityWarning, Log: c.file, Line: c.line,
		Text: fmt.Sprintf("The traceparent that came to %s with the call of %s is not that of the span that %s signed: "+
			"it was forged, or something in between has rewritten it.", h.Callee, h.Method, h.Caller),
	})
}
