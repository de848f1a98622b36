package callchain

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// svidSource is an x509svid.Source that a test can change.
type svidSource struct{ current atomic.Pointer[x509svid.SVID] }

var errNoAnswer = errors.New("no answer from the workload API")

func newSVIDSource(w *workload) *svidSource {
	s := &svidSource{}
	s.set(w)
	return s
}

// set makes w the answer; nil is none.
func (s *svidSource) set(w *workload) {
	if w == nil {
		s.current.Store(nil)
		return
	}
	s.current.Store(&x509svid.SVID{
		ID: w.id, PrivateKey: w.key, Certificates: append([]*x509.Certificate{w.leaf}, w.intermediates...),
	})
}

// GetX509SVID implements x509svid.Source.
func (s *svidSource) GetX509SVID() (*x509svid.SVID, error) {
	if svid := s.current.Load(); svid != nil {
		return svid, nil
	}
	return nil, errNoAnswer
}

func (w *world) signer(by *workload, opts ...SignerOption) *Signer {
	w.tb.Helper()
	return w.signerOf(newSVIDSource(by), opts...)
}

func (w *world) signerOf(svids x509svid.Source, opts ...SignerOption) *Signer {
	w.tb.Helper()
	s, err := NewSigner(svids, append([]SignerOption{WithClock(w.clock)}, opts...)...)
	if err != nil {
		w.tb.Fatal(err)
	}
	return s
}

func (w *world) draft(to string, token *trat.Token, parent *Chain) Draft {
	return Draft{Audience: w.id(to), Method: worldMethod, Token: token, Parent: parent}
}

// accept verifies a signed link as its callee does, over a connection where presented is
// the caller's leaf.
func (w *world) accept(s *Signed, token *trat.Token, presented *workload) (*Chain, error) {
	w.tb.Helper()
	encoded, err := s.Encode(ModePath, presented.leaf)
	if err != nil {
		w.tb.Fatal(err)
	}
	return w.verifier.Verify(Received{
		Encoded: encoded, Audience: s.Link().Audience(), Method: s.Link().Method(), Token: token, Mode: ModePath,
		Peer: Peer{ID: presented.id, Leaf: presented.leaf, Intermediates: presented.intermediates},
	})
}

func TestSignedLinkSaysWhatTheCallIs(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	draft := w.draft("orders", token, nil)
	draft.Trace = Trace{TraceID: [16]byte{1}, SpanID: [8]byte{2}}
	signed, err := w.signer(w.workload("gateway")).SignLink(t.Context(), draft)
	if err != nil {
		t.Fatal(err)
	}
	l := signed.Link()
	if l.Issuer() != w.id("gateway") || l.Audience() != w.id("orders") || l.Method() != worldMethod ||
		l.TokenHash() != token.Digest() || l.Trace() != draft.Trace || l.Leaf() != w.workload("gateway").leaf ||
		l.Depth() != 0 || !l.Parent().IsZero() || !l.IssuedAt().Equal(w.now) || l.Expiry().Sub(w.now) != DefaultLifetime {
		t.Errorf("link = %+v", *l.link)
	}
	chain, err := w.accept(signed, token, w.workload("gateway"))
	if err != nil || chain.Last().Hash() != l.Hash() {
		t.Fatalf("callee: %v", err)
	}
	next, err := w.signer(w.workload("orders")).SignLink(t.Context(), w.draft("stock", token, chain))
	if err != nil {
		t.Fatal(err)
	}
	if n := next.Link(); n.Depth() != 1 || n.Parent() != l.Hash() {
		t.Errorf("next link has depth %d and parent %s", n.Depth(), n.Parent())
	}
	if _, err := w.accept(next, token, w.workload("orders")); err != nil {
		t.Errorf("next callee: %v", err)
	}
}

func TestHalfATraceIsNone(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	draft := w.draft("orders", token, nil)
	draft.Trace.TraceID[0] = 1
	signed, err := w.signer(w.workload("gateway")).SignLink(t.Context(), draft)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.accept(signed, token, w.workload("gateway")); err != nil || !signed.Link().Trace().IsZero() {
		t.Errorf("trace %v: %v", signed.Link().Trace(), err)
	}
}

func TestRootAfterACheckpointIsAnchored(t *testing.T) {
	w := newWorld(t)
	chn := Hash{7}
	token := w.token("gateway", chn)
	signed, err := w.signer(w.workload("gateway")).SignLink(t.Context(), w.draft("orders", token, nil))
	if err != nil {
		t.Fatal(err)
	}
	if signed.Link().Anchor() != chn {
		t.Errorf("anchor = %s, want the token's chn", signed.Link().Anchor())
	}
	if _, err := w.accept(signed, token, w.workload("gateway")); err != nil {
		t.Error(err)
	}
}

// Covers RTY-01.
func TestEveryAttemptHasItsOwnLink(t *testing.T) {
	w := newWorld(t)
	s := w.signer(w.workload("gateway"))
	draft := w.draft("orders", w.token("gateway", Hash{}), nil)
	seen := map[[16]byte]bool{}
	for range 3 {
		signed, err := s.SignLink(t.Context(), draft)
		if err != nil {
			t.Fatal(err)
		}
		if id := signed.Link().ID(); seen[id] || id == [16]byte{} {
			t.Errorf("jti %x is not new", id)
		} else {
			seen[id] = true
		}
	}
}

func TestLinkDoesNotOutliveItsToken(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{}) // of a minute
	for name, test := range map[string]struct {
		lifetime, age, want time.Duration
	}{
		"new token":           {30 * time.Second, 0, 30 * time.Second},
		"old token":           {30 * time.Second, 45*time.Second + 300*time.Millisecond, 14 * time.Second},
		"token about to end":  {30 * time.Second, 59*time.Second + 300*time.Millisecond, time.Second},
		"token within leeway": {30 * time.Second, 62 * time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			now := func() time.Time { return w.now.Add(test.age) }
			s := w.signer(w.workload("gateway"), WithClock(now), WithLifetime(test.lifetime))
			signed, err := s.SignLink(t.Context(), w.draft("orders", token, nil))
			if err != nil {
				t.Fatal(err)
			}
			if l := signed.Link(); l.Expiry().Sub(l.IssuedAt()) != test.want {
				t.Errorf("lifetime = %s, want %s", l.Expiry().Sub(l.IssuedAt()), test.want)
			}
		})
	}
}

func TestUnusableDraftIsRefused(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	chain := w.chain(token, "a", "b", "orders")
	good := w.draft("stock", token, chain)
	edited := func(edit func(*Draft)) Draft {
		d := good
		edit(&d)
		return d
	}
	deep := *chain.signed[1].link
	deep.depth = MaxDepth
	for name, test := range map[string]struct {
		draft  Draft
		reason trat.Reason
		field  string
	}{
		"no token":            {edited(func(d *Draft) { d.Token = nil }), trat.ReasonInternal, "tth"},
		"zero token":          {edited(func(d *Draft) { d.Token = &trat.Token{} }), trat.ReasonInternal, "tth"},
		"no audience":         {edited(func(d *Draft) { d.Audience = spiffeid.ID{} }), trat.ReasonInternal, "aud"},
		"audience of no path": {edited(func(d *Draft) { d.Audience = w.domain.ID() }), trat.ReasonInternal, "aud"},
		"foreign audience": {edited(func(d *Draft) {
			d.Audience = spiffeid.RequireFromString("spiffe://other.example.org/stock")
		}), trat.ReasonEgressBlocked, "aud"},
		"no method":       {edited(func(d *Draft) { d.Method = "" }), trat.ReasonInternal, "rpc"},
		"method of lines": {edited(func(d *Draft) { d.Method = "/a.B/\nC" }), trat.ReasonInternal, "rpc"},
		"empty parent":    {edited(func(d *Draft) { d.Parent = &Chain{} }), trat.ReasonInternal, "prh"},
		"parent of another token": {
			edited(func(d *Draft) { d.Token = w.token("a", Hash{}) }),
			trat.ReasonChainLinkInvalid, "prh",
		},
		"parent of another workload": {
			edited(func(d *Draft) { d.Parent = w.chain(token, "a", "b") }),
			trat.ReasonChainLinkInvalid, "prh",
		},
		"deepest parent": {edited(func(d *Draft) {
			d.Parent = &Chain{signed: []signedLink{{link: &deep}}, verified: 1}
		}), trat.ReasonChainTooDeep, "n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.signer(w.workload("orders")).SignLink(t.Context(), test.draft)
			wantError(t, err, test.reason, test.field)
		})
	}
	if _, err := w.signer(w.workload("orders")).SignLink(t.Context(), good); err != nil {
		t.Errorf("without a fault: %v", err)
	}
}

// An X.509-SVID cannot be changed for one of another trust domain by mistake.
func TestSignerOfAnotherTrustDomainIsRefused(t *testing.T) {
	w := newWorld(t)
	other := spiffeid.RequireFromString("spiffe://other.example.org/orders")
	s := w.signer(w.authority.svid(t, other, newKey(t), nil))
	_, err := s.SignLink(t.Context(), w.draft("stock", w.token("a", Hash{}), nil))
	wantError(t, err, trat.ReasonEgressBlocked, "iss")
}

// Covers KEY-08.
func TestUnfitSVIDIsNamed(t *testing.T) {
	w := newWorld(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	svid := func(key crypto.Signer, edit func(*x509.Certificate)) *workload {
		return w.authority.svid(t, w.id("orders"), key, edit)
	}
	swapped := svid(newKey(t), nil)
	swapped.key = newKey(t)
	renamed := svid(newKey(t), nil)
	renamed.id = w.id("stock")
	for name, test := range map[string]struct {
		by   *workload
		want string
	}{
		"RSA key":               {svid(rsaKey, nil), "type RSA"},
		"key on P-384":          {svid(p384, nil), "type ECDSA P-384"},
		"key of another leaf":   {swapped, errKeyMismatch.Error()},
		"ID of another leaf":    {renamed, "is that of spiffe://prod.example.org/orders"},
		"leaf that is a CA":     {svid(newKey(t), func(c *x509.Certificate) { c.IsCA = true }), "CA"},
		"leaf without key use":  {svid(newKey(t), func(c *x509.Certificate) { c.KeyUsage = 0 }), "key usage"},
		"leaf without SPIFFEID": {svid(newKey(t), func(c *x509.Certificate) { c.URIs = nil }), "URI SAN"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewSigner(newSVIDSource(test.by))
			wantError(t, err, trat.ReasonParameterInvalid, "svids")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}

			source := newSVIDSource(w.workload("orders"))
			s := w.signerOf(source)
			source.set(test.by) // with the next rotation
			_, err = s.SignLink(t.Context(), w.draft("stock", w.token("a", Hash{}), nil))
			wantError(t, err, trat.ReasonInternal, "svid")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

func TestSourceWithoutAnswerIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	source := newSVIDSource(nil)
	s := w.signerOf(source)
	draft := w.draft("orders", w.token("gateway", Hash{}), nil)
	_, err := s.SignLink(t.Context(), draft)
	wantError(t, err, trat.ReasonDependencyUnavailable, "svid")
	if !errors.Is(err, errNoAnswer) {
		t.Errorf("error = %v, want the cause in it", err)
	}
	source.set(w.workload("gateway"))
	if _, err := s.SignLink(t.Context(), draft); err != nil {
		t.Error(err)
	}
}

func TestNewSignerReportsEveryProblem(t *testing.T) {
	_, err := NewSigner(nil, WithClock(nil), WithLifetime(1500*time.Millisecond), WithSignatureRate(0), WithMaxGroup(1025), nil)
	for _, field := range []string{"svids", "WithClock", "WithLifetime", "WithSignatureRate", "WithMaxGroup", "opts"} {
		if err == nil || !strings.Contains(err.Error(), string(trat.ReasonParameterInvalid)+": "+field+":") {
			t.Errorf("%s is not in the error %v", field, err)
		}
	}
}

// Links that were signed together are each accepted, and none with the path of another.
//
// Covers B-T2.
func TestLinksOfAGroupAreAcceptedEachByItself(t *testing.T) {
	w := newWorld(t)
	by := w.workload("gateway")
	s := w.signer(by)
	token := w.token("gateway", Hash{})
	const n = 100
	links := make([]*pending, n)
	for i := range links {
		draft := w.draft("orders", token, nil)
		l, err := draft.link()
		if err != nil {
			t.Fatal(err)
		}
		l.id[0] = byte(i)
		links[i] = &pending{link: l, expires: token.Expiry()}
	}
	s.sign(links)
	signed := make([]*Signed, n)
	for i, p := range links {
		if p.err != nil {
			t.Fatal(p.err)
		}
		signed[i] = p.signed()
		if _, err := w.accept(signed[i], token, by); err != nil {
			t.Errorf("link %d: %v", i, err)
		}
	}
	for i := range signed {
		moved := *signed[i]
		moved.own.path = signed[(i+1)%n].own.path
		_, err := w.accept(&moved, token, by)
		wantError(t, err, trat.ReasonChainLinkInvalid, "signature")
	}
}

// What is wrong with one link of a group is not wrong with the others.
func TestUnfitLinkLeavesItsGroupAlone(t *testing.T) {
	w := newWorld(t)
	token := w.token("a", Hash{})
	var links []*pending
	for _, parent := range []*Chain{w.chain(token, "a", "orders"), w.chain(token, "a", "b"), w.chain(token, "a", "c", "orders")} {
		draft := w.draft("stock", token, parent)
		l, err := draft.link()
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, &pending{link: l, parent: parent, expires: token.Expiry()})
	}
	w.signer(w.workload("orders")).sign(links)
	wantError(t, links[1].err, trat.ReasonChainLinkInvalid, "prh")
	for _, i := range []int{0, 2} {
		if links[i].err != nil {
			t.Fatalf("link %d: %v", i, links[i].err)
		}
		if _, err := w.accept(links[i].signed(), token, w.workload("orders")); err != nil {
			t.Errorf("link %d: %v", i, err)
		}
	}
}

// An authority whose clock is ahead of this workload's, by less than the leeway, issues
// leaves that begin in the workload's future. Their links are good at once.
func TestLinkIsNotOlderThanItsLeaf(t *testing.T) {
	for behind, want := range map[time.Duration]bool{3 * time.Second: true, trat.DefaultLeeway + time.Second: false} {
		w := newWorld(t)
		token := w.token("gateway", Hash{})
		fresh := w.authority.svid(t, w.id("gateway"), newKey(t), func(c *x509.Certificate) { c.NotBefore = worldNow })
		signed, err := w.signer(fresh, WithClock(func() time.Time { return worldNow.Add(-behind) })).SignLink(t.Context(), w.draft("orders", token, nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.accept(signed, token, fresh); (err == nil) != want {
			t.Errorf("%v behind: %v", behind, err)
		}
	}
}
