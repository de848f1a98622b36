package callchain

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// wantError checks reason and field of an error.
func wantError(t *testing.T, err error, reason trat.Reason, field string) {
	t.Helper()
	e, ok := errors.AsType[*trat.Error](err)
	if !ok || e.Reason != reason || e.Field != field {
		t.Errorf("error %v, want %s with field %q", err, reason, field)
	}
}

func TestVerifiedChainSaysWhoCalledWhom(t *testing.T) {
	w := newWorld(t)
	token := w.token("w0", Hash{})
	trace := Trace{TraceID: [16]byte{1}, SpanID: [8]byte{2}}
	for _, group := range []int{1, 2, 3, 64, 1024} {
		t.Run(fmt.Sprint("groups of ", group), func(t *testing.T) {
			var parent *Chain
			for depth := range MaxLinks {
				c := &call{
					from: w.workload(fmt.Sprint("w", depth)), to: w.id(fmt.Sprint("w", depth+1)),
					token: token, parent: parent, group: group, trace: trace,
				}
				chain, err := w.verify(c)
				if err != nil {
					t.Fatalf("depth %d: %v", depth, err)
				}
				last := chain.Last()
				if last.Issuer() != c.from.id || last.Audience() != c.to || last.Method() != worldMethod ||
					!last.IssuedAt().Equal(w.now) || !last.Expiry().Equal(w.now.Add(DefaultLifetime)) ||
					last.TokenHash() != token.Digest() || last.Depth() != depth || last.Trace() != trace ||
					last.Leaf() != c.from.leaf || last.ID() == [16]byte{} || last.IsZero() {
					t.Errorf("depth %d: last link %+v", depth, last.link)
				}
				if parent.Last().IsZero() != (depth == 0) || depth > 0 && last.Parent() != parent.Last().Hash() {
					t.Errorf("depth %d: parent %s", depth, last.Parent())
				}
				if chain.Len() != depth+1 || !chain.Complete() {
					t.Errorf("depth %d: %d links, complete: %t", depth, chain.Len(), chain.Complete())
				}
				for l := range chain.Links() {
					if !chain.Passes(spiffeid.MatchID(l.Issuer())) {
						t.Errorf("does not pass %s", l.Issuer())
					}
				}
				parent = chain
			}
			if parent.Passes(spiffeid.MatchID(w.id("w6"))) {
				t.Error("passes who has signed nothing")
			}
			links := slices.Collect(parent.Links())
			if links[0].Issuer() != w.id("w0") || links[0].Audience() != w.id("w1") || links[5].Issuer() != w.id("w5") {
				t.Errorf("links from %s to %s", links[0].Issuer(), links[5].Audience())
			}
		})
	}
}

// A link is for one callee, method, token and peer, and each has a reason of its own.
//
// Covers B-T3.
func TestLinkIsForOneCall(t *testing.T) {
	w := newWorld(t)
	gateway, token := w.workload("gateway"), w.token("gateway", Hash{})
	first := w.chain(token, "gateway", "orders")
	for _, mode := range []Mode{ModePath, ModeHead} {
		for _, tc := range []struct {
			name   string
			edit   func(*Received)
			reason trat.Reason
			field  string
		}{
			{"another callee", func(r *Received) { r.Audience = w.id("payments") }, trat.ReasonChainLinkInvalid, "aud"},
			{"another method", func(r *Received) { r.Method = "/shop.v1.Orders/Cancel" }, trat.ReasonChainLinkInvalid, "rpc"},
			{"another token", func(r *Received) { r.Token = w.token("gateway", Hash{}) }, trat.ReasonChainLinkInvalid, "tth"},
			{"another peer", func(r *Received) {
				r.Peer = Peer{ID: gateway.id, Leaf: gateway.leaf}
			}, trat.ReasonChainPeerMismatch, "iss"},
			{"another key of the peer", func(r *Received) {
				r.Peer.Leaf = w.authority.svid(t, r.Peer.ID, newKey(t), nil).leaf
			}, trat.ReasonChainLinkInvalid, "signature"},
		} {
			t.Run(fmt.Sprint(mode, " ", tc.name), func(t *testing.T) {
				r := w.received(&call{from: w.workload("orders"), to: w.id("stock"), token: token, parent: first, mode: mode})
				tc.edit(&r)
				_, err := w.verifier.Verify(r)
				wantError(t, err, tc.reason, tc.field)
			})
		}
	}
}

func TestLinkHasItsTime(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	at := func(d time.Duration) func(*link) {
		return func(l *link) { l.issuedAt = l.issuedAt.Add(d) }
	}
	for _, tc := range []struct {
		name   string
		signed time.Duration // after the token, with its parent
		later  time.Duration // how much later it arrives
		edit   func(*link)
		field  string // "" is accepted
	}{
		{"the last moment", 0, DefaultLifetime + trat.DefaultLeeway - time.Millisecond, nil, ""},
		{"too late", 0, DefaultLifetime + trat.DefaultLeeway, nil, "exp"},
		{"a clock ahead", 0, 0, at(5 * time.Second), ""},
		{"the future", 0, 0, at(5*time.Second + time.Millisecond), "iat"},
		{"a clock behind", 0, 0, at(-5 * time.Second), ""},
		{"before the token and the parent", 0, 0, at(-5*time.Second - time.Millisecond), "iat"},
		{"before the parent", 10 * time.Second, 0, at(-5*time.Second - time.Millisecond), "iat"},
		{"the longest life", 0, MaxLifetime, func(l *link) { l.lifetime = MaxLifetime }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.now = worldNow.Add(tc.signed)
			parent := w.chain(token, "gateway", "orders")
			r := w.received(&call{from: w.workload("orders"), to: w.id("stock"), token: token, parent: parent, edit: tc.edit})
			w.now = w.now.Add(tc.later)
			_, err := w.verifier.Verify(r)
			if tc.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, trat.ReasonChainLinkInvalid, tc.field)
		})
	}
}

// A chain begins with who has requested the token, and is bound to the chain before it.
//
// Covers B-T5.
func TestChainBeginsWithTheRequester(t *testing.T) {
	w := newWorld(t)
	anchor := Hash{1, 2, 3}
	plain, replaced := w.token("gateway", Hash{}), w.token("gateway", anchor)
	for _, tc := range []struct {
		name  string
		call  call
		field string
	}{
		{"of the requester", call{token: plain}, ""},
		{"of another", call{token: w.token("edge", Hash{})}, "iss"},
		{"anchored", call{token: replaced}, ""},
		{"not anchored", call{token: replaced, edit: func(l *link) { l.anchor = Hash{} }}, "ckp"},
		{"anchored for no reason", call{token: plain, edit: func(l *link) { l.anchor = anchor }}, "ckp"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.call.from, tc.call.to = w.workload("gateway"), w.id("orders")
			chain, err := w.verify(&tc.call)
			if tc.field != "" {
				wantError(t, err, trat.ReasonChainRootMismatch, tc.field)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := chain.Last().Anchor(); got != Hash(tc.call.token.CallChainHash()) {
				t.Errorf("anchor %s", got)
			}
		})
	}
	t.Run("anchored to another chain", func(t *testing.T) {
		_, err := w.verify(&call{
			from: w.workload("gateway"), to: w.id("orders"), token: replaced, edit: func(l *link) { l.anchor[0]++ },
		})
		wantError(t, err, trat.ReasonChainLinkInvalid, "signature")
	})
}

// Covers B-T6, B-T7, KEY-08.
func TestLeafMustBeFitToSign(t *testing.T) {
	w := newWorld(t)
	abroad := spiffeid.RequireTrustDomainFromString("other.example.org")
	authority := newIssuer(t, abroad, nil)
	foreign := authority.svid(t, spiffeid.RequireFromPath(abroad, "/orders"), newKey(t), nil)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	svid := func(edit func(*x509.Certificate)) *workload {
		return w.authority.svid(t, w.id("orders"), newKey(t), edit)
	}
	for _, tc := range []struct {
		name string
		leaf *workload
	}{
		{"expired at iat", svid(func(c *x509.Certificate) { c.NotAfter = worldNow.Add(-time.Second) })},
		{"not valid yet", svid(func(c *x509.Certificate) { c.NotBefore = worldNow.Add(time.Second) })},
		{"of another authority", newIssuer(t, w.domain, nil).svid(t, w.id("orders"), newKey(t), nil)},
		{"of another authority, in our name", authority.svid(t, w.id("orders"), newKey(t), nil)},
		{"of another trust domain", foreign},
		{"RSA", w.authority.svid(t, w.id("orders"), rsa2048, nil)},
		{"P-384", w.authority.svid(t, w.id("orders"), p384, nil)},
		{"a CA", svid(func(c *x509.Certificate) { c.IsCA = true })},
		{"no digital signature", svid(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })},
		{"no SPIFFE ID", svid(func(c *x509.Certificate) { c.URIs = nil })},
		{"two SPIFFE IDs", svid(func(c *x509.Certificate) { c.URIs = append(c.URIs, w.id("payments").URL()) })},
		{"of another workload", w.authority.svid(t, w.id("payments"), newKey(t), nil)},
		{"long", svid(func(c *x509.Certificate) {
			c.DNSNames = slices.Repeat([]string{"a-rather-long-name.prod.example.org"}, 60)
		})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			token := w.token("orders", Hash{})
			signer := &workload{id: w.id("orders"), leaf: tc.leaf.leaf, key: tc.leaf.key}
			c := &call{from: signer, to: w.id("stock"), token: token}
			if tc.name == "of another trust domain" {
				signer.id = foreign.id
			}
			_, err := w.verify(c)
			if tc.name == "of another trust domain" {
				wantError(t, err, trat.ReasonChainRootMismatch, "iss") // nobody requests tokens from abroad
				return
			}
			wantError(t, err, trat.ReasonChainLinkInvalid, "certificate")

			t.Run("as an ancestor's", func(t *testing.T) {
				if len(tc.leaf.leaf.Raw) > maxCertificateSize {
					return // is refused when it is read, see TestDecodeRefuses
				}
				parent := &Chain{signed: []signedLink{w.link(c)}, verified: 1}
				parent.signed[0].audience = w.id("stock")
				_, err := w.verify(&call{from: w.workload("stock"), to: w.id("audit"), token: token, parent: parent})
				wantError(t, err, trat.ReasonChainLinkInvalid, "certificate")
			})
		})
	}
	t.Run("from another trust domain, in the middle", func(t *testing.T) {
		token := w.token("gateway", Hash{})
		_, err := w.verify(&call{from: foreign, to: w.id("stock"), token: token, parent: w.chain(token, "gateway", "orders")})
		wantError(t, err, trat.ReasonChainLinkInvalid, "certificate")
	})
}

// A key whose certificate has expired cannot sign as of a time when it had not: a link is no
// older than its token, and the last link's certificate is judged now.
//
// Covers B-T6.
func TestExpiredLeafCannotBackDate(t *testing.T) {
	w := newWorld(t)
	old := w.authority.svid(t, w.id("gateway"), newKey(t), func(c *x509.Certificate) { c.NotAfter = worldNow.Add(time.Second) })
	token := w.token("gateway", Hash{})
	c := &call{from: old, to: w.id("orders"), token: token}
	r := w.received(c)
	if _, err := w.verifier.Verify(r); err != nil {
		t.Fatalf("before it expires: %v", err)
	}
	w.now = worldNow.Add(2 * time.Second)
	_, err := w.verifier.Verify(r)
	wantError(t, err, trat.ReasonChainLinkInvalid, "certificate")

	w.now = worldNow.Add(30 * time.Second)
	c.token = w.token("gateway", Hash{})
	c.edit = func(l *link) { l.issuedAt = worldNow }
	_, err = w.verify(c)
	wantError(t, err, trat.ReasonChainLinkInvalid, "exp")
	c.edit = func(l *link) { l.issuedAt, l.lifetime = worldNow, MaxLifetime }
	_, err = w.verify(c)
	wantError(t, err, trat.ReasonChainLinkInvalid, "iat")
}

// Covers B-T10.
func TestWorkloadMayCallItself(t *testing.T) {
	w := newWorld(t)
	token := w.token("gateway", Hash{})
	if chain := w.chain(token, "gateway", "gateway", "gateway", "orders"); chain.Len() != 3 {
		t.Errorf("%d links", chain.Len())
	}
	r := w.received(&call{from: w.workload("gateway"), to: w.id("gateway"), token: token})
	r.Peer = Peer{ID: w.id("orders"), Leaf: w.workload("orders").leaf}
	_, err := w.verifier.Verify(r)
	wantError(t, err, trat.ReasonChainPeerMismatch, "iss")
}

func TestNoBundleIsNotTheChainsFault(t *testing.T) {
	w := newWorld(t)
	r := w.received(&call{from: w.workload("gateway"), to: w.id("orders"), token: w.token("gateway", Hash{})})
	w.bundle.SetX509Authorities(nil)
	_, err := w.verifier.Verify(r)
	wantError(t, err, trat.ReasonKeysUnavailable, "bundle")

	v, err := NewVerifier(x509bundle.NewSet(), WithClock(w.clock))
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(r)
	wantError(t, err, trat.ReasonKeysUnavailable, "bundle")
}

func TestVerifyRefusesHalfARequest(t *testing.T) {
	w := newWorld(t)
	good := w.received(&call{from: w.workload("gateway"), to: w.id("orders"), token: w.token("gateway", Hash{})})
	for field, edit := range map[string]func(*Received){
		"Mode":     func(r *Received) { r.Mode = 0 },
		"Audience": func(r *Received) { r.Audience = spiffeid.ID{} },
		"Method":   func(r *Received) { r.Method = "" },
		"Token":    func(r *Received) { r.Token = nil },
		"Peer":     func(r *Received) { r.Peer = Peer{} },
	} {
		r := good
		edit(&r)
		_, err := w.verifier.Verify(r)
		wantError(t, err, trat.ReasonInternal, field)
	}
	good.Mode = ModeOff
	_, err := w.verifier.Verify(good)
	wantError(t, err, trat.ReasonInternal, "Mode")
	good.Mode, good.Encoded = ModePath, ""
	_, err = w.verifier.Verify(good)
	wantError(t, err, trat.ReasonChainMissing, "")
}

func TestNewVerifierReportsAllThatIsWrong(t *testing.T) {
	_, err := NewVerifier(nil, WithClock(nil), WithLeeway(61*time.Second), WithCacheSize(-1), nil)
	for _, field := range []string{"bundles", "WithClock", "WithLeeway", "WithCacheSize", "opts"} {
		if !fieldIn(err, field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	for _, o := range []VerifierOption{WithLeeway(0), WithLeeway(trat.MaxLeeway), WithCacheSize(0), WithCacheSize(maxCacheSize)} {
		if _, err := NewVerifier(x509bundle.NewSet(), o); err != nil {
			t.Error(err)
		}
	}
}

func fieldIn(err error, field string) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	return ok && slices.ContainsFunc(joined.Unwrap(), func(err error) bool {
		e, ok := errors.AsType[*trat.Error](err)
		return ok && e.Reason == trat.ReasonParameterInvalid && e.Field == field
	})
}
