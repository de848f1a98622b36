package server

import (
	"errors"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// issued signs claims and verifies the token.
func issued(t *testing.T, c trat.Claims) *trat.Token {
	t.Helper()
	signer := newSigner(t)
	set, err := trat.NewStaticKeySet(signer.Key())
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := trat.Prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signer.Sign(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := trat.NewVerifier(c.Audience, c.Issuer, set, trat.WithClock(func() time.Time { return c.IssuedAt }))
	if err != nil {
		t.Fatal(err)
	}
	token, err := verifier.Verify(raw)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// What a policy must not grant is held in the server too: the policy may be wrong.
//
// Covers REPL-02, REPL-03, REPL-04, REPL-05, REPL-06, REPL-07.
func TestReplacementIsHeldBeyondPolicy(t *testing.T) {
	const other = "spiffe://shop.test/other"
	wide, _ := trat.ParseScope("order.create order.read")
	s := &Server{issuer: "https://tts.shop.test", trustDomain: spiffeid.RequireTrustDomainFromString("shop.test")}
	old := someClaims(t)
	old.RequestContext = object(t, `{"b":2,"text":"a"}`)
	old.IssuedAt, old.Expiry = noon, noon.Add(20*time.Second)
	full := make([]string, trat.MaxWorkloadChain)
	for i := range full {
		full[i] = old.RequestingWorkload
	}
	tests := map[string]struct {
		old    func(*trat.Claims)
		change func(*attempt)
		after  time.Duration // since old was issued; default 5 s
		reason trat.Reason
		want   func(*testing.T, trat.Claims)
	}{
		"as granted": {want: func(t *testing.T, c trat.Claims) {
			if !c.Expiry.Equal(old.Expiry) || !c.TransactionStart.Equal(noon) || c.TransactionID != old.TransactionID {
				t.Errorf("expiry %s, start %s", c.Expiry, c.TransactionStart)
			}
		}},
		"spelled differently": {change: func(a *attempt) { a.grant.RequestContext = object(t, `{"b": 2, "text":"\u0061", "new":1}`) }},
		"a token of the future": {
			old: func(c *trat.Claims) { c.IssuedAt, c.Expiry = noon.Add(2*time.Second), noon.Add(20*time.Second) }, after: 1,
			want: func(t *testing.T, c trat.Claims) {
				if !c.TransactionStart.Equal(c.IssuedAt) {
					t.Errorf("the transaction starts at %s, the token at %s", c.TransactionStart, c.IssuedAt)
				}
			},
		},
		"no receipt":              {change: func(a *attempt) { a.receipt.proved = false }, reason: trat.ReasonReplacementDenied},
		"no right":                {change: func(a *attempt) { a.grant.Replacement = nil }, reason: trat.ReasonReplacementDenied},
		"more scope":              {change: func(a *attempt) { a.grant.Scope = wide }, reason: trat.ReasonScopeExceeded},
		"another subject":         {change: func(a *attempt) { a.principal.Subject = "login:bob" }, reason: trat.ReasonInternal},
		"another audience":        {old: func(c *trat.Claims) { c.Audience = "other.test" }, reason: trat.ReasonInternal},
		"another issuer":          {old: func(c *trat.Claims) { c.Issuer = "https://other.test" }, reason: trat.ReasonInternal},
		"tctx lacks a member":     {change: func(a *attempt) { a.grant.TransactionContext = object(t, `{"tax":1}`) }, reason: trat.ReasonInternal},
		"tctx has another value":  {change: func(a *attempt) { a.grant.TransactionContext = object(t, `{"a":2}`) }, reason: trat.ReasonInternal},
		"tctx has another type":   {change: func(a *attempt) { a.grant.TransactionContext = object(t, `{"a":"1"}`) }, reason: trat.ReasonInternal},
		"rctx is gone":            {change: func(a *attempt) { a.grant.RequestContext = trat.Object{} }, reason: trat.ReasonInternal},
		"expired now":             {after: 20 * time.Second, reason: trat.ReasonSubjectTokenExpired},
		"expired, to be extended": {after: 20 * time.Second, change: func(a *attempt) { a.grant.Replacement.ExtendLifetime = true }, reason: trat.ReasonSubjectTokenExpired},
		"less than a second":      {after: 19*time.Second + 1, reason: trat.ReasonSubjectTokenExpired},
		"extended without an age": {change: func(a *attempt) { *a.grant.Replacement = policy.Replacement{ExtendLifetime: true} }, reason: trat.ReasonReplacementLimit},
		"beyond the age":          {change: func(a *attempt) { a.grant.Replacement.MaxAge = 5 * time.Second }, reason: trat.ReasonReplacementLimit},
		"the chain is full": {old: func(c *trat.Claims) {
			c.RequestingWorkloadChain, _ = trat.NewWorkloadChain(full...)
			c.ReplacementCount, c.TransactionStart = len(full)-1, noon
		}, reason: trat.ReasonReplacementLimit},
		"the age counts from start": {
			old: func(c *trat.Claims) {
				c.RequestingWorkloadChain, _ = trat.NewWorkloadChain(other, c.RequestingWorkload)
				c.ReplacementCount, c.TransactionStart = 1, noon.Add(-10*time.Second)
			},
			change: func(a *attempt) {
				*a.grant.Replacement = policy.Replacement{ExtendLifetime: true, MaxAge: 40 * time.Second}
			},
			want: func(t *testing.T, c trat.Claims) {
				if c.Expiry.Sub(noon) != 30*time.Second || c.RequestingWorkloadChain.Len() != 3 || c.ReplacementCount != 2 {
					t.Errorf("expiry %s, chain of %d, count %d", c.Expiry, c.RequestingWorkloadChain.Len(), c.ReplacementCount)
				}
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			claims := old
			if tc.old != nil {
				tc.old(&claims)
			}
			token := issued(t, claims)
			after := 5 * time.Second
			if tc.after != 0 {
				after = tc.after
			}
			a := &attempt{
				principal: &subject.Principal{Issuer: claims.Issuer, Subject: claims.Subject, Expiry: claims.Expiry, Transaction: token},
				grant: policy.Grant{
					Scope: claims.Scope, Lifetime: 40 * time.Second, Replacement: &policy.Replacement{MaxAge: time.Minute},
					TransactionContext: claims.TransactionContext, RequestContext: claims.RequestContext,
				},
			}
			a.requester.ID, a.receipt.proved = spiffeid.RequireFromString(other), true
			if tc.change != nil {
				tc.change(a)
			}
			got, err := s.claims(a, noon.Add(after))
			if tc.reason != "" {
				if !errors.Is(err, tc.reason) {
					t.Errorf("got %v, want %s", err, tc.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := trat.Prepare(got); err != nil {
				t.Errorf("these claims cannot be signed: %v", err)
			}
			if tc.want != nil {
				tc.want(t, got)
			}
		})
	}
}
