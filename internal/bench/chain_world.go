package main

import (
	"context"
	crand "crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"strings"
	"sync"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

const (
	chainMethod = "/grpc.testing.TestService/UnaryCall"
	// idSize is the length of the SPIFFE IDs of the budgets for bytes.
	idSize = 60
	// chainWorkloads are the requester of a transaction and all that a path has room for.
	chainWorkloads = callchain.MaxLinks + 1
	// forgetful is the size of a cache that knows the leaves of all workloads, and has long
	// forgotten every signature that comes round again.
	forgetful = 32
	// freshChains is how many chains there are to verify in turn.
	freshChains = 2048
)

// actor is a workload that signs links and verifies those of others.
type actor struct {
	id       spiffeid.ID
	source   *devauthority.Source
	leaf     *x509.Certificate
	signer   *callchain.Signer
	verifier *callchain.Verifier
}

func (d *domain) newActor(path string, opts ...callchain.SignerOption) (*actor, error) {
	source, err := d.source(path)
	if err != nil {
		return nil, err
	}
	svid, err := source.GetX509SVID()
	if err != nil {
		return nil, err
	}
	a := &actor{id: svid.ID, source: source, leaf: svid.Certificates[0]}
	if a.signer, err = callchain.NewSigner(source, opts...); err != nil {
		return nil, err
	}
	a.verifier, err = callchain.NewVerifier(source)
	return a, err
}

// sign makes the link of a call to another workload. Each has a span of its own.
func (a *actor) sign(to *actor, token *trat.Token, parent *callchain.Chain) (*callchain.Signed, error) {
	trace := callchain.Trace{TraceID: [16]byte{1}}
	if parent.Len() > 0 {
		trace.TraceID = parent.Last().Trace().TraceID
	} else {
		_, _ = crand.Read(trace.TraceID[:]) // does not fail
	}
	binary.NativeEndian.PutUint64(trace.SpanID[:], mrand.Uint64()|1)
	return a.signer.SignLink(context.Background(), callchain.Draft{
		Audience: to.id, Method: chainMethod, Token: token, Parent: parent, Trace: trace,
	})
}

// call is what travels with a call to another workload.
func (a *actor) call(to *actor, token *trat.Token, parent *callchain.Chain, mode callchain.Mode) (string, error) {
	signed, err := a.sign(to, token, parent)
	if err != nil {
		return "", err
	}
	return signed.Encode(mode, a.leaf)
}

// received is what the callee has of a call.
func (a *actor) received(from *actor, token *trat.Token, encoded string, mode callchain.Mode) callchain.Received {
	return callchain.Received{
		Encoded: encoded, Audience: a.id, Method: chainMethod, Token: token,
		Peer: callchain.Peer{ID: from.id, Leaf: from.leaf}, Mode: mode,
	}
}

// chainWorld is workloads that call one another without a network, in one transaction.
type chainWorld struct {
	*domain
	actors []*actor
	token  *trat.Token
}

// newChainWorld makes chainWorkloads workloads, whose signers have the given options.
func newChainWorld(opts ...callchain.SignerOption) (*chainWorld, error) {
	d, err := newDomain()
	if err != nil {
		return nil, err
	}
	w := &chainWorld{domain: d}
	for i := range chainWorkloads {
		path := fmt.Sprintf("/ns/default/sa/workload-%d-", i)
		a, err := d.newActor(path+strings.Repeat("x", idSize-len(d.td.IDString())-len(path)), opts...)
		if err != nil {
			return nil, err
		}
		w.actors = append(w.actors, a)
	}
	w.token, err = d.tokenOf(w.actors[0].id)
	return w, err
}

// tokenOf returns a verified TraT of a new transaction that the workload requested.
func (d *domain) tokenOf(requester spiffeid.ID) (*trat.Token, error) {
	claims := d.tokens.claims
	claims.Audience, claims.RequestingWorkload, claims.TransactionID = d.td.Name(), requester.String(), crand.Text()
	raw, err := d.tokens.sign(claims)
	if err != nil {
		return nil, err
	}
	verifier, err := d.verifier()
	if err != nil {
		return nil, err
	}
	return verifier.Verify(raw)
}

// sign makes the link of a call from the n-th workload to the next one.
func (w *chainWorld) sign(n int, parent *callchain.Chain) (*callchain.Signed, error) {
	return w.actors[n].sign(w.actors[n+1], w.token, parent)
}

// received is what the callee of the n-th workload has.
func (w *chainWorld) received(n int, encoded string) callchain.Received {
	return w.actors[n+1].received(w.actors[n], w.token, encoded, callchain.ModePath)
}

// step has the n-th workload call the next one, and returns what travels and what the
// callee knows then.
func (w *chainWorld) step(n int, parent *callchain.Chain) (encoded string, next *callchain.Chain, err error) {
	if encoded, err = w.actors[n].call(w.actors[n+1], w.token, parent, callchain.ModePath); err != nil {
		return "", nil, err
	}
	next, err = w.actors[n+1].verifier.Verify(w.received(n, encoded))
	return encoded, next, err
}

// paths returns the chains of that many requests, each a path of the given number of
// links, as they arrive.
func (w *chainWorld) paths(count, links int) ([]string, error) {
	all := make([]string, count)
	for i := range all {
		var chain *callchain.Chain
		for n := range links {
			var err error
			if all[i], chain, err = w.step(n, chain); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// inGroup has the n-th workload make so many calls at once, all in the same context, and
// returns the link whose chain is the longest.
func (w *chainWorld) inGroup(n, calls int, parent *callchain.Chain) (*callchain.Signed, error) {
	signed, errs := make([]*callchain.Signed, calls), make([]error, calls)
	var group sync.WaitGroup
	for i := range calls {
		group.Go(func() { signed[i], errs[i] = w.sign(n, parent) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var longest *callchain.Signed
	length := 0
	for _, s := range signed {
		encoded, err := s.Encode(callchain.ModePath, w.actors[n].leaf)
		if err != nil {
			return nil, err
		}
		if len(encoded) > length {
			longest, length = s, len(encoded)
		}
	}
	return longest, nil
}
