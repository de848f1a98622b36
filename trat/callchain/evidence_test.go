package callchain

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

func evidence(w *world, c *Chain, token *trat.Token) Evidence {
	return Evidence{
		Encoded: c.Receipt(), Audience: c.Last().Audience(), TokenHash: token.Digest(),
		Root: token.RequestingWorkload(), Anchor: token.CallChainHash(), IssuedAt: token.IssuedAt(), At: w.now,
	}
}

func hashes(c *Chain) []string {
	var all []string
	for l := range c.Links() {
		all = append(all, l.Hash().String())
	}
	return all
}

// A receipt is as good as the chain at its connection.
func TestReceiptProvesTheSameLinks(t *testing.T) {
	w := newWorld(t)
	for _, token := range []*trat.Token{w.token("a", Hash{}), w.token("a", Hash{7})} {
		for _, path := range [][]string{{"a", "b"}, {"a", "b", "c", "a", "d"}, {"a", "b", "c", "d", "e", "f", "g"}} {
			chain := w.chain(token, path...)
			again, err := w.newVerifier().VerifyEvidence(evidence(w, chain, token))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(hashes(chain), hashes(again)); diff != "" || !again.Complete() || again.Receipt() != chain.Receipt() {
				t.Errorf("%v: complete: %t, links %s", path, again.Complete(), diff)
			}
		}
	}
}

func TestEvidenceIsHeldToItsToken(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	chain := w.chain(token, "a", "b", "c")
	w.now = worldNow.Add(time.Second)
	other := w.id("other")
	for _, tc := range []struct {
		name   string
		edit   func(*Evidence)
		reason trat.Reason
		field  string
	}{
		{"as it was", func(*Evidence) {}, "", ""},
		{"none", func(e *Evidence) { e.Encoded = "" }, trat.ReasonChainMissing, ""},
		{"no receipt", func(e *Evidence) {
			e.Encoded = w.encode(&call{from: w.workload("a"), to: w.id("b"), token: token})
		}, trat.ReasonChainLinkInvalid, "txn-chain"},
		{"another audience", func(e *Evidence) { e.Audience = other }, trat.ReasonChainLinkInvalid, "signature"},
		{"another token", func(e *Evidence) { e.TokenHash[0]++ }, trat.ReasonChainLinkInvalid, "signature"},
		{"another requester", func(e *Evidence) { e.Root = other.String() }, trat.ReasonChainRootMismatch, "iss"},
		{"another anchor", func(e *Evidence) { e.Anchor[0]++ }, trat.ReasonChainRootMismatch, "ckp"},
		{"a later token", func(e *Evidence) { e.IssuedAt = worldNow.Add(time.Minute) }, trat.ReasonChainLinkInvalid, "iat"},
		{"too late", func(e *Evidence) { e.At = worldNow.Add(time.Minute) }, trat.ReasonChainLinkInvalid, "exp"},
		{"too early", func(e *Evidence) { e.At = worldNow.Add(-time.Minute) }, trat.ReasonChainLinkInvalid, "iat"},
		{"no audience", func(e *Evidence) { e.Audience = spiffeid.ID{} }, trat.ReasonInternal, "Audience"},
		{"no token", func(e *Evidence) { e.TokenHash = [32]byte{} }, trat.ReasonInternal, "TokenHash"},
		{"no requester", func(e *Evidence) { e.Root = "" }, trat.ReasonInternal, "Root"},
		{"no time of arrival", func(e *Evidence) { e.At = time.Time{} }, trat.ReasonInternal, "At"},
		{"a time of arrival that is unknown", func(e *Evidence) { e.AtUnknown = true }, trat.ReasonInternal, "At"},
		{"no time of the token", func(e *Evidence) { e.IssuedAt = time.Time{} }, trat.ReasonInternal, "IssuedAt"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := evidence(w, chain, token)
			tc.edit(&e)
			_, err := w.verifier.VerifyEvidence(e)
			if tc.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, tc.reason, tc.field)
		})
	}
}

// A handler that has run for minutes still has its evidence, though exp is over and the
// caller's certificate has been replaced. As of a time, both count.
func TestEvidenceOutlivesItsLastLink(t *testing.T) {
	w := newWorld(t)
	w.workloads["a"] = w.authority.svid(t, w.id("a"), newKey(t), func(c *x509.Certificate) { c.NotAfter = worldNow.Add(10 * time.Second) })
	token := w.token("a", Hash{})
	e := evidence(w, w.chain(token, "a", "b"), token)
	w.now = worldNow.Add(2 * time.Minute)
	e.At, e.AtUnknown = time.Time{}, true
	if _, err := w.newVerifier().VerifyEvidence(e); err != nil {
		t.Error(err)
	}
	e.At, e.AtUnknown = worldNow.Add(11*time.Second), false
	_, err := w.newVerifier().VerifyEvidence(e)
	wantError(t, err, trat.ReasonChainLinkInvalid, "certificate")
}

// In head mode the last link alone is verified and shown, and the others go on as they came.
func TestHeadKeepsAncestorsForOthers(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	parent := w.chain(token, "a", "b", "c")
	r := w.received(&call{from: w.workload("c"), to: w.id("d"), token: token, parent: parent})
	r.Mode = ModeHead
	head, err := w.verifier.Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	if head.Len() != 1 || head.Complete() || head.Passes(spiffeid.MatchID(w.id("a"))) || head.Last().Depth() != 2 {
		t.Errorf("%d links, complete: %t", head.Len(), head.Complete())
	}
	next := &call{from: w.workload("d"), to: w.id("e"), token: token, parent: head}
	chain, err := w.verify(next)
	if err != nil || chain.Len() != 4 || !chain.Complete() {
		t.Errorf("the next in path mode: %v, %v", chain, err)
	}
	e := evidence(w, head, token)
	if again, err := w.verifier.VerifyEvidence(e); err != nil || again.Complete() || again.Len() != 1 {
		t.Errorf("the receipt: %d links, %v", again.Len(), err)
	}
	e.Encoded = head.Proof()
	if again, err := w.verifier.VerifyEvidence(e); err != nil || !again.Complete() || again.Len() != 3 {
		t.Errorf("the proof: %d links, %v", again.Len(), err)
	}
}

// A chain whose ancestors are known by hash only goes on as that.
func TestHeadFormIsNotEnoughForPath(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	c := &call{from: w.workload("b"), to: w.id("c"), token: token, parent: w.chain(token, "a", "b"), mode: ModeHead}
	r := w.received(c)
	head, err := w.verifier.Verify(r)
	if err != nil || head.Len() != 1 || head.Complete() {
		t.Fatalf("%v, %v", head, err)
	}
	r.Mode = ModePath
	_, err = w.verifier.Verify(r)
	wantError(t, err, trat.ReasonChainMissing, "txn-chain")

	_, err = w.verify(&call{from: w.workload("c"), to: w.id("d"), token: token, parent: head})
	wantError(t, err, trat.ReasonChainMissing, "txn-chain")

	detached, err := w.verifier.VerifyEvidence(evidence(w, head, token))
	if err != nil || detached.Complete() || detached.Last().Parent() != head.Last().Parent() {
		t.Errorf("the receipt: %v, %v", detached, err)
	}

	// A root needs nothing else, however it is sent.
	root := w.received(&call{from: w.workload("a"), to: w.id("b"), token: token, mode: ModeHead})
	root.Mode = ModePath
	if chain, err := w.verifier.Verify(root); err != nil || !chain.Complete() {
		t.Errorf("a root: %v, %v", chain, err)
	}
}

func TestNoChainIsEmpty(t *testing.T) {
	for _, c := range []*Chain{nil, {}} {
		if c.Len() != 0 || c.Complete() || !c.Last().IsZero() || c.Receipt() != "" || hashes(c) != nil || c.Passes(spiffeid.MatchAny()) {
			t.Errorf("%#v has something", c)
		}
		if l := c.Last(); !l.Issuer().IsZero() || l.Depth() != 0 || !l.Hash().IsZero() || !l.Expiry().IsZero() || l.Leaf() != nil {
			t.Errorf("%#v has a last link", c)
		}
		if got, ok := FromContext(NewContext(t.Context(), c)); ok {
			t.Errorf("found %v", got)
		}
	}
	w := newWorld(t)
	chain := w.chain(w.token("a", Hash{}), "a", "b")
	if got, ok := FromContext(NewContext(t.Context(), chain)); !ok || got != chain {
		t.Errorf("found %v", got)
	}
}
