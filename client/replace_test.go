package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/grpc-trat/grpc-trat/client"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// started returns a Client of workload and the context of a call to it by the gateway, with
// a TraT that the gateway asked for at the real token service.
func started(t *testing.T, workload string) (*client.Client, context.Context) {
	t.Helper()
	if workload == "gateway" {
		return startedAlong(t, trattest.New(t, "shop.test"), workload)
	}
	return startedAlong(t, trattest.New(t, "shop.test"), "gateway", workload)
}

// startedAlong is started for a call that has come through the given workloads, from the
// gateway to the one whose Client and context it returns.
func startedAlong(t *testing.T, d *trattest.Domain, workloads ...string) (*client.Client, context.Context) {
	t.Helper()
	target := "passthrough:///" + startService(t, d)
	connect := func(workload string) *client.Client {
		source := d.Source(workload)
		c, err := client.New(client.Config{
			Target: target, Issuer: d.Issuer(), ServerID: d.ID("tts"), TrustDomain: d.TrustDomain(), SVIDs: source, Bundles: source,
		}, client.WithClock(d.Now))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	gateway := connect("gateway")
	raw, err := gateway.SignSubject(client.Subject{Name: "nightly"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := gateway.Exchange(timeout(t), client.Request{
		SubjectToken: raw, SubjectTokenType: client.SelfSigned, Scope: "report.make report.read", Details: object(t, `{"day":20260301}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := trat.NewContext(timeout(t), token)
	if len(workloads) > 1 {
		ctx = callchain.NewContext(ctx, called(t, d, token, callchain.ModePath, nil, workloads...))
	}
	return connect(workloads[len(workloads)-1]), ctx
}

// called is the chain that the last of the workloads has when each has called the next one.
func called(t *testing.T, d *trattest.Domain, token *trat.Token, mode callchain.Mode, parent *callchain.Chain, workloads ...string) *callchain.Chain {
	t.Helper()
	calls := servertest.Calls{Clock: d.Now, Identity: func(id spiffeid.ID) servertest.Identity { return d.Source(id.Path()[1:]) }}
	ids := make([]spiffeid.ID, len(workloads))
	for i, workload := range workloads {
		ids[i] = d.ID(workload)
	}
	return calls.Received(t, token, mode, parent, ids...)
}

// Covers REPL-02, REPL-03, REPL-06, REPL-07, REPL-09.
func TestReplaceIsForWhatDependsOnIt(t *testing.T) {
	c, ctx := started(t, "pricing")
	before, _ := trat.FromContext(ctx)
	behind, err := c.Replace(ctx, client.Replacement{Scope: "report.read", Details: object(t, `{"pages":12}`)})
	if err != nil {
		t.Fatal(err)
	}
	if beside, _ := trat.FromContext(ctx); beside != before {
		t.Error("the context that was there before has another token")
	}
	token, ok := trat.FromContext(behind)
	calls, _ := callchain.FromContext(ctx)
	if callchain.Hash(token.CallChainHash()) != calls.Last().Hash() {
		t.Error("the new token is not bound to the call that brought the old one")
	}
	if !ok || token.TransactionID() != before.TransactionID() || token.Subject() != before.Subject() || token.Fingerprint() == before.Fingerprint() {
		t.Fatalf("the new context has %v", token)
	}
	if token.Scope().String() != "report.read" || token.TransactionContext().JSON() != `{"day":20260301,"pages":12}` ||
		token.ReplacementCount() != 1 || token.RequestingWorkload() != "spiffe://shop.test/pricing" {
		t.Errorf("scope %q, tctx of %d bytes, count %d, req_wl %q", token.Scope(), len(token.TransactionContext().JSON()), token.ReplacementCount(), token.RequestingWorkload())
	}
	again, err := c.Replace(behind, client.Replacement{})
	if err != nil {
		t.Fatal(err)
	}
	if token, _ := trat.FromContext(again); token.ReplacementCount() != 2 || token.Scope().String() != "report.read" ||
		callchain.Hash(token.CallChainHash()) != calls.Last().Hash() {
		t.Errorf("count %d, scope %q, or another call", token.ReplacementCount(), token.Scope())
	}
}

// Covers REPL-09.
func TestConcurrentBranchesKeepTheirOwnTokens(t *testing.T) {
	c, ctx := started(t, "pricing")
	before, _ := trat.FromContext(ctx)
	var wg sync.WaitGroup
	for branch := range 16 {
		wg.Go(func() {
			behind, err := c.Replace(ctx, client.Replacement{Details: object(t, fmt.Sprintf(`{"pages":%d}`, branch))})
			if err != nil {
				t.Error(err)
				return
			}
			token, _ := trat.FromContext(behind)
			if pages, _ := token.TransactionContext().Int64("pages"); pages != int64(branch) {
				t.Errorf("branch %d has the token of %d", branch, pages)
			}
		})
		wg.Go(func() {
			if token, _ := trat.FromContext(ctx); token != before {
				t.Error("a branch beside has another token")
			}
		})
	}
	wg.Wait()
}

// Covers REPL-01, REPL-03, REPL-07.
func TestReplaceFailsWithoutAnotherContext(t *testing.T) {
	for name, test := range map[string]struct {
		workload string
		ctx      func(context.Context) context.Context
		request  client.Replacement
		reason   trat.Reason
	}{
		"a workload that is not listed": {workload: "gateway", reason: trat.ReasonIssuanceDenied},
		"more scope":                    {workload: "pricing", request: client.Replacement{Scope: "report.make report.delete"}, reason: trat.ReasonScopeExceeded},
		"a malformed scope":             {workload: "pricing", request: client.Replacement{Scope: " "}, reason: trat.ReasonScopeMalformed},
		"no chain": {
			workload: "pricing", ctx: func(ctx context.Context) context.Context { return callchain.NewContext(ctx, nil) }, reason: trat.ReasonReplacementDenied,
		},
		"no token": {
			workload: "pricing", ctx: func(ctx context.Context) context.Context { return trat.NewContext(ctx, nil) }, reason: trat.ReasonParameterMissing,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, ctx := started(t, test.workload)
			if test.ctx != nil {
				ctx = test.ctx(ctx)
			}
			behind, err := c.Replace(ctx, test.request)
			if !errors.Is(err, test.reason) || behind != nil {
				t.Errorf("got %v, %v; want %s", behind, err, test.reason)
			}
			if err != nil && strings.Contains(err.Error(), "eyJ") {
				t.Errorf("the error holds a token: %v", err)
			}
		})
	}
}

// Covers REPL-02, REPL-03, REPL-06.
func TestReplaceRefusesAnswersThatReplaceSomethingElse(t *testing.T) {
	d := trattest.New(t, "shop.test")
	f := startTTS(t, d)
	c, log := f.ready(t)
	sign := f.signer(t)
	log.wait(2, "txn_token.keys.refreshed")
	old := trat.Claims{
		Issuer: d.Issuer(), Subject: "login:alice", Audience: "shop.test", TransactionID: "txn-1", Scope: scopeOf(t, "a b"),
		RequestingWorkload: "spiffe://shop.test/edge", IssuedAt: d.Now(), Expiry: d.Now().Add(15 * time.Second),
	}
	good := old
	good.RequestingWorkload, good.ReplacementCount, good.TransactionStart = "spiffe://shop.test/gateway", 1, old.IssuedAt
	good.RequestingWorkloadChain = chainOf(t, old.RequestingWorkload, good.RequestingWorkload)
	received, err := c.Verifier().Verify(sign(old))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*trat.Claims)
		asked  string
		field  string // of the refusal; empty: accepted
	}{
		"as it should be":        {change: func(*trat.Claims) {}},
		"another chain of calls": {change: func(c *trat.Claims) { c.CallChainHash[0] = 1 }, field: "chn"},
		"less scope":             {change: func(c *trat.Claims) { c.Scope = scopeOf(t, "b") }},
		"another transaction":    {change: func(c *trat.Claims) { c.TransactionID = "txn-2" }, field: "txn"},
		"another subject":        {change: func(c *trat.Claims) { c.Subject = "login:bob" }, field: "sub"},
		"more scope":             {asked: "a b c", change: func(c *trat.Claims) { c.Scope = scopeOf(t, "a c") }, field: "scope"},
		"another workload":       {change: func(c *trat.Claims) { *c = old; c.RequestingWorkload = "spiffe://shop.test/x" }, field: "req_wl"},
		"no chain": {change: func(c *trat.Claims) {
			c.RequestingWorkloadChain, c.ReplacementCount, c.TransactionStart = trat.WorkloadChain{}, 0, time.Time{}
		}, field: "req_wl_chain"},
		"another chain": {change: func(c *trat.Claims) {
			c.RequestingWorkloadChain = chainOf(t, "spiffe://shop.test/x", c.RequestingWorkload)
		}, field: "req_wl_chain"},
		"a longer chain": {change: func(c *trat.Claims) {
			c.RequestingWorkloadChain, c.ReplacementCount = chainOf(t, old.RequestingWorkload, "spiffe://shop.test/x", c.RequestingWorkload), 2
		}, field: "req_wl_chain"},
	} {
		t.Run(name, func(t *testing.T) {
			claims := good
			test.change(&claims)
			f.answer(func(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
				return respond(sign(claims), claims.Scope.String()), nil
			})
			behind, err := c.Replace(trat.NewContext(timeout(t), received), client.Replacement{Scope: test.asked})
			if test.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *trat.Error
			if !errors.As(err, &e) || e.Reason != trat.ReasonInternal || e.Field != test.field || behind != nil {
				t.Errorf("got %v, want INTERNAL of %s", err, test.field)
			}
		})
	}
}

// signer publishes a key of its own and returns what signs with it.
func (f *fakeTTS) signer(t *testing.T) func(trat.Claims) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := trat.NewSigner(key, trat.ES256)
	if err != nil {
		t.Fatal(err)
	}
	set, err := trat.NewStaticKeySet(signer.Key())
	if err != nil {
		t.Fatal(err)
	}
	f.publish(&tratv1.WatchKeysResponse{Issuer: f.domain.Issuer(), Version: 2, Jwks: string(set.JWKS()), MaxAge: durationpb.New(time.Minute)})
	return func(c trat.Claims) string {
		t.Helper()
		unsigned, err := trat.Prepare(c)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signer.Sign(unsigned)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
}

func scopeOf(t *testing.T, text string) trat.Scope {
	t.Helper()
	scope, err := trat.ParseScope(text)
	if err != nil {
		t.Fatal(err)
	}
	return scope
}

func chainOf(t *testing.T, workloads ...string) trat.WorkloadChain {
	t.Helper()
	chain, err := trat.NewWorkloadChain(workloads...)
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func TestReplacementPrintsNoParameters(t *testing.T) {
	r := client.Replacement{Scope: "secret", Details: object(t, `{"a":"secret"}`), RequestID: "id-1"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, r); strings.Contains(text, "secret") || !strings.Contains(text, "id-1") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	if text := r.LogValue().String(); strings.Contains(text, "secret") {
		t.Errorf("the log value is %s", text)
	}
}
