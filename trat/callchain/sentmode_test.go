package callchain

import (
	"strings"
	"testing"
)

func TestSentModeIsTheFormThatWasSent(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	encode := func(mode Mode, signed *Signed) string {
		encoded, err := signed.Encode(mode, nil)
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	signed := func(by, to string, parent *Chain) *Signed {
		s, err := w.signer(w.workload(by)).SignLink(t.Context(), w.draft(to, token, parent))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	root := signed("gateway", "orders", nil)
	chain, err := w.accept(root, token, w.workload("gateway"))
	if err != nil {
		t.Fatal(err)
	}
	next := signed("orders", "stocks", chain)
	for name, tc := range map[string]struct {
		encoded string
		want    Mode
	}{
		"path":             {encode(ModePath, next), ModePath},
		"head":             {encode(ModeHead, next), ModeHead},
		"root":             {encode(ModePath, root), ModePath},
		"root, asked head": {encode(ModeHead, root), ModePath},
		"receipt":          {chain.Receipt(), 0},
		"nothing":          {"", 0},
		"cut off":          {encode(ModePath, root)[:3], 0},
		"no base64url":     {"E=E=", 0},
		"something else":   {strings.Repeat("A", 100), 0},
	} {
		if got := SentMode(tc.encoded); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// GroupSize is how many links the signature is of, this one included.
func TestGroupSizeIsTheNumberOfLinksThatWereSignedTogether(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	s := w.signer(w.workload("gateway"))
	for _, n := range []int{1, 2, 3, 64, 65} {
		links := make([]*pending, n)
		for i := range links {
			d := w.draft("orders", token, nil)
			l, err := d.link()
			if err != nil {
				t.Fatal(err)
			}
			l.id[0], l.id[1] = byte(i), byte(n)
			links[i] = &pending{link: l, expires: token.Expiry()}
		}
		s.sign(links)
		for _, p := range links {
			if got := p.signed().GroupSize(); got != n {
				t.Errorf("%d, want %d", got, n)
			}
		}
	}
}
