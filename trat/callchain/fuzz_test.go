package callchain

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// What decode accepts it has read to the end and in the only way it can be written, with
// nothing beyond the limits. The rest it refuses with a reason.
func FuzzChain(f *testing.F) {
	path, head, receipt := sample(newWorld(f))
	for _, text := range []string{path, head, receipt} {
		b, err := encoding.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		m, err := decode(text, MaxReceiptSize, text == receipt)
		if err != nil {
			f.Fatal(err)
		}
		for i := range m.leaves { // where a mutation seldom hits what it does not see through
			m.leaves[i] = []byte{byte(i)}
		}
		m.intermediates = nil
		f.Add(m.append(nil))
	}
	f.Add([]byte{formPath, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		text := encoding.EncodeToString(b)
		for _, receipt := range []bool{false, true} {
			m, err := decode(text, MaxReceiptSize, receipt)
			if err != nil {
				e, ok := errors.AsType[*trat.Error](err)
				if !ok || e.Reason != trat.ReasonChainLinkInvalid && e.Reason != trat.ReasonChainTooDeep || e.Field == "" || m != nil {
					t.Fatalf("%v, %v", m, err)
				}
				continue
			}
			if got := m.append(nil); !bytes.Equal(got, b) {
				t.Fatalf("read as %x", got)
			}
			checkResolved(t, m)
		}
	})
}

// SplitReceipt takes apart what a receipt begins as, every receipt among it, and JoinReceipt
// puts together the very same. What JoinReceipt puts together SplitReceipt takes apart.
func FuzzSplitReceipt(f *testing.F) {
	_, _, receipt := sample(newWorld(f))
	b, err := encoding.DecodeString(receipt)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{formReceipt, 1, 0, 2, 5, 6, 1, 9, 9})
	f.Add([]byte{formReceipt, 0})
	f.Add([]byte{formReceipt, 2, 0, 0, 0, 1, 7})
	f.Add([]byte{formPath, 1, 0, 1, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		receipt := encoding.EncodeToString(b)
		body, certificates, err := SplitReceipt(receipt)
		if err != nil {
			if m, wrong := decode(receipt, MaxReceiptSize, true); wrong == nil || !errors.Is(err, trat.ReasonChainLinkInvalid) {
				t.Fatalf("%v, of %v", err, m)
			}
			return
		}
		if again, err := JoinReceipt(body, certificates); err != nil || again != receipt {
			t.Fatalf("%q, %v; want %q", again, err, receipt)
		}
		joined, err := JoinReceipt(b, [][]byte{b})
		if err != nil {
			return
		}
		if body, certificates, err := SplitReceipt(joined); err != nil || !bytes.Equal(body, b) || len(certificates) != 1 || !bytes.Equal(certificates[0], b) {
			t.Fatalf("%x, %x, %v", body, certificates, err)
		}
	})
}

// checkResolved holds what is derived of links to its invariants.
func checkResolved(t *testing.T, m *message) {
	t.Helper()
	h := holding{audience: spiffeid.RequireFromString("spiffe://prod.example.org/d"), tokenHash: [32]byte{1}}
	if first := append(slices.Clip(m.full), m.short)[0]; first.flags&flagAnchor != 0 {
		h.anchor = Hash{1}
	}
	last := lastLink{issuer: spiffeid.RequireFromString("spiffe://prod.example.org/c"), method: worldMethod, leaf: []byte("leaf")}
	links, err := m.links(&h, last)
	if err != nil {
		if len(m.full) == 0 {
			t.Fatalf("%v", err)
		}
		return // an ID that is too long with its trust domain
	}
	for i, l := range links {
		if l.hash.IsZero() || l.depth > MaxDepth || l.lifetime < time.Second || l.lifetime > MaxLifetime ||
			i > 0 && (l.parent != links[i-1].hash || links[i-1].audience != l.issuer || l.depth != i) {
			t.Fatalf("link %d is %+v", i, l.link)
		}
	}
	if m.form == formReceipt {
		if again := encodeReceipt(links, m.intermediates); again != m.String() {
			t.Fatal("the receipt of the same links is another one")
		}
	}
}

// Two links that differ have statements that differ, and none is the beginning of another.
func FuzzStatement(f *testing.F) {
	f.Add([]byte("a"), "/a", "/b", "/s/m", int64(1), uint8(15), []byte("b"), "/a", "/b", "/s/m", int64(1), uint8(15))
	f.Add([]byte{}, "/a", "/bc", "/s/m", int64(0), uint8(1), []byte{}, "/ab", "/c", "/s/m", int64(0), uint8(1))
	f.Fuzz(func(t *testing.T, seedA []byte, issA, audA, rpcA string, iatA int64, lifeA uint8,
		seedB []byte, issB, audB, rpcB string, iatB int64, lifeB uint8,
	) {
		a, b := fuzzLink(seedA, issA, audA, rpcA, iatA, lifeA), fuzzLink(seedB, issB, audB, rpcB, iatB, lifeB)
		if a == nil || b == nil {
			return
		}
		x, y := a.appendStatement(nil), b.appendStatement(nil)
		same := *a == *b
		if bytes.Equal(x, y) != same || !same && (bytes.HasPrefix(x, y) || bytes.HasPrefix(y, x)) {
			t.Fatalf("links %+v and %+v: statements %x and %x", a, b, x, y)
		}
		a.seal()
		if a.hash != sha256.Sum256(x) {
			t.Fatal("the hash is of something else")
		}
	})
}

// fuzzLink makes a link of what a fuzzer says; nil if it cannot be one.
func fuzzLink(seed []byte, iss, aud, rpc string, iat int64, life uint8) *link {
	domain := spiffeid.RequireTrustDomainFromString("prod.example.org")
	issuer, err1 := spiffeid.FromPath(domain, iss)
	audience, err2 := spiffeid.FromPath(domain, aud)
	if err1 != nil || err2 != nil || !validMethod(rpc) || len(iss)+len(aud) > maxIDSize || life == 0 || life > 60 {
		return nil
	}
	r := reader{b: seed}
	l := &link{
		issuer: issuer, audience: audience, method: rpc, depth: int(r.byte() % (MaxDepth + 1)),
		issuedAt: time.UnixMilli(iat & (1<<48 - 1)).UTC(), lifetime: time.Duration(life) * time.Second,
	}
	copy(l.id[:], r.take(16))
	copy(l.tokenHash[:], r.take(32))
	copy(l.leafHash[:], r.take(32))
	if l.depth > 0 {
		copy(l.parent[:], r.take(32))
	} else {
		copy(l.anchor[:], r.take(32))
	}
	copy(l.trace.TraceID[:], r.take(16))
	copy(l.trace.SpanID[:], r.take(8))
	return l
}
