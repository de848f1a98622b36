package callchain

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/trat"
)

// delivery is a call as its callee has received it.
type delivery struct {
	Received
	from *workload
	// group has the links that were signed with the last one.
	group []*Signed
	chain *Chain // what it was verified to be
}

// transaction is a random tree of calls with one token: fan-out, diamonds, workloads that
// come twice, links signed alone and in groups.
type transaction struct {
	*world
	random     *rand.Rand
	token      *trat.Token
	deliveries []delivery
}

// workloadNames has few names, so that paths cross.
var workloadNames = []string{"w0", "w1", "w2", "w3", "w4", "w5"}

func (tx *transaction) name() string { return workloadNames[tx.random.IntN(len(workloadNames))] }

func newTransaction(w *world, random *rand.Rand) *transaction {
	tx := &transaction{world: w, random: random, token: w.token("w0", Hash{})}
	tx.calls("w0", []*Chain{nil}, 1+random.IntN(3))
	for range 4 + random.IntN(6) {
		by := tx.name()
		var parents []*Chain
		for _, d := range tx.deliveries {
			if d.Audience == w.id(by) && d.chain.Last().Depth() < MaxLinks-1 {
				parents = append(parents, d.chain)
			}
		}
		if len(parents) > 0 {
			tx.calls(by, parents, 1+random.IntN(4))
		}
	}
	return tx
}

// calls makes n calls of one workload, whose links are signed together with those of some
// calls that nobody ever sees.
func (tx *transaction) calls(by string, parents []*Chain, n int) {
	tx.tb.Helper()
	links := make([]*pending, n+tx.random.IntN(2)*tx.random.IntN(40))
	for i := range links {
		draft := tx.draft(tx.name(), tx.token, parents[tx.random.IntN(len(parents))])
		draft.Method = fmt.Sprintf("/shop.v1.Shop/Method%d", tx.random.IntN(3))
		if tx.random.IntN(2) == 0 {
			draft.Trace = Trace{TraceID: [16]byte{1: byte(1 + tx.random.IntN(2))}, SpanID: [8]byte{byte(1 + i)}}
		}
		l, err := draft.link()
		if err != nil {
			tx.tb.Fatal(err)
		}
		for b := range l.id {
			l.id[b] = byte(tx.random.Uint32())
		}
		links[i] = &pending{link: l, parent: draft.Parent, expires: tx.token.Expiry()}
	}
	tx.random.Shuffle(len(links), func(i, j int) { links[i], links[j] = links[j], links[i] })
	from := tx.workload(by)
	tx.signer(from).sign(links)
	group := make([]*Signed, len(links))
	for i, p := range links {
		if p.err != nil {
			tx.tb.Fatal(p.err)
		}
		group[i] = p.signed()
	}
	for _, s := range group[:n] {
		tx.deliver(from, s, group)
	}
}

// deliver sends a signed link and wants it accepted as what it is.
func (tx *transaction) deliver(from *workload, s *Signed, group []*Signed) {
	tx.tb.Helper()
	d := delivery{from: from, group: group, Received: Received{
		Audience: s.Link().Audience(), Method: s.Link().Method(), Token: tx.token,
		Peer: Peer{ID: from.id, Leaf: from.leaf}, Mode: ModePath,
	}}
	if tx.random.IntN(4) == 0 || s.parent != nil && !s.parent.known() {
		d.Mode = ModeHead
	}
	var err error
	if d.Encoded, err = s.Encode(d.Mode, from.leaf); err != nil {
		tx.tb.Fatal(err)
	}
	if d.chain, err = tx.verifier.Verify(d.Received); err != nil {
		tx.tb.Fatalf("untampered, depth %d, %s: %v", s.Link().Depth(), d.Mode, err)
	}
	want := []Hash{s.Link().Hash()}
	if d.Mode == ModePath && s.parent != nil {
		want = nil
		for l := range s.parent.Links() {
			want = append(want, l.Hash())
		}
		want = append(want, s.Link().Hash())
	}
	var got []Hash
	for l := range d.chain.Links() {
		got = append(got, l.Hash())
	}
	if !slices.Equal(got, want) {
		tx.tb.Fatalf("verified as %v, was signed as %v", got, want)
	}
	tx.deliveries = append(tx.deliveries, d)
}

// parts is a chain taken apart, each link with its leaf.
type parts struct {
	*message
	leafOf    [][]byte // of full
	shortLeaf []byte   // nil: not sent
}

func (d *delivery) parts(tb testing.TB) *parts {
	tb.Helper()
	m, err := decode(d.Encoded, MaxEncodedSize, false)
	if err != nil {
		tb.Fatal(err)
	}
	p := &parts{message: m}
	for i := range m.full {
		p.leafOf = append(p.leafOf, m.leaves[m.full[i].leaf])
	}
	return p
}

// String puts the parts together as an honest encoder would.
func (p *parts) String() string {
	m := *p.message
	m.leaves = nil
	for i := range m.full {
		m.full[i].flags &^= flagSameTrace
		m.full[i].leaf = m.addLeaf(p.leafOf[i])
	}
	m.shareTrace(m.short.trace)
	if p.shortLeaf != nil {
		m.short.flags |= flagLeaf
		m.short.leaf = m.addLeaf(p.shortLeaf)
	}
	return m.String()
}

// ancestors replaces those that there are, and makes roots of what looks like one.
func (p *parts) ancestors(full []wireLink, leafOf [][]byte) {
	p.full, p.leafOf = full, leafOf
	first := &p.short
	if len(full) > 0 {
		p.short.flags |= flagParent
		first = &p.full[0]
	}
	first.flags &^= flagParent
}

// tampering is one way to tamper with a delivery. It reports false when that is not
// possible with this one. What it returns may be the delivery as it was, by chance.
type tampering func(tx, other *transaction, d *delivery) (Received, bool)

// rewritten tampers with the parts of a chain in path form that has ancestors.
func rewritten(edit func(tx, other *transaction, p *parts)) tampering {
	return func(tx, other *transaction, d *delivery) (Received, bool) {
		p := d.parts(tx.tb)
		if len(p.full) == 0 {
			return Received{}, false
		}
		edit(tx, other, p)
		d.Encoded = p.String()
		return d.Received, true
	}
}

// rebuilt tampers with the bytes.
func rebuilt(edit func(random *rand.Rand, b []byte) []byte) tampering {
	return func(tx, _ *transaction, d *delivery) (Received, bool) {
		b, err := encoding.DecodeString(d.Encoded)
		if err != nil {
			tx.tb.Fatal(err)
		}
		d.Encoded = encoding.EncodeToString(edit(tx.random, b))
		return d.Received, true
	}
}

// redirected leaves the chain as it is and changes what it came with.
func redirected(edit func(tx, other *transaction, r *Received)) tampering {
	return func(tx, other *transaction, d *delivery) (Received, bool) {
		edit(tx, other, &d.Received)
		return d.Received, true
	}
}

// pick returns one of list.
func pick[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

var tamperings = map[string]tampering{
	"remove a link": rewritten(func(tx, _ *transaction, p *parts) {
		i := tx.random.IntN(len(p.full))
		p.ancestors(slices.Delete(p.full, i, i+1), slices.Delete(p.leafOf, i, i+1))
	}),
	"remove the oldest links": rewritten(func(tx, _ *transaction, p *parts) {
		n := 1 + tx.random.IntN(len(p.full))
		p.ancestors(p.full[n:], p.leafOf[n:])
	}),
	"reorder": rewritten(func(tx, _ *transaction, p *parts) {
		i, j := tx.random.IntN(len(p.full)), tx.random.IntN(len(p.full))
		p.full[i], p.full[j] = p.full[j], p.full[i]
		p.full[i].flags, p.full[j].flags = p.full[i].flags|flagParent, p.full[j].flags|flagParent
		p.leafOf[i], p.leafOf[j] = p.leafOf[j], p.leafOf[i]
		p.ancestors(p.full, p.leafOf)
	}),
	"duplicate": rewritten(func(tx, _ *transaction, p *parts) {
		i := tx.random.IntN(len(p.full))
		again := p.full[i]
		again.flags |= flagParent
		p.ancestors(slices.Insert(p.full, i+1, again), slices.Insert(p.leafOf, i+1, p.leafOf[i]))
	}),
	"splice ancestors of this transaction": rewritten(func(tx, _ *transaction, p *parts) {
		source := pick(tx.random, tx.deliveries)
		donor := source.parts(tx.tb)
		p.ancestors(donor.full, donor.leafOf)
	}),
	"splice ancestors of another transaction": rewritten(func(tx, other *transaction, p *parts) {
		source := pick(tx.random, other.deliveries)
		donor := source.parts(tx.tb)
		p.ancestors(donor.full, donor.leafOf)
	}),
	"alter a byte": rebuilt(func(random *rand.Rand, b []byte) []byte {
		b[random.IntN(len(b))] ^= byte(1 + random.IntN(255))
		return b
	}),
	"truncate": rebuilt(func(random *rand.Rand, b []byte) []byte { return b[:random.IntN(len(b))] }),
	"append":   rebuilt(func(random *rand.Rand, b []byte) []byte { return append(b, byte(random.Uint32())) }),

	"re-sign by another workload": func(tx, _ *transaction, d *delivery) (Received, bool) {
		by := tx.workload(tx.name())
		p, stated := d.parts(tx.tb), *d.chain.Last().link
		if by == d.from {
			return Received{}, false
		}
		if tx.random.IntN(2) == 0 { // and say so
			p.shortLeaf, stated.leafHash = by.leaf.Raw, sha256.Sum256(by.leaf.Raw)
			stated.seal()
		}
		forged := tx.sign(by, &stated, 1+tx.random.IntN(8))
		p.short.path, p.short.signature = forged.path, forged.signature
		d.Encoded = p.String()
		return d.Received, true
	},
	"re-sign an earlier link by another workload": func(tx, _ *transaction, d *delivery) (Received, bool) {
		by, links := tx.workload(tx.name()), slices.Collect(d.chain.Links())
		i := tx.random.IntN(len(links))
		if i == len(links)-1 || by.id == links[i].Issuer() {
			return Received{}, false
		}
		p, stated := d.parts(tx.tb), *links[i].link
		if tx.random.IntN(2) == 0 {
			p.leafOf[i], stated.leafHash = by.leaf.Raw, sha256.Sum256(by.leaf.Raw)
			stated.seal()
		}
		forged := tx.sign(by, &stated, 1+tx.random.IntN(8))
		p.full[i].path, p.full[i].signature = forged.path, forged.signature
		d.Encoded = p.String()
		return d.Received, true
	},
	"pass off as another workload's": func(tx, _ *transaction, d *delivery) (Received, bool) {
		by := tx.workload(tx.name())
		stated := *d.chain.Last().link
		if by == d.from {
			return Received{}, false
		}
		stated.issuer, stated.leafHash = by.id, sha256.Sum256(by.leaf.Raw)
		stated.seal()
		forged := tx.sign(by, &stated, 1)
		p := d.parts(tx.tb)
		p.short = shortLink(&forged)
		p.short.depth, p.short.parent = byte(stated.depth), stated.parent
		d.Encoded, d.Peer = p.String(), Peer{ID: by.id, Leaf: by.leaf}
		// In head form this is a link of its own, whose past only an audit can judge.
		return d.Received, p.form == formPath
	},
	"move within its group": func(tx, _ *transaction, d *delivery) (Received, bool) {
		p := d.parts(tx.tb)
		p.short.path = pick(tx.random, d.group).own.path
		d.Encoded = p.String()
		return d.Received, true
	},
	"move to another group": func(tx, other *transaction, d *delivery) (Received, bool) {
		p := d.parts(tx.tb)
		from := pick(tx.random, pick(tx.random, []*transaction{tx, other}).deliveries)
		to := pick(tx.random, from.group).own
		if p.short.signature == to.signature {
			return Received{}, false
		}
		p.short.signature = to.signature
		if tx.random.IntN(2) == 0 {
			p.short.path = to.path
		}
		d.Encoded = p.String()
		return d.Received, true
	},

	"send to another workload": redirected(func(tx, _ *transaction, r *Received) { r.Audience = tx.id(tx.name()) }),
	"call another method":      redirected(func(_, _ *transaction, r *Received) { r.Method += "All" }),
	"send with another token":  redirected(func(_, other *transaction, r *Received) { r.Token = other.token }),
	"send from another workload": redirected(func(tx, _ *transaction, r *Received) {
		by := tx.workload(tx.name())
		r.Peer = Peer{ID: by.id, Leaf: by.leaf}
	}),
}

// Of random transactions every call is accepted as it was made, and none that somebody has
// tampered with.
//
// Covers B-T1, B-T2, B-T4.
func TestExactlyTheUntamperedIsAccepted(t *testing.T) {
	const transactions, attempts = 12, 12
	w := newWorld(t)
	tried := map[string]int{}
	for seed := range uint64(transactions) {
		random := rand.New(rand.NewPCG(seed, 4))
		tx, other := newTransaction(w, random), newTransaction(w, random)
		for _, d := range tx.deliveries {
			for _, name := range slices.Sorted(maps.Keys(tamperings)) {
				for range attempts {
					forged := d
					r, possible := tamperings[name](tx, other, &forged)
					if !possible || sameCall(r, d.Received) {
						continue
					}
					tried[name]++
					if _, err := w.verifier.Verify(r); !refusedAsChain(err) {
						t.Fatalf("seed %d, %s, depth %d, %s: error = %v", seed, name, d.chain.Last().Depth(), d.Mode, err)
					}
				}
			}
			if _, err := w.verifier.Verify(d.Received); err != nil {
				t.Fatalf("seed %d: untampered, after all of this: %v", seed, err)
			}
		}
	}
	for name := range tamperings {
		if tried[name] < 50 {
			t.Errorf("%s: tried only %d times", name, tried[name])
		}
	}
}

func sameCall(a, b Received) bool {
	return a.Encoded == b.Encoded && a.Audience == b.Audience && a.Method == b.Method &&
		a.Token == b.Token && a.Peer.ID == b.Peer.ID
}

func refusedAsChain(err error) bool {
	reason, ok := trat.ReasonOf(err)
	return ok && strings.HasPrefix(string(reason), "CHAIN_")
}
