package callchain

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/trat"
)

// madeUp returns the chain of workload d, in head mode, that c has called. What c sends before
// its own link is the calls of a and b, as edit leaves them.
func (w *world) madeUp(token *trat.Token, edit func(*Chain)) *Chain {
	w.tb.Helper()
	parent := w.chain(token, "a", "b", "c")
	if edit != nil {
		edit(parent)
		for i := range parent.signed {
			l := *parent.signed[i].link
			if i > 0 {
				l.parent = parent.signed[i-1].hash
			}
			l.seal()
			parent.signed[i].link = &l
		}
	}
	r := w.received(&call{from: w.workload("c"), to: w.id("d"), token: token, parent: parent})
	r.Mode = ModeHead
	head, err := w.verifier.Verify(r)
	if err != nil {
		w.tb.Fatalf("in head mode: %v", err)
	}
	return head
}

// A workload in head mode passes on no links that its caller has made up: the next callee
// would refuse it for what another one has done, and count that as its failure. Instead it is
// as if the caller had sent its own link alone.
func TestLinksThatDoNotVerifyAreNotPassedOn(t *testing.T) {
	for name, edit := range map[string]func(*Chain){
		"a signature":          func(c *Chain) { c.signed[0].signature[0] ^= 1 },
		"the second signature": func(c *Chain) { c.signed[1].signature[0] ^= 1 },
		"a statement":          func(c *Chain) { c.signed[0].method = "/shop.v1.Orders/Other" },
		"an old link":          func(c *Chain) { c.signed[0].issuedAt = worldNow.Add(-time.Minute) },
		"another root": func(c *Chain) {
			c.signed, c.verified = c.signed[1:], 1
			c.signed[0].depth, c.signed[0].parent = 0, Hash{}
		},
		"no certificate at all": func(c *Chain) {
			c.signed[0].leaf = make([]byte, 400)
			c.signed[0].leafHash = sha256.Sum256(c.signed[0].leaf)
		},
		"a useless intermediate": func(c *Chain) {
			c.intermediates = [][]byte{bytes.Repeat([]byte{7}, 400)}
			c.signed[0].signature[0] ^= 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := w.token("a", Hash{})
			head := w.madeUp(token, edit)
			next := &call{from: w.workload("d"), to: w.id("e"), token: token, parent: head}
			m, err := decode(w.encode(next), MaxEncodedSize, false)
			if err != nil || m.form != formHead || len(m.intermediates) > 0 {
				t.Fatalf("form %#x, %d intermediates, %v", m.form, len(m.intermediates), err)
			}
			_, err = w.verify(next)
			wantError(t, err, trat.ReasonChainMissing, MetadataKey)
			r := w.received(next)
			r.Mode = ModeHead
			if _, err := w.verifier.Verify(r); err != nil {
				t.Errorf("the next in head mode: %v", err)
			}

			e := evidence(w, head, token)
			if e.Encoded != head.Proof() {
				t.Error("the proof is not the receipt, which has nothing that was not verified")
			}
			if proved, err := w.verifier.VerifyEvidence(e); err != nil || proved.Len() != 1 || proved.Last().Hash() != head.Last().Hash() {
				t.Errorf("the proof: %v, %v", proved, err)
			}
		})
	}
}

// What verifies goes on as it came, and is judged once.
func TestLinksThatVerifyArePassedOn(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	head := w.madeUp(token, nil)
	next := &call{from: w.workload("d"), to: w.id("e"), token: token, parent: head}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			chain, err := w.newVerifier().Verify(w.received(next))
			if err != nil || chain.Len() != 4 {
				t.Errorf("%d links, %v", chain.Len(), err)
			}
			e := evidence(w, head, token)
			e.Encoded = head.Proof()
			if proved, err := w.newVerifier().VerifyEvidence(e); err != nil || proved.Len() != 3 {
				t.Errorf("the proof: %d links, %v", proved.Len(), err)
			}
		})
	}
	group.Wait()
	if head.Len() != 1 || head.Complete() || slices.Collect(head.Links())[0].Depth() != 2 {
		t.Error("handlers see what the mode did not ask for")
	}
	if diff := cmp.Diff(hashes(head.whole())[2:], hashes(head)); diff != "" {
		t.Error(diff)
	}
}

// What came unjudged is judged by the bundle of when it goes on.
func TestLinksAreNotPassedOnUnderAnAuthorityThatIsGone(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	head := w.madeUp(token, nil)
	w.bundle.SetX509Authorities([]*x509.Certificate{newIssuer(t, w.domain, nil).cert})
	if m, err := decode(w.encode(&call{from: w.workload("d"), to: w.id("e"), token: token, parent: head}), MaxEncodedSize, false); err != nil || m.form != formHead {
		t.Errorf("form %#x, %v", m.form, err)
	}
}

// That the bundle was away says nothing about the links: they are judged once it is back.
func TestLinksArePassedOnOnceTheBundleIsBack(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	head := w.madeUp(token, nil)
	next := &call{from: w.workload("d"), to: w.id("e"), token: token, parent: head}
	authorities := w.bundle.X509Authorities()
	for _, step := range []struct {
		name        string
		authorities []*x509.Certificate
		form        byte
	}{
		{"no bundle", nil, formHead},
		{"it is back", authorities, formPath},
		{"no bundle, once they were judged", nil, formPath},
	} {
		w.bundle.SetX509Authorities(step.authorities)
		if m, err := decode(w.encode(next), MaxEncodedSize, false); err != nil || m.form != step.form {
			t.Errorf("%s: form %#x, %v", step.name, m.form, err)
		}
	}
}

// Certificates that a caller has made up besides leave no room for those that are needed.
func TestProofHasOnlyIntermediatesOfUse(t *testing.T) {
	w := newWorld(t)
	authority := newIssuer(t, w.domain, w.authority)
	w.workloads["c"] = authority.svid(t, w.id("c"), newKey(t), nil)
	w.workloads["c"].intermediates = []*x509.Certificate{authority.cert}
	token := w.token("a", Hash{})
	head := w.madeUp(token, func(c *Chain) {
		for i := range maxIntermediates {
			c.intermediates = append(c.intermediates, bytes.Repeat([]byte{byte(i)}, 300))
		}
		c.signed[0].signature[0] ^= 1
	})
	e := evidence(w, head, token)
	e.Encoded = head.Proof()
	if proved, err := w.newVerifier().VerifyEvidence(e); err != nil || proved.Len() != 1 {
		t.Errorf("%d links, %v", proved.Len(), err)
	}
}
