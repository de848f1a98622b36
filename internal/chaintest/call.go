package chaintest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Place is where a transaction is: in a handler of a workload, with what came with the call.
type Place struct {
	// At is the name of the workload.
	At    string
	Token *trat.Token
	Chain *callchain.Chain
	// Record is what the workload has recorded of the call; zero at the beginning.
	Record callchain.Record

	w    *World
	span callchain.Trace // of the handler
}

// Options say how a call differs from an ordinary one: in path mode, accepted, recorded,
// with spans.
type Options struct {
	Mode callchain.Mode
	// Refused is why the call is refused.
	Refused trat.Reason
	// Unrecorded leaves no record, Twice leaves two.
	Unrecorded, Twice bool
	// Traceparent is what arrives in place of the caller's span.
	Traceparent callchain.Trace
	// Untraced makes no spans, and a link without one.
	Untraced bool
}

// Begin is the beginning of a transaction: a token for the workload with a name.
func (w *World) Begin(requester string) *Place {
	w.tb.Helper()
	now := w.Now()
	token := w.token(trat.Claims{
		TransactionID: rand.Text(), RequestingWorkload: w.ID(requester).String(), IssuedAt: now.Truncate(time.Second),
	})
	w.Workload(requester)
	p := &Place{At: requester, Token: token, w: w, span: newTrace(callchain.Trace{})}
	w.span(Span{Trace: p.span, Service: requester, Name: "request", Kind: "server", Start: now})
	return p
}

// token issues a token.
func (w *World) token(c trat.Claims) *trat.Token {
	w.tb.Helper()
	c.Issuer, c.Audience, c.Subject = issuer, w.domain.Name(), "user-1"
	var err error
	c.Scope, err = trat.ParseScope("order.create")
	w.check(err)
	c.Expiry = c.IssuedAt.Add(time.Minute)
	unsigned, err := trat.Prepare(c)
	w.check(err)
	raw, err := w.tokens.Sign(unsigned)
	w.check(err)
	token, err := w.verifier.Verify(raw)
	w.check(err)
	w.noteIssued(&c, token)
	return token
}

// Checkpoint is the same place with a new token that is bound to the chain so far.
func (p *Place) Checkpoint() *Place {
	p.w.tb.Helper()
	old := p.Token.Claims()
	requesters, err := old.Requesters().With(p.w.ID(p.At).String())
	p.w.check(err)
	next := *p
	next.Token = p.w.token(trat.Claims{
		TransactionID: old.TransactionID, RequestingWorkload: p.w.ID(p.At).String(), RequestingWorkloadChain: requesters,
		ReplacementCount: old.ReplacementCount + 1, TransactionStart: old.FirstIssuedAt(),
		IssuedAt: p.w.Now().Truncate(time.Second), CallChainHash: p.Chain.Last().Hash(),
	})
	next.Chain = nil
	return &next
}

// Call makes a call and returns where it arrives.
func (p *Place) Call(to, method string, options ...func(*Options)) *Place {
	w := p.w
	w.tb.Helper()
	w.Advance(time.Millisecond)
	o := Options{Mode: callchain.ModePath}
	for _, option := range options {
		option(&o)
	}
	caller, callee := w.Workload(p.At), w.Workload(to)
	client := newTrace(p.span)
	if o.Untraced {
		client = callchain.Trace{}
	}
	signed, err := caller.signer.SignLink(context.Background(), callchain.Draft{
		Audience: callee.ID, Method: method, Token: p.Token, Parent: p.Chain, Trace: client,
	})
	w.check(err)
	svid, err := caller.source.GetX509SVID()
	w.check(err)
	encoded, err := signed.Encode(o.Mode, svid.Certificates[0])
	w.check(err)
	chain, err := callee.verifier.Verify(callchain.Received{
		Encoded: encoded, Audience: callee.ID, Method: method, Token: p.Token, Mode: o.Mode,
		Peer: callchain.Peer{ID: caller.ID, Leaf: svid.Certificates[0], Intermediates: svid.Certificates[1:]},
	})
	w.check(err)
	next := &Place{At: to, Token: p.Token, Chain: chain, w: w, span: newTrace(client)}
	next.Record = callchain.Record{
		Time: w.Now(), Server: callee.ID, Peer: caller.ID, Method: method, Mode: o.Mode, Token: p.Token, Chain: chain,
		Encoded: sha256.Sum256([]byte(encoded)), Result: "ok", Reason: o.Refused, Received: client, Span: next.span,
	}
	if !o.Traceparent.IsZero() {
		next.Record.Received = o.Traceparent
	}
	if o.Untraced {
		next.Record.Span = callchain.Trace{}
	}
	for range map[bool]int{false: 1, true: 2}[o.Twice] {
		if !o.Unrecorded {
			callee.log.Record(context.Background(), next.Record)
		}
	}
	p.exportCall(next, client, &o)
	return next
}

// exportCall makes the spans of a call, as carrier and guard annotate them.
func (p *Place) exportCall(next *Place, client callchain.Trace, o *Options) {
	if o.Untraced {
		return
	}
	method, link, txn := next.Record.Method[1:], next.Chain.Last().Hash().String(), p.Token.TransactionID()
	parent := client
	if !o.Traceparent.IsZero() {
		parent = o.Traceparent
	}
	result := "ok"
	if o.Refused != "" {
		result = "denied"
	}
	now := p.w.Now()
	p.w.span(Span{
		Trace: client, Parent: p.span.SpanID, Service: p.At, Name: method, Kind: "client", Start: now,
		Attributes: map[string]string{
			"rpc.method": method, "txn_token.txn": txn, "txn_token.outcome": "attached",
			"txn_chain.link.hash": link, "txn_chain.mode": o.Mode.String(),
		},
	})
	p.w.span(Span{
		Trace: callchain.Trace{TraceID: parent.TraceID, SpanID: next.span.SpanID}, Parent: parent.SpanID,
		Service: next.At, Name: method, Kind: "server", Start: now,
		Attributes: map[string]string{
			"rpc.method": method, "txn_token.txn": txn, "txn_token.result": result,
			"txn_chain.link.hash": link, "txn_chain.mode": o.Mode.String(), "txn_chain.result": "ok",
		},
	})
}

// Write puts a record into the log of the workload with a name, as that workload might.
func (w *World) Write(name string, r callchain.Record) {
	w.Workload(name).log.Record(context.Background(), r)
}

// newTrace is a new span in the trace of another one; of a new trace for the zero Trace.
func newTrace(in callchain.Trace) callchain.Trace {
	t := in
	if t.IsZero() {
		_, _ = rand.Read(t.TraceID[:])
	}
	_, _ = rand.Read(t.SpanID[:])
	return t
}

// NewTrace is a span that has nothing to do with any other.
func NewTrace() callchain.Trace { return newTrace(callchain.Trace{}) }

func spanID(id [8]byte) string {
	if id == [8]byte{} {
		return ""
	}
	return hex.EncodeToString(id[:])
}
