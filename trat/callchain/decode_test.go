package callchain

import (
	"slices"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/trat"
)

// sample returns a chain of three links in each form, one of them with a leaf of its own and
// with an intermediate.
func sample(w *world) (path, head, receipt string) {
	token := w.token("a", Hash{})
	w.authority = newIssuer(w.tb, w.domain, w.authority)
	rotated := w.authority.svid(w.tb, w.id("c"), newKey(w.tb), nil)
	rotated.intermediates = append(rotated.intermediates, w.authority.cert)
	c := &call{
		from: rotated, presented: w.workload("c"), to: w.id("d"), token: token, group: 5,
		trace: Trace{TraceID: [16]byte{1}, SpanID: [8]byte{2}},
	}
	for i, mode := range []Mode{ModePath, ModeHead} {
		w.workload("c").intermediates = rotated.intermediates
		w.workload("a").intermediates = rotated.intermediates
		w.workload("b").intermediates = rotated.intermediates
		first := &call{from: w.workload("a"), to: w.id("b"), token: token, trace: c.trace}
		parent, err := w.verify(first)
		if err != nil {
			w.tb.Fatal(err)
		}
		second := &call{from: w.workload("b"), to: w.id("c"), token: token, parent: parent, trace: Trace{TraceID: [16]byte{9}, SpanID: [8]byte{2}}}
		if c.parent, err = w.verify(second); err != nil {
			w.tb.Fatal(err)
		}
		c.mode = mode
		chain, err := w.verify(c)
		if err != nil {
			w.tb.Fatal(err)
		}
		if i == 0 {
			path, receipt = w.encode(c), chain.Receipt()
		}
		head = w.encode(c)
	}
	return path, head, receipt
}

func TestChainHasOneSpelling(t *testing.T) {
	path, head, receipt := sample(newWorld(t))
	for _, text := range []string{path, head, receipt} {
		m, err := decode(text, MaxEncodedSize, text == receipt)
		if err != nil {
			t.Fatal(err)
		}
		if m.String() != text {
			t.Error("written in another way")
		}
		for name, other := range map[string]string{
			"line break": text[:8] + "\n" + text[8:], "padding": text + "=", "space": text + " ",
			"a byte more": text + "AAAA", "a byte less": text[:len(text)-4], "standard alphabet": "+" + text[1:],
		} {
			if _, err := decode(other, MaxEncodedSize, text == receipt); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		if _, err := decode(text, len(text)-1, text == receipt); err == nil {
			t.Error("longer than the limit: accepted")
		}
		if _, err := decode(text, MaxEncodedSize, text != receipt); err == nil {
			t.Error("a receipt for a chain, or the other way round: accepted")
		}
		b, err := encoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		for n := range b {
			if _, err := decode(encoding.EncodeToString(b[:n]), MaxEncodedSize, text == receipt); err == nil {
				t.Errorf("the first %d of %d bytes: accepted", n, len(b))
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	path, head, receipt := sample(newWorld(t))
	const chain = MetadataKey
	for _, tc := range []struct {
		name  string
		of    string
		edit  func(*message)
		field string
	}{
		{"another version", path, func(m *message) { m.form = 0x22 }, chain},
		{"another form", path, func(m *message) { m.form = 0x14 }, chain},
		{"a flag without meaning", path, func(m *message) { m.short.flags |= 1 << 7 }, chain},
		{"a flag of full links", path, func(m *message) { m.short.flags |= flagSameTrace }, chain},
		{"a flag of the short link", path, func(m *message) { m.full[0].flags |= flagLeaf }, chain},
		{"a root with a parent", path, func(m *message) { m.full[0].flags |= flagParent }, chain},
		{"no parent", path, func(m *message) { m.full[1].flags &^= flagParent }, chain},
		{"no parent at the end", path, func(m *message) { m.short.flags &^= flagParent }, chain},
		{"an anchor behind the root", path, func(m *message) { m.full[1].flags |= flagAnchor }, chain},
		{"an anchor at the end", head, func(m *message) { m.short.flags |= flagAnchor }, chain},
		{"a root in head form", head, func(m *message) { m.short.depth = 0 }, chain},
		{"detached from ancestors that are there", receipt, func(m *message) { m.full[0].flags |= flagDetached }, chain},
		{"no links", receipt, func(m *message) { m.full = nil }, chain},
		{"no life", path, func(m *message) { m.full[0].lifetime = 0 }, "exp"},
		{"a long life", path, func(m *message) { m.short.lifetime = 61 }, "exp"},
		{"eleven levels", head, func(m *message) { m.short.path = treePath{shape: 11 << 12, nodes: make([]byte, 11*nodeSize)} }, chain},
		{"a direction without a level", head, func(m *message) { m.short.path.shape |= 1 << 9 }, chain},
		{"a trace of zeros", path, func(m *message) { m.short.trace.TraceID = [16]byte{} }, chain},
		{"a span of zeros", path, func(m *message) { m.full[1].trace.SpanID = [8]byte{} }, chain},
		{"the last link's trace, repeated", path, func(m *message) { m.full[1].trace.TraceID = m.short.trace.TraceID }, chain},
		{"the last link's trace, if it had one", path, func(m *message) { m.short.flags &^= flagTrace }, chain},
		{"the last link's trace, but no trace", path, func(m *message) { m.full[0].flags &^= flagTrace }, chain},
		{"no issuer", path, func(m *message) { m.full[0].issuer = "" }, "iss"},
		{"an issuer that is no path", path, func(m *message) { m.full[0].issuer = "/a//b" }, "iss"},
		{"a long issuer", path, func(m *message) { m.full[0].issuer = "/" + strings.Repeat("a", maxIDSize) }, "iss"},
		{"a method without a service", path, func(m *message) { m.full[0].method = "/Place" }, "rpc"},
		{"a method of another alphabet", path, func(m *message) { m.full[0].method = "/shop/Pläce" }, "rpc"},
		{"a long method", path, func(m *message) { m.full[0].method = "/shop/" + strings.Repeat("a", maxMethodSize) }, "rpc"},
		{"an empty certificate", path, func(m *message) { m.leaves[0] = nil }, "certificate"},
		{"a long certificate", path, func(m *message) { m.leaves[0] = make([]byte, maxCertificateSize+1) }, "certificate"},
		{"a missing certificate", path, func(m *message) { m.short.leaf = 9 }, "certificate"},
		{"leaves out of order", path, func(m *message) { m.full[0].leaf, m.full[1].leaf = 1, 0 }, chain},
		{"a leaf twice", path, func(m *message) { m.leaves[1] = m.leaves[0] }, chain},
		{"a leaf for an intermediate", path, func(m *message) { m.intermediates = m.leaves[:1] }, chain},
		{"intermediates out of order", path, func(m *message) { m.intermediates = [][]byte{{2}, {1}} }, chain},
		{"an intermediate twice", path, func(m *message) { m.intermediates = [][]byte{{1}, {1}} }, chain},
		{"seven intermediates", path, func(m *message) { m.intermediates = [][]byte{{1}, {2}, {3}, {4}, {5}, {6}, {7}} }, "certificate"},
		{"thirteen certificates", path, func(m *message) { m.intermediates = slices.Repeat([][]byte{{1}}, 13) }, "certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := decode(tc.of, MaxEncodedSize, tc.of == receipt)
			if err != nil {
				t.Fatal(err)
			}
			tc.edit(m)
			_, err = decode(m.String(), MaxReceiptSize, tc.of == receipt)
			wantError(t, err, trat.ReasonChainLinkInvalid, tc.field)
		})
	}
	m, err := decode(head, MaxEncodedSize, false)
	if err != nil {
		t.Fatal(err)
	}
	m.short.depth = MaxDepth + 1
	_, err = decode(m.String(), MaxEncodedSize, false)
	wantError(t, err, trat.ReasonChainTooDeep, "n")
}

// What no callee accepts does not leave.
func TestEncodeRefusesWhatNobodyAccepts(t *testing.T) {
	w := newWorld(t)
	c := &call{from: w.workload("a"), to: w.id("b"), token: w.token("a", Hash{})}
	own := w.link(c)
	_, err := encodeCall(ModeOff, nil, own, nil, c.from.leaf)
	wantError(t, err, trat.ReasonInternal, "mode")

	big := func(n int) [][]byte {
		ders := make([][]byte, n)
		for i := range ders {
			ders[i] = append([]byte{byte(i)}, make([]byte, 1500)...)
		}
		return ders
	}
	_, err = encodeCall(ModePath, nil, own, big(5), nil)
	wantError(t, err, trat.ReasonMetadataTooLarge, "txn-chain")
	_, err = encodeCall(ModePath, nil, own, big(7), nil)
	wantError(t, err, trat.ReasonMetadataTooLarge, "certificate")
	if _, err = encodeCall(ModePath, nil, own, big(5), c.from.leaf); err != nil {
		t.Errorf("intermediates of a leaf that is known: %v", err)
	}
}
