package callchain

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Each claim of a link, also of an earlier one, is signed: a signer that states another than
// the one that is derived or travels has signed something else.
//
// Covers B-T1.
func TestEveryClaimIsSigned(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	first := w.chain(token, "gateway", "orders")
	other := w.id("other")
	claims := map[string]func(*link){
		"iss":    func(l *link) { l.issuer = other },
		"aud":    func(l *link) { l.audience = other },
		"rpc":    func(l *link) { l.method = "/shop.v1.Orders/Cancel" },
		"iat":    func(l *link) { l.issuedAt = l.issuedAt.Add(time.Millisecond) },
		"exp":    func(l *link) { l.lifetime += time.Second },
		"jti":    func(l *link) { l.id[15]++ },
		"tth":    func(l *link) { l.tokenHash[31]++ },
		"x5t":    func(l *link) { l.leafHash[31]++ },
		"prh":    func(l *link) { l.parent[31]++ },
		"no prh": func(l *link) { l.depth, l.parent = 0, Hash{} },
		"ckp":    func(l *link) { l.anchor[31]++ },
		"tid":    func(l *link) { l.trace.TraceID[15]++ },
		"sid":    func(l *link) { l.trace.SpanID[7]++ },
		"n":      func(l *link) { l.depth++ },
	}
	for name, edit := range claims {
		for _, mode := range []Mode{ModePath, ModeHead} {
			c := &call{
				from: w.workload("orders"), to: w.id("stock"), token: token, parent: first, mode: mode,
				trace: Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}},
			}
			good := w.link(c)
			stated := *good.link
			edit(&stated)
			stated.seal()
			forged := w.sign(c.from, &stated, 1)
			forged.link = good.link // what travels, and what the callee derives
			encoded, err := encodeCall(mode, first, forged, nil, c.from.leaf)
			if err != nil {
				t.Fatal(err)
			}
			r := w.received(c)
			r.Encoded = encoded
			_, err = w.verifier.Verify(r)
			t.Run(fmt.Sprint(name, " of the last link, ", mode), func(t *testing.T) {
				wantError(t, err, trat.ReasonChainLinkInvalid, "signature")
			})
			t.Run(fmt.Sprint(name, " of an earlier link"), func(t *testing.T) {
				parent := &Chain{signed: append(slices.Clone(first.signed), forged), verified: 2}
				_, err := w.verify(&call{from: w.workload("stock"), to: w.id("audit"), token: token, parent: parent})
				wantError(t, err, trat.ReasonChainLinkInvalid, "signature")
			})
		}
	}
}

// No bit of a chain can be changed on the way.
//
// Covers B-T1.
func TestEveryBitCounts(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	trace := Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}}
	parent, err := w.verify(&call{from: w.workload("gateway"), to: w.id("orders"), token: token, trace: trace, group: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []Mode{ModePath, ModeHead} {
		r := w.received(&call{from: w.workload("orders"), to: w.id("stock"), token: token, parent: parent, mode: mode, trace: trace, group: 5})
		b, err := encoding.DecodeString(r.Encoded)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			for bit := range 8 {
				b[i] ^= 1 << bit
				r.Encoded = encoding.EncodeToString(b)
				b[i] ^= 1 << bit
				if _, err := w.verifier.Verify(r); err == nil {
					t.Errorf("%s: bit %d of byte %d of %d makes no difference", mode, bit, i, len(b))
				}
			}
		}
	}
}

// tampered is a chain that somebody with the key of the last workload has made up.
func tampered(signed ...signedLink) *Chain { return &Chain{signed: signed, verified: len(signed)} }

// Covers B-T2, B-T4.
func TestNoHopCanBeDroppedInsertedSwappedOrSpliced(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	chain := w.chain(token, "a", "b", "c", "d")
	ab, bc, cd := chain.signed[0], chain.signed[1], chain.signed[2]
	theirs := w.chain(w.token("a", Hash{}), "a", "b", "c", "d") // another transaction's
	// What the last workload can truly sign, with others' links before it.
	own := func(parent Hash, depth int) signedLink {
		return w.link(&call{from: w.workload("d"), to: w.id("e"), token: token, edit: func(l *link) {
			l.parent, l.depth = parent, depth
		}})
	}
	for _, tc := range []struct {
		name   string
		chain  []signedLink
		reason trat.Reason
		field  string
	}{
		{"untampered", []signedLink{ab, bc, cd, own(cd.hash, 3)}, "", ""},
		{"first dropped", []signedLink{bc, cd, own(cd.hash, 2)}, trat.ReasonChainRootMismatch, "iss"},
		{"middle dropped", []signedLink{ab, cd, own(cd.hash, 2)}, trat.ReasonChainLinkInvalid, "signature"},
		{"last dropped", []signedLink{ab, bc, own(bc.hash, 2)}, trat.ReasonChainLinkInvalid, "signature"},
		{"all dropped", []signedLink{own(Hash{}, 0)}, trat.ReasonChainRootMismatch, "iss"},
		{"one twice", []signedLink{ab, bc, bc, cd, own(cd.hash, 4)}, trat.ReasonChainLinkInvalid, "signature"},
		{"swapped", []signedLink{ab, cd, bc, own(bc.hash, 3)}, trat.ReasonChainLinkInvalid, "signature"},
		{"inserted", []signedLink{ab, bc, cd, own(cd.hash, 3), own(cd.hash, 4)}, trat.ReasonChainLinkInvalid, "signature"},
		{"root of another", append(slices.Clone(theirs.signed[:1]), bc, cd, own(cd.hash, 3)), trat.ReasonChainLinkInvalid, "signature"},
		{"middle of another", []signedLink{ab, theirs.signed[1], cd, own(cd.hash, 3)}, trat.ReasonChainLinkInvalid, "signature"},
		{"all of another", append(slices.Clone(theirs.signed), own(theirs.Last().Hash(), 3)), trat.ReasonChainLinkInvalid, "signature"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			last := len(tc.chain) - 1
			m := newMessage(formPath, tc.chain[:last], nil)
			for i := range m.full { // flags as of the place where it is now
				m.full[i].flags = m.full[i].flags&^flagParent | place(i)
			}
			m.short = shortLink(&tc.chain[last])
			m.short.flags = m.short.flags&^flagParent | place(last)
			r := w.received(&call{from: w.workload("d"), to: w.id("e"), token: token, parent: chain})
			r.Encoded = m.String()
			_, err := w.verifier.Verify(r)
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

func place(i int) byte {
	if i > 0 {
		return flagParent
	}
	return 0
}

// Whoever stole a chain with all that went with it stands at another connection. To sign
// for himself he needs a chain that was sent to him.
func TestStolenChainIsOfNoUse(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	stolen := w.chain(token, "gateway", "orders")
	thief := w.workload("thief")
	_, err := w.verify(&call{from: thief, to: w.id("stock"), token: token, parent: stolen})
	wantError(t, err, trat.ReasonChainLinkInvalid, "signature")

	sealed := stolen.signed[0]
	sealed.link = &link{}
	*sealed.link = *stolen.signed[0].link
	sealed.audience = thief.id
	sealed.seal()
	_, err = w.verify(&call{from: thief, to: w.id("stock"), token: token, parent: tampered(sealed)})
	wantError(t, err, trat.ReasonChainLinkInvalid, "signature")
}

// A group's signature proves what is in its tree, at its place, and no other link.
func TestLinkOfAGroupIsAtItsPlace(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	c := &call{from: w.workload("gateway"), to: w.id("orders"), token: token, group: 6}
	r := w.received(c)
	if _, err := w.verifier.Verify(r); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*message){
		"another direction": func(m *message) { m.short.path.shape ^= 1 },
		"another sibling":   func(m *message) { m.short.path.nodes[0] ^= 1 },
		"a shorter path": func(m *message) {
			n := m.short.path.levels() - 1
			m.short.path = treePath{shape: uint16(n) << 12, nodes: m.short.path.nodes[:n*nodeSize]}
		},
		"another id": func(m *message) { m.short.id[0]++ },
		"the signature of another group": func(m *message) {
			other := w.link(c)
			m.short.signature = other.signature
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := decode(r.Encoded, MaxEncodedSize, false)
			if err != nil {
				t.Fatal(err)
			}
			edit(m)
			altered := r
			altered.Encoded = m.String()
			_, err = w.verifier.Verify(altered)
			wantError(t, err, trat.ReasonChainLinkInvalid, "signature")
		})
	}
}

// Covers B-T8.
func TestChainHasSixLinksAtMost(t *testing.T) {
	w := newWorld(t)
	token := w.token("w0", Hash{})
	chain := w.chain(token, "w0", "w1", "w2", "w3", "w4", "w5", "w6")
	c := &call{from: w.workload("w6"), to: w.id("w7"), token: token, parent: chain}
	own := w.link(c)
	_, err := encodeCall(ModePath, chain, own, nil, c.from.leaf)
	wantError(t, err, trat.ReasonChainTooDeep, "n")

	for _, links := range []int{7, 9} {
		m := newMessage(formPath, append(slices.Clone(chain.signed), chain.signed[:links-7]...), nil)
		m.short = shortLink(&own)
		r := w.received(&call{from: c.from, to: c.to, token: token, parent: chain, mode: ModeHead})
		r.Mode, r.Encoded = ModePath, m.String()
		_, err = w.verifier.Verify(r)
		wantError(t, err, trat.ReasonChainTooDeep, "n")
	}

	c.mode = ModeHead
	deep, err := w.verify(c)
	if err != nil || deep.Last().Depth() != MaxLinks || deep.Complete() || deep.Len() != 1 {
		t.Errorf("in head form: %v, %v", deep, err)
	}
	for depth, reason := range map[int]trat.Reason{MaxDepth: "", MaxDepth + 1: trat.ReasonChainTooDeep} {
		c.edit = func(l *link) { l.depth = depth }
		_, err = w.verify(c)
		if got, _ := trat.ReasonOf(err); got != reason {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
}

// Covers B-T9.
func TestCertificateOfEveryLinkMustBeThere(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	r := w.received(&call{from: w.workload("c"), to: w.id("d"), token: token, parent: w.chain(token, "a", "b", "c")})
	for name, edit := range map[string]func(*message){
		"none":           func(m *message) { m.leaves = nil },
		"one is missing": func(m *message) { m.leaves = m.leaves[:1] },
		"one twice":      func(m *message) { m.full[1].leaf = 0; m.leaves = m.leaves[:1] },
		"garbage":        func(m *message) { m.leaves[0] = []byte("certificate") },
	} {
		t.Run(name, func(t *testing.T) {
			m, err := decode(r.Encoded, MaxEncodedSize, false)
			if err != nil {
				t.Fatal(err)
			}
			edit(m)
			altered := r
			altered.Encoded = m.String()
			_, err = w.verifier.Verify(altered)
			wantError(t, err, trat.ReasonChainLinkInvalid, "certificate")
		})
	}
}

// Nothing that goes into an error is a part of a chain.
func TestErrorsHoldNothingOfTheChain(t *testing.T) {
	w := newWorld(t)
	r := w.received(&call{from: w.workload("gateway"), to: w.id("orders"), token: w.token("gateway", Hash{})})
	sum := sha256.Sum256([]byte(r.Encoded))
	r.Encoded = encoding.EncodeToString(sum[:]) + "."
	_, err := w.verifier.Verify(r)
	if want := "CHAIN_LINK_INVALID: txn-chain: not base64url"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
