package callchain

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"sync"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// A workload signs with the leaf that it has now, whatever leaf its connections were made
// with; links of both leaves are in one chain.
//
// Covers B-T12, KEY-07.
func TestLeafMayDifferFromTheConnections(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	first := w.chain(token, "gateway", "orders")
	old := w.workload("orders")
	rotated := w.authority.svid(t, old.id, newKey(t), nil)
	for _, mode := range []Mode{ModePath, ModeHead} {
		chain, err := w.verify(&call{from: rotated, presented: old, to: w.id("stock"), token: token, parent: first, mode: mode})
		if err != nil || !chain.Last().Leaf().Equal(rotated.leaf) {
			t.Fatalf("%s: %v, %v", mode, chain, err)
		}
		if _, err := w.verify(&call{from: w.workload("stock"), to: w.id("audit"), token: token, parent: chain, mode: mode}); err != nil {
			t.Errorf("%s, the next: %v", mode, err)
		}
	}
	impostor := w.authority.svid(t, w.id("payments"), newKey(t), nil)
	impostor.id = old.id
	_, err := w.verify(&call{from: impostor, presented: old, to: w.id("stock"), token: token, parent: first})
	wantError(t, err, trat.ReasonChainLinkInvalid, "certificate")
}

// Intermediates come from the connection, with a leaf that did not, and with those of
// earlier links, each once.
func TestLeavesMayHaveIntermediates(t *testing.T) {
	w := newWorld(t)
	w.authority = newIssuer(t, w.domain, w.authority)
	intermediate := w.authority.cert
	for _, name := range []string{"a", "b", "c", "d"} {
		w.workload(name).intermediates = []*x509.Certificate{intermediate}
	}
	token := w.token("a", Hash{})
	chain := w.chain(token, "a", "b", "c", "d")
	for _, v := range []*Verifier{w.verifier, w.newVerifier(WithCacheSize(0))} {
		w.verifier = v
		c := &call{from: w.workload("d"), to: w.id("e"), token: token, parent: chain}
		last, err := w.verify(c)
		if err != nil {
			t.Fatal(err)
		}
		m, err := decode(w.encode(c), MaxEncodedSize, false)
		if err != nil || len(m.intermediates) != 1 {
			t.Errorf("%d intermediates, %v", len(m.intermediates), err)
		}
		if _, err := v.VerifyEvidence(evidence(w, last, token)); err != nil {
			t.Errorf("the receipt: %v", err)
		}
	}
	r := w.received(&call{from: w.workload("d"), to: w.id("e"), token: token, parent: chain})
	r.Mode = ModeHead // in which nobody looks at those of earlier links
	head, err := w.newVerifier().Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	w.verifier = w.newVerifier()
	next := w.authority.svid(t, w.id("e"), newKey(t), nil)
	next.intermediates = []*x509.Certificate{intermediate}
	if _, err := w.verify(&call{from: next, to: w.id("f"), token: token, parent: head}); err != nil {
		t.Errorf("after one in head mode: %v", err)
	}
	m, err := decode(r.Encoded, MaxEncodedSize, false)
	if err != nil {
		t.Fatal(err)
	}
	m.intermediates = nil
	r.Encoded, r.Peer.Intermediates, r.Mode = m.String(), nil, ModePath
	_, err = w.newVerifier().Verify(r)
	wantError(t, err, trat.ReasonChainLinkInvalid, "certificate")
}

// What was verified counts for as long as the bundle is the same.
func TestChangeOfTheBundleForgetsAll(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	r := w.received(&call{
		from: w.workload("orders"), to: w.id("stock"), token: token, parent: w.chain(token, "gateway", "orders"), group: 4,
	})
	if _, err := w.verifier.Verify(r); err != nil {
		t.Fatal(err)
	}
	other := newIssuer(t, w.domain, nil).cert
	w.bundle.SetX509Authorities([]*x509.Certificate{other})
	_, err := w.verifier.Verify(r)
	wantError(t, err, trat.ReasonChainLinkInvalid, "certificate")

	w.bundle.SetX509Authorities([]*x509.Certificate{other, w.authority.cert})
	if _, err := w.verifier.Verify(r); err != nil {
		t.Errorf("the authority is back: %v", err)
	}
}

// A leaf that was verified before is judged by its times again.
func TestRememberedLeafIsJudgedAsOfNow(t *testing.T) {
	w := newWorld(t)
	w.workloads["gateway"] = w.authority.svid(t, w.id("gateway"), newKey(t), func(c *x509.Certificate) {
		c.NotAfter = worldNow.Add(time.Minute)
	})
	verify := func() error {
		_, err := w.verify(&call{from: w.workload("gateway"), to: w.id("orders"), token: w.token("gateway", Hash{})})
		return err
	}
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	w.now = worldNow.Add(time.Minute)
	if err := verify(); err != nil {
		t.Errorf("in its last second: %v", err)
	}
	w.now = worldNow.Add(time.Minute + time.Millisecond)
	wantError(t, verify(), trat.ReasonChainLinkInvalid, "certificate")
}

// An intermediate that is renewed has two certificates for a while.
func TestPathThatLastsLongestIsTaken(t *testing.T) {
	w := newWorld(t)
	key := newKey(t)
	old := namedIssuer(t, w.domain, w.authority, "intermediate", key)
	short := *old.cert
	short.NotBefore, short.NotAfter = worldNow.Add(-time.Second), worldNow.Add(time.Second)
	soonOver := w.authority.sign(t, &short, key.Public())
	leaf := old.svid(t, w.id("gateway"), newKey(t), nil)
	for _, order := range [][]*x509.Certificate{{soonOver, old.cert}, {old.cert, soonOver}} {
		w.verifier = w.newVerifier()
		leaf.intermediates = order
		chain, err := w.verify(&call{from: leaf, to: w.id("orders"), token: w.token("gateway", Hash{})})
		if err != nil {
			t.Fatal(err)
		}
		if len(chain.intermediates) != 1 || !bytes.Equal(chain.intermediates[0], old.cert.Raw) {
			t.Error("goes by the one that is over sooner")
		}
		trust, err := w.verifier.trust(w.domain)
		if err != nil {
			t.Fatal(err)
		}
		path, ok := trust.leaves.get(chain.Last().LeafHash())
		if !ok || !path.notBefore.Equal(leaf.leaf.NotBefore) || !path.notAfter.Equal(leaf.leaf.NotAfter) {
			t.Errorf("remembered: %+v", path)
		}
		leaf.intermediates = []*x509.Certificate{soonOver}
		w.verifier = w.newVerifier()
		c := &call{from: leaf, to: w.id("orders"), token: w.token("gateway", Hash{})}
		if _, err := w.verify(c); err != nil {
			t.Fatal(err)
		}
		w.now = worldNow.Add(2 * time.Second)
		_, err = w.verify(c)
		wantError(t, err, trat.ReasonChainLinkInvalid, "certificate")
		w.now = worldNow
	}
}

// The links of a group cost one verification, and nothing but the verified signature counts
// for the root.
func TestRootOfAGroupIsVerifiedOnce(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	c := &call{from: w.workload("gateway"), to: w.id("orders"), token: token, group: 8}
	r := w.received(c)
	chain, err := w.verifier.Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	root := chain.signed[0].root()
	trust, err := w.verifier.trust(w.domain)
	if err != nil {
		t.Fatal(err)
	}
	known, ok := trust.roots.get(root)
	if !ok || known.leafHash != chain.Last().LeafHash() || known.signature != chain.signed[0].signature {
		t.Fatal("the root is not remembered with what has signed it")
	}
	m, err := decode(r.Encoded, MaxEncodedSize, false)
	if err != nil {
		t.Fatal(err)
	}
	m.short.signature[63] ^= 1
	altered := r
	altered.Encoded = m.String()
	_, err = w.verifier.Verify(altered)
	wantError(t, err, trat.ReasonChainLinkInvalid, "signature")

	// Whoever is signed alone comes once as a last link; as an ancestor he comes again.
	alone := w.chain(token, "gateway", "orders")
	if _, ok := trust.roots.get(alone.signed[0].root()); ok {
		t.Error("a last link that was signed alone is remembered")
	}
	if _, err := w.verify(&call{from: w.workload("orders"), to: w.id("stock"), token: token, parent: alone}); err != nil {
		t.Fatal(err)
	}
	if _, ok := trust.roots.get(alone.signed[0].root()); !ok {
		t.Error("an ancestor is not remembered")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache[int](64)
	for i := range 10_000 {
		c.put([32]byte{byte(i), byte(i >> 8)}, i, int64(i))
	}
	found := 0
	for i := range 10_000 {
		if v, ok := c.get([32]byte{byte(i), byte(i >> 8)}); ok && v == i {
			found++
		}
	}
	if found != 64 {
		t.Errorf("%d of 64 entries", found)
	}
	c.put([32]byte{}, -1, 1<<40)
	c.put([32]byte{}, -2, 1<<40)
	if v, ok := c.get([32]byte{}); !ok || v != -2 {
		t.Errorf("%d, %t", v, ok)
	}
}

func TestVerifierIsSafeForConcurrentUse(t *testing.T) {
	w := newWorld(t, WithCacheSize(4))
	token := w.token("a", Hash{})
	r := w.received(&call{from: w.workload("c"), to: w.id("d"), token: token, parent: w.chain(token, "a", "b", "c"), group: 2})
	other := newIssuer(t, w.domain, nil).cert
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 25 {
				if i == 0 {
					w.bundle.SetX509Authorities([]*x509.Certificate{other, w.authority.cert})
					w.bundle.SetX509Authorities([]*x509.Certificate{w.authority.cert})
				}
				if _, err := w.verifier.Verify(r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// Whoever sends a chain chooses the keys of what it calls intermediates. Six of one name with
// keys on P-521 would cost a hundred verifications on a slow curve.
func TestIntermediatesThatNobodySignedAreNotTried(t *testing.T) {
	w := newWorld(t)
	slow := func() crypto.Signer {
		key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	upper := newIssuer(t, w.domain, w.authority)
	lower := newIssuer(t, w.domain, upper)
	madeUp := []*issuer{namedIssuer(t, w.domain, nil, "x", slow())}
	for range maxIntermediates - 1 {
		madeUp = append(madeUp, namedIssuer(t, w.domain, madeUp[len(madeUp)-1], "x", slow()))
	}
	sent := &conveyed{peerIntermediates: []*x509.Certificate{lower.cert}}
	for _, i := range append(madeUp, upper) {
		sent.intermediates = append(sent.intermediates, i.cert.Raw)
	}
	sent.intermediates = append(sent.intermediates, []byte("no certificate"))
	trusted, err := w.verifier.trust(w.domain)
	if err != nil {
		t.Fatal(err)
	}
	if got := sent.intermediatesUnder(trusted); len(got) != 2 || !got[0].Equal(upper.cert) || !got[1].Equal(lower.cert) {
		t.Errorf("%d intermediates", len(got))
	}
	if _, err := trusted.findPath(lower.svid(t, w.id("a"), newKey(t), nil).leaf.Raw, sent, w.now); err != nil {
		t.Errorf("a leaf below two of them: %v", err)
	}
	if _, err := trusted.findPath(madeUp[0].svid(t, w.id("a"), newKey(t), nil).leaf.Raw, sent, w.now); err == nil {
		t.Error("a leaf below one that was made up")
	}
}
