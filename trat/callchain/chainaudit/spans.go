package chainaudit

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// maxAncestors is how far up from a span its transaction is looked for.
const maxAncestors = 64

// unlinked are services that are called without a chain: the one that issues tokens, and
// those of gRPC itself.
var unlinked = []string{"trat.v1.TokenService/", "grpc.health.", "grpc.reflection.", "grpc.channelz."}

// spanKey identifies a span.
type spanKey struct{ trace, span string }

// spanJoin is the comparison of a transaction with its spans.
type spanJoin struct {
	q       *inquiry
	spans   map[spanKey]*Span
	servers map[spanKey][]*Span // server spans by their parent
	named   map[namedKey]*Span  // those that name a link, the last of each
	linked  map[spanKey]*Hop    // client spans that links name
	arrived map[spanKey]*Hop    // server spans of hops
}

// namedKey identifies the server span of a link among those of one parent.
type namedKey struct {
	parent spanKey
	link   string
}

// newSpanJoin indexes the spans.
func newSpanJoin(q *inquiry) *spanJoin {
	j := &spanJoin{
		q: q, spans: make(map[spanKey]*Span), servers: make(map[spanKey][]*Span), named: make(map[namedKey]*Span),
		linked: make(map[spanKey]*Hop), arrived: make(map[spanKey]*Hop),
	}
	for _, s := range q.m.spans {
		j.spans[s.key()] = j.oneOf(j.spans[s.key()], s)
		if s.Kind == SpanServer && s.ParentID != "" {
			j.servers[s.parentKey()] = append(j.servers[s.parentKey()], s)
			j.named[namedKey{s.parentKey(), s.Link}] = s
		}
	}
	return j
}

// joinSpans compares the hops with the spans: every call must be in both, and say the same.
func (q *inquiry) joinSpans() {
	if len(q.m.spans) == 0 {
		return
	}
	j := newSpanJoin(q)
	for _, h := range q.hops {
		if link, proved := q.links[h.hash]; proved && !link.Trace().IsZero() {
			j.hop(h, keyOf(link.Trace()))
		}
	}
	j.recorded()
	for _, s := range q.m.spans {
		switch s.Kind {
		case SpanServer:
			j.server(s)
		case SpanClient:
			j.client(s)
		}
	}
}

func (s *Span) key() spanKey       { return spanKey{s.TraceID, s.SpanID} }
func (s *Span) parentKey() spanKey { return spanKey{s.TraceID, s.ParentID} }

func keyOf(t callchain.Trace) spanKey {
	return spanKey{hex.EncodeToString(t.TraceID[:]), hex.EncodeToString(t.SpanID[:])}
}

// oneOf decides between two spans of one id. Whoever receives a call knows the id of its
// client span, and can export one that says something else: that one names no link that was
// signed for the id.
func (j *spanJoin) oneOf(known, s *Span) *Span {
	if known == nil {
		return s
	}
	f := Finding{
		Kind: KindSpanMismatch, Severity: SeverityWarning, Servers: servers(known.Service, s.Service),
		Text: fmt.Sprintf("There are two spans of the id %s in the trace %s that do not say the same: one of them was made up.", s.SpanID, s.TraceID),
	}
	if !j.q.reported[report{nil, f.Kind}] {
		j.q.reported[report{nil, f.Kind}] = true
		j.q.find(nil, s.Start, f)
	}
	if h := j.q.hopOf(s.Link); h != nil && keyOf(j.q.links[h.hash].Trace()) == s.key() {
		return s
	}
	return known
}

// hop finds the spans of a link.
func (j *spanJoin) hop(h *Hop, client spanKey) {
	j.linked[client] = h
	if s := j.spans[client]; s != nil {
		h.Client = s
		j.compare(h, s, h.Caller)
	}
	if h.Server = j.named[namedKey{client, h.Link}]; h.Server == nil && len(j.servers[client]) > 0 {
		h.Server = j.servers[client][0]
	}
	if h.Server != nil {
		j.arrived[h.Server.key()] = h
		if h.Server.Result == semconv.ResultOK {
			j.compare(h, h.Server, h.Callee)
		}
	}
}

// compare holds what a span says to the link of its call.
func (j *spanJoin) compare(h *Hop, s *Span, by string) {
	f := Finding{Kind: KindSpanMismatch, Severity: SeverityWarning}
	switch {
	case s.Link == "":
		f.Text = fmt.Sprintf("The %s span of the call of %s to %s does not name the link that was signed for it: the attribute was removed.",
			s.Kind, h.Caller, h.Callee)
	case s.Link != h.Link:
		f.Severity = SeverityAlarm
		f.Text = fmt.Sprintf("The %s span of the call of %s to %s names another link than the one that was signed for it.", s.Kind, h.Caller, h.Callee)
	case s.Txn != "" && s.Txn != j.q.m.txn:
		f.Severity = SeverityAlarm
		f.Text = fmt.Sprintf("The %s span of a call of this transaction says that it is of the transaction %s.", s.Kind, s.Txn)
	default:
		return
	}
	f.Servers = servers(by)
	j.q.find(h, s.Start, f)
}

// recorded looks where the spans hang of which servers have written down the ids.
func (j *spanJoin) recorded() {
	for _, c := range j.q.m.calls {
		h := j.q.byLink[c.Link]
		s := j.spans[keyOf(c.Span)]
		if h == nil || s == nil || h.Proof != ProofSigned {
			continue
		}
		j.arrived[s.key()] = h
		if h.Server == nil {
			h.Server = s
		}
		trace := j.q.links[h.hash].Trace()
		if trace.IsZero() || s.parentKey() == keyOf(trace) || j.q.reported[report{h, KindTraceMismatch}] {
			continue
		}
		j.q.find(h, c.time, Finding{
			Kind: KindTraceMismatch, Severity: SeverityWarning,
			Text: fmt.Sprintf("In the trace, the call of %s that %s served does not hang below the span that %s signed: it was moved there.",
				h.Method, h.Callee, h.Caller),
		})
	}
}

// server looks at a call that a server span tells of.
func (j *spanJoin) server(s *Span) {
	if s.ParentID == "" || j.linked[s.parentKey()] != nil || j.arrived[s.key()] != nil || !needsLink(s) {
		return
	}
	client := j.spans[s.parentKey()]
	if client != nil && client.Kind != SpanClient {
		client = nil
	}
	guarded := s.Result == semconv.ResultOK || s.Result == semconv.ResultWouldDeny
	above := j.above(client)
	switch link := linkOf(s, client); {
	case link != "" && j.isKnown(link):
		return // of another span, which the record's own comparison tells
	case link != "":
		j.unrecorded(client, s, link, above)
	case guarded || above != nil:
		severity := SeverityWarning
		text := "Spans show that %s called %s of %s, and no link covers the call: nobody has signed that it happened."
		if guarded {
			severity = SeverityAlarm
			text = "Spans show that %s called %s of %s with the token of the transaction, and no link covers the call: nobody has signed for it."
		}
		h := j.add(client, s, "", above)
		j.q.find(h, s.Start, Finding{
			Kind: KindHopWithoutLink, Severity: severity, Servers: servers(h.Caller, h.Callee),
			Text: fmt.Sprintf(text, h.Caller, h.Method, h.Callee),
		})
	}
}

// client looks at a call of which only the caller's span tells.
func (j *spanJoin) client(s *Span) {
	if j.linked[s.key()] != nil || len(j.servers[s.key()]) > 0 || !needsLink(s) {
		return
	}
	switch {
	case s.Link != "" && j.isKnown(s.Link):
		h := j.q.hopOf(s.Link)
		j.q.find(h, s.Start, Finding{
			Kind: KindSpanMismatch, Severity: SeverityAlarm, Servers: servers(h.Caller, s.Service),
			Text: fmt.Sprintf("A span of %s names a link that was signed for another span.", s.Service),
		})
	case s.Link != "":
		j.unrecorded(s, nil, s.Link, j.above(s))
	case s.Outcome == semconv.OutcomeAttached:
		h := j.add(s, nil, "", j.above(s))
		j.q.find(h, s.Start, Finding{
			Kind: KindHopWithoutLink, Severity: SeverityWarning, Servers: servers(s.Service),
			Text: fmt.Sprintf("A span shows that %s sent the token of the transaction with a call of %s, and no link covers the call.", h.Caller, h.Method),
		})
	}
}

// unrecorded reports a link that spans name and that no server has recorded.
func (j *spanJoin) unrecorded(client, server *Span, link string, above *Hop) {
	h := j.add(client, server, link, above)
	f := Finding{Kind: KindLinkWithoutRecord, Severity: SeverityWarning, Servers: servers(h.Caller, h.Callee), Text: fmt.Sprintf(
		"A span of %s says that it signed a call of %s, and no server has a record of it: it never arrived, or the record was lost or removed.",
		h.Caller, h.Method)}
	if server != nil {
		f.Text = fmt.Sprintf("Spans show that %s called %s of %s with a link, and the server has no record of it: the record was lost or removed.",
			h.Caller, h.Method, h.Callee)
	}
	j.q.find(h, h.IssuedAt, f)
}

// add makes a hop of which only spans tell. One that has a link and two spans is made once.
func (j *spanJoin) add(client, server *Span, link string, above *Hop) *Hop {
	h := &Hop{Link: link, Client: client, Server: server, Proof: ProofSpans, Caller: "unknown", Callee: "unknown"}
	for _, s := range [...]*Span{server, client} {
		if s == nil {
			continue
		}
		h.IssuedAt = s.Start
		if s.Method != "" {
			h.Method = "/" + strings.TrimPrefix(s.Method, "/")
		} else {
			h.Method = s.Name
		}
	}
	if client != nil {
		h.Caller = client.Service
	}
	if server != nil {
		h.Callee = server.Service
		j.arrived[server.key()] = h
	}
	j.q.hops = append(j.q.hops, h)
	if above == nil {
		j.q.t.Roots = append(j.q.t.Roots, h)
		return h
	}
	if h.Caller == "unknown" {
		h.Caller = above.Callee
	}
	h.Depth = above.Depth + 1
	above.Children = append(above.Children, h)
	return h
}

// above returns the hop in whose handler a span began.
func (j *spanJoin) above(s *Span) *Hop {
	for range maxAncestors {
		if s == nil {
			return nil
		}
		if h := j.arrived[s.key()]; h != nil {
			return h
		}
		s = j.spans[s.parentKey()]
	}
	return nil
}

// needsLink reports whether a call that a span tells of should have a link.
func needsLink(s *Span) bool {
	off := callchain.ModeOff.String()
	if s.Mode == off || s.ChainResult == semconv.ChainResultOff || s.Result == semconv.ResultExempt ||
		s.Result == semconv.ResultDenied || s.Result == semconv.ResultError {
		return false
	}
	method := strings.TrimPrefix(s.Method, "/")
	if method == "" {
		method = strings.TrimPrefix(s.Name, "/")
	}
	for _, service := range unlinked {
		if strings.HasPrefix(method, service) {
			return false
		}
	}
	return true
}

// linkOf returns the link that the spans of a call name.
func linkOf(server, client *Span) string {
	if server.Link == "" && client != nil {
		return client.Link
	}
	return server.Link
}

func (j *spanJoin) isKnown(link string) bool { return j.q.hopOf(link) != nil }

// hopOf returns the hop of a link in text.
func (q *inquiry) hopOf(link string) *Hop {
	hash, err := base64.RawURLEncoding.Strict().DecodeString(link)
	if err != nil || len(hash) != len(callchain.Hash{}) {
		return nil
	}
	return q.byLink[callchain.Hash(hash)]
}
