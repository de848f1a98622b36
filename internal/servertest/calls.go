package servertest

import (
	"testing"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Method is what workloads call of each other.
const Method = "/shop.v1.Orders/Create"

// Identity is what a workload signs and verifies with.
type Identity interface {
	x509svid.Source
	x509bundle.Source
}

// Calls are calls between workloads, without the connections.
type Calls struct {
	Identity func(spiffeid.ID) Identity
	Clock    trat.Clock
}

// Calls are those in the World.
func (w *World) Calls() Calls {
	return Calls{Identity: func(id spiffeid.ID) Identity { return w.Authority.Source(id) }, Clock: w.Clock.Now}
}

// Sent is what caller sends with a call of callee that continues parent.
func (c Calls) Sent(t testing.TB, token *trat.Token, mode callchain.Mode, parent *callchain.Chain, caller, callee spiffeid.ID) string {
	t.Helper()
	own := c.Identity(caller)
	svid, err := own.GetX509SVID()
	check(t, err)
	signer, err := callchain.NewSigner(own, callchain.WithClock(c.Clock))
	check(t, err)
	link, err := signer.SignLink(t.Context(), callchain.Draft{Audience: callee, Method: Method, Token: token, Parent: parent})
	check(t, err)
	encoded, err := link.Encode(mode, svid.Certificates[0])
	check(t, err)
	return encoded
}

// Received returns the chain that the last of ids has verified, after each of them has
// called the next one with token. The first continues parent; with nil it begins, and is the
// one that requested token.
func (c Calls) Received(t testing.TB, token *trat.Token, mode callchain.Mode, parent *callchain.Chain, ids ...spiffeid.ID) *callchain.Chain {
	t.Helper()
	for i, callee := range ids[1:] {
		svid, err := c.Identity(ids[i]).GetX509SVID()
		check(t, err)
		verifier, err := callchain.NewVerifier(c.Identity(callee), callchain.WithClock(c.Clock))
		check(t, err)
		parent, err = verifier.Verify(callchain.Received{
			Encoded: c.Sent(t, token, mode, parent, ids[i], callee), Audience: callee, Method: Method, Token: token, Mode: mode,
			Peer: callchain.Peer{ID: ids[i], Leaf: svid.Certificates[0], Intermediates: svid.Certificates[1:]},
		})
		check(t, err)
	}
	return parent
}

// Receipt is what the last of ids can prove when each of them has called the next one with
// the TraT raw, which the first has requested.
func (w *World) Receipt(t testing.TB, raw string, ids ...spiffeid.ID) string {
	t.Helper()
	return w.Calls().Received(t, w.Verify(t, raw), callchain.ModePath, nil, ids...).Receipt()
}

// Replace is the request of workload id to replace the TraT raw after its requester has
// called id, if that is another workload.
func (w *World) Replace(t testing.TB, raw string, id spiffeid.ID) *request {
	t.Helper()
	r := Replace(raw)
	if requester := spiffeid.RequireFromString(w.Verify(t, raw).RequestingWorkload()); requester != id {
		r.CallChain = w.Receipt(t, raw, requester, id)
	}
	return r
}
