package callchain

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

func makeVectors(t *testing.T) vectors {
	t.Helper()
	m := &vectorMaker{t: t, w: newFixedWorld(t)}
	m.f = vectors{
		Description: "Test vectors of docs/call-chain-format.md. DER and base64url as there; all other bytes in hexadecimal, " +
			"certificates in base64. Private keys are for these tests only.",
		Bundle: [][]byte{m.w.authority.cert.Raw},
		Issuer: "https://tts.prod.example.org",
	}
	keys, err := trat.NewStaticKeySet(m.w.tokens.Key())
	if err != nil {
		t.Fatal(err)
	}
	m.f.TokenKeys = keys.JWKS()
	for _, name := range []string{"gateway", "orders", "stock", "payments", "audit", "rotated"} {
		s := m.w.workload(name)
		hash := sha256.Sum256(s.leaf.Raw)
		private, err := s.key.(fixedKey).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		m.f.Signers = append(m.f.Signers, vectorSigner{Name: name, PrivateKey: private, Leaf: s.leaf.Raw, LeafHash: hash[:]})
	}
	m.trees()
	m.chains()
	return m.f
}

type vectorMaker struct {
	t *testing.T
	w *world
	f vectors
}

func (m *vectorMaker) trees() {
	for _, n := range []int{1, 2, 3, 5, 8} {
		var tree vectorTree
		nodes := make([][32]byte, n)
		for i := range nodes {
			var h Hash
			m.w.random(h[:])
			nodes[i] = leafNode(h)
			tree.Links = append(tree.Links, h[:])
		}
		built := newTree(nodes)
		tree.Root = built.root[:]
		for i := range nodes {
			p := built.path(i)
			tree.Paths = append(tree.Paths, vectorPath{Shape: binary.BigEndian.AppendUint16(nil, p.shape), Nodes: p.nodes})
		}
		m.f.Trees = append(m.f.Trees, tree)
	}
}

// statement adds what a link of a group of one is made of.
func (m *vectorMaker) statement(name string, s signedLink) {
	l := s.link
	node := leafNode(l.hash)
	v := vectorStatement{
		Name: name, Issuer: l.issuer.String(), Audience: l.audience.String(), Method: l.method,
		IssuedAt: l.issuedAt.UnixMilli(), Lifetime: int(l.lifetime / time.Second), ID: l.id[:],
		TokenHash: l.tokenHash[:], LeafHash: l.leafHash[:], Depth: l.depth,
		Statement: l.appendStatement(nil), Hash: l.hash[:], LeafNode: node[:],
		Signed: rootStatement(l.leafHash, node), Signature: s.signature[:],
	}
	if l.depth > 0 {
		v.Parent = l.parent[:]
	}
	if !l.anchor.IsZero() {
		v.Anchor = l.anchor[:]
	}
	if !l.trace.IsZero() {
		v.TraceID, v.SpanID = l.trace.TraceID[:], l.trace.SpanID[:]
	}
	m.f.Statements = append(m.f.Statements, v)
}

// add adds what comes of r, as edit leaves it.
func (m *vectorMaker) add(name string, r Received, edit func(*Received)) {
	m.t.Helper()
	if edit != nil {
		edit(&r)
	}
	chain, err := m.w.newVerifier().Verify(r)
	m.f.Chains = append(m.f.Chains, vectorChain{
		Name: name, Encoded: r.Encoded, Audience: r.Audience.String(), Method: r.Method, Token: r.Token.UnsafeRaw(),
		Peer: r.Peer.ID.String(), PeerLeaf: r.Peer.Leaf.Raw, PeerIntermediates: rawAll(r.Peer.Intermediates),
		Mode: r.Mode.String(), Now: m.w.now.UnixMilli(), Want: outcome(chain, err),
	})
}

func (m *vectorMaker) addReceipt(name string, e Evidence) {
	chain, err := m.w.newVerifier().VerifyEvidence(e)
	m.f.Receipts = append(m.f.Receipts, vectorReceipt{
		Name: name, Encoded: e.Encoded, Audience: e.Audience.String(), TokenHash: e.TokenHash[:], Root: e.Root,
		Anchor: e.Anchor[:], IssuedAt: e.IssuedAt.UnixMilli(), At: e.At.UnixMilli(), Want: outcome(chain, err),
	})
}

func outcome(chain *Chain, err error) vectorOutcome {
	if e, ok := errors.AsType[*trat.Error](err); ok {
		return vectorOutcome{Reason: string(e.Reason), Field: e.Field}
	}
	return vectorOutcome{Links: hashes(chain), Complete: chain.Complete()}
}

// edited returns an edit of the message that travels.
func (m *vectorMaker) edited(edit func(*message)) func(*Received) {
	return func(r *Received) {
		decoded, err := decode(r.Encoded, MaxEncodedSize, false)
		if err != nil {
			m.t.Fatal(err)
		}
		edit(decoded)
		r.Encoded = decoded.String()
	}
}

func (m *vectorMaker) verified(c *call) *Chain {
	m.t.Helper()
	chain, err := m.w.verify(c)
	if err != nil {
		m.t.Fatal(err)
	}
	return chain
}

func (m *vectorMaker) chains() {
	w := m.w
	token, replaced := w.fixedToken("gateway", Hash{}, "1"), w.fixedToken("gateway", sha256.Sum256([]byte("a link")), "2")
	trace := Trace{TraceID: [16]byte{0x4b, 0xf9, 15: 0x36}, SpanID: [8]byte{0x00, 0xf0, 7: 0xb7}}

	first := &call{from: w.workload("gateway"), to: w.id("orders"), token: token}
	root := w.received(first)
	parent := m.verified(first)
	m.statement("root", parent.signed[0])
	m.add("root", root, nil)

	anchored := &call{from: w.workload("gateway"), to: w.id("orders"), token: replaced, trace: trace}
	m.add("root after a checkpoint", w.received(anchored), nil)
	m.statement("root after a checkpoint", m.verified(anchored).signed[0])
	m.add("root that calls itself", w.received(&call{from: w.workload("gateway"), to: w.id("gateway"), token: token}), nil)

	second := &call{from: w.workload("orders"), to: w.id("stock"), token: token, parent: parent, trace: trace, group: 5}
	parent = m.verified(second)
	third := &call{from: w.workload("stock"), to: w.id("audit"), token: token, parent: parent, trace: trace}
	path := w.received(third)
	m.add("path of three", path, nil)
	m.add("path of three where the last link is enough", path, func(r *Received) { r.Mode = ModeHead })
	third.mode = ModeHead
	head := w.received(third)
	m.add("head", head, nil)
	m.statement("third", m.verified(third).signed[0])

	third.from, third.presented, third.mode = w.workload("rotated"), w.workload("stock"), ModePath
	m.add("path with a leaf that is not the connection's, and an intermediate", w.received(third), nil)
	third.mode = ModeHead
	m.add("head with a leaf that is not the connection's, and an intermediate", w.received(third), nil)

	m.refused(root, path, head)
	m.receipts(token, path, head)

	third.presented, third.mode = nil, ModePath
	under := w.received(third)
	m.add("path with an intermediate of the handshake", under, nil)
	m.add("path without the intermediate that the leaf is under", under, func(r *Received) { r.Peer.Intermediates = nil })
}

// refused adds what must not be accepted.
func (m *vectorMaker) refused(root, path, head Received) {
	w := m.w
	m.add("no chain", path, func(r *Received) { r.Encoded = "" })
	m.add("head where a path is required", head, func(r *Received) { r.Mode = ModePath })
	m.add("padding", path, func(r *Received) { r.Encoded += "=" })
	m.add("a line break", path, func(r *Received) { r.Encoded = r.Encoded[:4] + "\n" + r.Encoded[4:] })
	m.add("unused bits of the last character", path, func(r *Received) {
		last := len(r.Encoded) - 1
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
			other := r.Encoded[:last] + string(c)
			if other != r.Encoded && slices.Equal(decodeLoosely(m.t, other), decodeLoosely(m.t, r.Encoded)) {
				r.Encoded = other
				return
			}
		}
		r.Encoded += "AB" // a whole number of groups: one byte more, with unused bits
	})
	m.add("a byte more", path, func(r *Received) { r.Encoded += "AAAA" })
	m.add("another version", path, m.edited(func(m *message) { m.form = 0x22 }))
	m.add("a flag without meaning", path, m.edited(func(m *message) { m.short.flags |= 1 << 7 }))
	m.add("an anchor behind the root", path, m.edited(func(m *message) { m.full[1].flags |= flagAnchor }))
	m.add("a root in head form", head, m.edited(func(m *message) { m.short.flags &^= flagParent; m.short.depth = 0 }))
	m.add("a trace id that should have been left out", path, m.edited(func(m *message) { m.full[1].flags &^= flagSameTrace }))
	m.add("eleven levels", path, m.edited(func(m *message) {
		m.short.path = treePath{shape: 11 << 12, nodes: make([]byte, 11*nodeSize)}
	}))
	m.add("leaves out of order", path, m.edited(func(m *message) {
		m.leaves[0], m.leaves[1] = m.leaves[1], m.leaves[0]
		m.full[0].leaf, m.full[1].leaf = 1, 0
	}))
	m.add("a leaf is missing", path, m.edited(func(m *message) { m.leaves = m.leaves[:1] }))
	m.add("leaves swapped", path, m.edited(func(m *message) { m.leaves[0], m.leaves[1] = m.leaves[1], m.leaves[0] }))
	m.add("no life", path, m.edited(func(m *message) { m.short.lifetime = 0 }))
	m.add("a long life", path, m.edited(func(m *message) { m.short.lifetime = 61 }))
	m.add("seven links", path, m.edited(func(m *message) {
		m.full = append(m.full, m.full[1], m.full[1], m.full[1], m.full[1])
	}))
	m.add("deeper than 63", head, m.edited(func(m *message) { m.short.depth = 64 }))

	m.add("another audience", path, func(r *Received) { r.Audience = w.id("payments") })
	m.add("another method", path, func(r *Received) { r.Method = "/shop.v1.Orders/Cancel" })
	m.add("another token", path, func(r *Received) { r.Token = w.fixedToken("gateway", Hash{}, "3") })
	m.add("another peer", path, func(r *Received) {
		r.Peer = Peer{ID: w.id("payments"), Leaf: w.workload("payments").leaf}
	})
	m.add("another leaf of the peer", path, func(r *Received) { r.Peer.Leaf = w.workload("rotated").leaf })
	m.add("another requester", root, func(r *Received) {
		c := &call{from: w.workload("orders"), to: r.Audience, token: r.Token}
		r.Encoded, r.Peer = w.encode(c), Peer{ID: c.from.id, Leaf: c.from.leaf}
	})
	m.add("an anchor that the token has not", root, m.edited(func(m *message) { m.short.flags |= flagAnchor }))
	m.add("a signature of another link", path, m.edited(func(m *message) { m.full[0].signature = m.short.signature }))
	m.add("another direction in the tree", path, m.edited(func(m *message) { m.full[1].path.shape ^= 1 }))
	m.add("a link dropped", path, m.edited(func(m *message) { m.full, m.leaves = m.full[:1], m.leaves[:1] }))

	w.now = worldNow.Add(DefaultLifetime + trat.DefaultLeeway)
	m.add("too late", path, nil)
	w.now = worldNow
	issued := func(at time.Duration) func(*Received) {
		return func(r *Received) {
			c := &call{from: w.workload("gateway"), to: r.Audience, token: r.Token, edit: func(l *link) {
				l.issuedAt = l.issuedAt.Add(at)
			}}
			r.Encoded, r.Peer = w.encode(c), Peer{ID: c.from.id, Leaf: c.from.leaf}
		}
	}
	m.add("before the token", path, issued(-trat.DefaultLeeway-time.Millisecond))
	m.add("in the future", path, issued(trat.DefaultLeeway+time.Millisecond))
}

func (m *vectorMaker) receipts(token *trat.Token, path, head Received) {
	full, err := m.w.verifier.Verify(path)
	if err != nil {
		m.t.Fatal(err)
	}
	detached, err := m.w.verifier.Verify(head)
	if err != nil {
		m.t.Fatal(err)
	}
	e := evidence(m.w, full, token)
	m.addReceipt("receipt of three", e)
	m.addReceipt("receipt of the last link", evidence(m.w, detached, token))
	other := e
	other.Audience = m.w.id("payments")
	m.addReceipt("receipt of another workload", other)
	other = e
	other.Encoded = path.Encoded
	m.addReceipt("a chain for a receipt", other)
	other = e
	other.Root = m.w.id("payments").String()
	m.addReceipt("receipt for another requester's token", other)
}
