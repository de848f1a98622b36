package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-24.
func TestTransactionIDsDoNotRepeat(t *testing.T) {
	const n = 100_000
	seen := make(map[string]struct{}, n)
	for range n {
		seen[newTransactionID()] = struct{}{}
	}
	if len(seen) != n {
		t.Errorf("%d different ids of %d", len(seen), n)
	}
}

func newSigner(t *testing.T) *trat.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := trat.NewSigner(key, trat.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func someClaims(t *testing.T) trat.Claims {
	t.Helper()
	scope, err := trat.ParseScope("order.create")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return trat.Claims{
		Issuer: "https://tts.shop.test", Subject: "login:alice", Audience: "shop.test", TransactionID: newTransactionID(),
		Scope: scope, RequestingWorkload: "spiffe://shop.test/gateway", IssuedAt: now, Expiry: now.Add(15 * time.Second),
		TransactionContext: object(t, `{"a":1}`), RequestContext: object(t, `{"b":2}`),
	}
}

func TestTokenThatReadsBackDifferentlyStaysHere(t *testing.T) {
	signer, other := newSigner(t), newSigner(t)
	claims := someClaims(t)
	claims.RequestingWorkloadChain, _ = trat.NewWorkloadChain("spiffe://shop.test/edge", claims.RequestingWorkload)
	claims.ReplacementCount, claims.TransactionStart = 1, claims.IssuedAt
	prepared, err := trat.Prepare(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign(prepared)
	if err != nil {
		t.Fatal(err)
	}
	if err := reread(token, claims, signer.Key()); err != nil {
		t.Fatalf("the token as signed: %v", err)
	}
	local := claims
	local.IssuedAt = local.IssuedAt.In(time.FixedZone("", 3600))
	if err := reread(token, local, signer.Key()); err != nil {
		t.Errorf("the same instant in another zone: %v", err)
	}

	for name, change := range map[string]func(*trat.Claims){
		"iss":    func(c *trat.Claims) { c.Issuer += "x" },
		"sub":    func(c *trat.Claims) { c.Subject += "x" },
		"aud":    func(c *trat.Claims) { c.Audience += "x" },
		"txn":    func(c *trat.Claims) { c.TransactionID += "x" },
		"scope":  func(c *trat.Claims) { c.Scope = trat.Scope{} },
		"req_wl": func(c *trat.Claims) { c.RequestingWorkload += "x" },
		"req_wl_chain": func(c *trat.Claims) {
			c.RequestingWorkloadChain, _ = c.RequestingWorkloadChain.With(c.RequestingWorkload)
		},
		"rpl_cnt": func(c *trat.Claims) { c.ReplacementCount++ },
		"txn_iat": func(c *trat.Claims) { c.TransactionStart = c.TransactionStart.Add(-time.Second) },
		"iat":     func(c *trat.Claims) { c.IssuedAt = c.IssuedAt.Add(time.Second) },
		"exp":     func(c *trat.Claims) { c.Expiry = c.Expiry.Add(time.Second) },
		"tctx":    func(c *trat.Claims) { c.TransactionContext = trat.Object{} },
		"rctx":    func(c *trat.Claims) { c.RequestContext = trat.Object{} },
	} {
		changed := claims
		change(&changed)
		if err := reread(token, changed, signer.Key()); !errors.Is(err, trat.ReasonInternal) {
			t.Errorf("%s differs: %v", name, err)
		}
	}
	if err := reread(token, claims, other.Key()); !errors.Is(err, trat.ReasonInternal) {
		t.Errorf("another key: %v", err)
	}
	if err := reread(token[1:], claims, signer.Key()); !errors.Is(err, trat.ReasonInternal) {
		t.Errorf("not a token: %v", err)
	}
}
