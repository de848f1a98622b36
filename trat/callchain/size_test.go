package callchain

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/trat"
)

// longPath makes SPIFFE IDs of 60 bytes in the trust domain of the tests.
func longPath(i int) string {
	return "ns/shop-production/sa/backend-no-" + fmt.Sprint(i) // "spiffe://prod.example.org/" has 26 bytes
}

// longMethod has 40 bytes.
const longMethod = "/shop.production.v1.Orders/PlaceTheOrder"

// chainSize is what a chain adds to a request, counted as HTTP/2 does (RFC 9113 section
// 10.5.1): name, value and 32 bytes.
func chainSize(encoded string) int { return len(MetadataKey) + len(encoded) + 32 }

// longest returns the sizes of chains of 1 to n links in the given mode, with every optional
// claim, IDs of 60 and methods of 40 bytes, and the size of a leaf.
func longest(t *testing.T, mode Mode, n, group int) (sizes []int, leaf int) {
	t.Helper()
	w := newWorld(t)
	token := w.token(longPath(0), Hash{1})
	var parent *Chain
	for i := range n {
		c := &call{
			from: w.workload(longPath(i)), to: w.id(longPath(i + 1)), token: token, parent: parent, group: group,
			trace: Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}}, mode: mode, edit: func(l *link) { l.method = longMethod },
		}
		if len(c.from.id.String()) != 60 || len(longMethod) != 40 {
			t.Fatalf("%s has %d bytes", c.from.id, len(c.from.id.String()))
		}
		r := w.received(c)
		r.Method = longMethod
		sizes, leaf = append(sizes, chainSize(r.Encoded)), len(c.from.leaf.Raw)
		var err error
		if parent, err = w.verifier.Verify(r); err != nil {
			t.Fatal(err)
		}
	}
	return sizes, leaf
}

func TestChainKeepsWithinItsBudget(t *testing.T) {
	const levels6, levels10 = 64, 1024
	for _, tc := range []struct {
		mode  Mode
		group int
		most  map[int]int // by links
	}{
		{ModeHead, 1, map[int]int{1: 260, 8: 300}},
		{ModeHead, levels6, map[int]int{1: 450, 8: 450}},
		{ModeHead, levels10, map[int]int{8: 580}},
		{ModePath, 1, map[int]int{4: 3100, 6: 4800}},
		{ModePath, levels6, map[int]int{1: 450, 4: 3800, 6: 6000}},
		{ModePath, levels10, map[int]int{6: MaxEncodedSize - 700 - 64}}, // with a TraT of 700 bytes
	} {
		sizes, leaf := longest(t, tc.mode, last(tc.most), tc.group)
		t.Logf("%s, groups of %d, leaves of %d bytes: %v", tc.mode, tc.group, leaf, sizes)
		for links, most := range tc.most {
			if sizes[links-1] > most {
				t.Errorf("%s, groups of %d, %d links: %d bytes, at most %d wanted", tc.mode, tc.group, links, sizes[links-1], most)
			}
		}
	}
}

func last(most map[int]int) int {
	n := 0
	for links := range most {
		n = max(n, links)
	}
	return n
}

// A chain does not grow beyond its budget unnoticed.
func TestChainThatIsTooLongDoesNotLeave(t *testing.T) {
	w := newWorld(t)
	for i := range MaxLinks + 1 {
		name := fmt.Sprint("w", i)
		w.workloads[name] = w.authority.svid(t, w.id(name), newKey(t), func(c *x509.Certificate) {
			c.DNSNames = []string{strings.Repeat("a.", 500) + "example.org"}
		})
	}
	token := w.token("w0", Hash{})
	parent := w.chain(token, "w0", "w1", "w2", "w3", "w4")
	c := &call{from: w.workload("w4"), to: w.id("w5"), token: token, parent: parent}
	_, err := encodeCall(ModePath, parent, w.link(c), nil, c.from.leaf)
	wantError(t, err, trat.ReasonMetadataTooLarge, "txn-chain")
	c.mode = ModeHead
	if _, err := w.verify(c); err != nil {
		t.Errorf("in head form: %v", err)
	}
}
