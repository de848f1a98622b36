package client_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/metadata"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// six is the longest path, of workloads that are not the last one.
var six = []string{"gateway", "a", "b", "c", "d", "e"}

func TestCheckpointReplacesAtTheLimitOnly(t *testing.T) {
	long := metadata.Pairs("note", strings.Repeat("x", 5000))
	for name, test := range map[string]struct {
		workloads  []string
		change     func(context.Context) context.Context
		checkpoint bool
	}{
		"a first token":                {workloads: six[:1]},
		"one call":                     {workloads: []string{"gateway", "pricing"}},
		"room for one more":            {workloads: append(slices.Clone(six[:5]), "pricing")},
		"no room":                      {workloads: append(slices.Clone(six), "pricing"), checkpoint: true},
		"metadata of the application":  {workloads: []string{"gateway", "a", "pricing"}, change: with(long), checkpoint: true},
		"the same for a first token":   {workloads: six[:1], change: with(long)},
		"no token":                     {workloads: six[:1], change: func(ctx context.Context) context.Context { return trat.NewContext(ctx, nil) }},
		"a guard that wants no chain":  {workloads: append(slices.Clone(six), "pricing"), change: func(ctx context.Context) context.Context { return callchain.NewContext(ctx, nil) }},
		"a workload that may not, yet": {workloads: append(slices.Clone(six[:5]), "stranger")},
	} {
		t.Run(name, func(t *testing.T) {
			c, ctx := startedAlong(t, trattest.New(t, "shop.test"), test.workloads...)
			if test.change != nil {
				ctx = test.change(ctx)
			}
			got, err := c.Checkpoint(ctx, client.Replacement{})
			if err != nil {
				t.Fatal(err)
			}
			if (got != ctx) != test.checkpoint {
				t.Fatalf("another context: %v, want %v", got != ctx, test.checkpoint)
			}
			if test.checkpoint {
				wantBound(t, got, ctx)
				if again, err := c.Checkpoint(got, client.Replacement{}); err != nil || again != got {
					t.Errorf("right behind a checkpoint: %v", err)
				}
			}
		})
	}
}

func with(md metadata.MD) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return metadata.NewOutgoingContext(ctx, md) }
}

// wantBound checks that the token of after replaces that of before and is bound to its calls.
func wantBound(t *testing.T, after, before context.Context) {
	t.Helper()
	old, _ := trat.FromContext(before)
	token, _ := trat.FromContext(after)
	calls, _ := callchain.FromContext(before)
	if token.ReplacementCount() != old.ReplacementCount()+1 || token.TransactionID() != old.TransactionID() || token.Scope() != old.Scope() {
		t.Errorf("count %d, scope %q", token.ReplacementCount(), token.Scope())
	}
	if callchain.Hash(token.CallChainHash()) != calls.Last().Hash() {
		t.Error("the new token is not bound to the calls")
	}
}

func TestCheckpointFailsWhereTheReplacementDoes(t *testing.T) {
	c, ctx := startedAlong(t, trattest.New(t, "shop.test"), append(slices.Clone(six), "stranger")...)
	behind, err := c.Checkpoint(ctx, client.Replacement{})
	if !errors.Is(err, trat.ReasonIssuanceDenied) || behind != nil {
		t.Errorf("got %v, %v; want ISSUANCE_DENIED", behind, err)
	}
}

// Where only last links are known, they go on to the largest depth.
func TestCheckpointOfHeadsIsAtTheLargestDepth(t *testing.T) {
	d := trattest.New(t, "shop.test")
	c, ctx := startedAlong(t, d, "gateway", "store", "archive")
	token, _ := trat.FromContext(ctx)
	chain, _ := callchain.FromContext(ctx)
	for chain.Last().Depth() < callchain.MaxDepth {
		behind, err := c.Checkpoint(callchain.NewContext(ctx, chain), client.Replacement{})
		if err != nil {
			t.Fatal(err)
		}
		if now, _ := trat.FromContext(behind); now != token {
			t.Fatalf("replaced at depth %d", chain.Last().Depth())
		}
		chain = called(t, d, token, callchain.ModeHead, chain, "archive", "store", "archive")
	}
	ctx = callchain.NewContext(ctx, chain)
	behind, err := c.Checkpoint(ctx, client.Replacement{})
	if err != nil {
		t.Fatal(err)
	}
	wantBound(t, behind, ctx)
}

// A method that asks for the last link only may have got all of them, and they go on.
func TestCheckpointCountsLinksThatWereNotAskedFor(t *testing.T) {
	d := trattest.New(t, "shop.test")
	c, ctx := startedAlong(t, d, append(slices.Clone(six), "pricing")...)
	token, _ := trat.FromContext(ctx)
	svid, err := d.Source("e").GetX509SVID()
	if err != nil {
		t.Fatal(err)
	}
	calls := servertest.Calls{Clock: d.Now, Identity: func(id spiffeid.ID) servertest.Identity { return d.Source(id.Path()[1:]) }}
	encoded := calls.Sent(t, token, callchain.ModePath, called(t, d, token, callchain.ModePath, nil, six...), d.ID("e"), d.ID("pricing"))
	verifier, err := callchain.NewVerifier(d.Source("pricing"), callchain.WithClock(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := verifier.Verify(callchain.Received{
		Encoded: encoded, Audience: d.ID("pricing"), Method: servertest.Method, Token: token, Mode: callchain.ModeHead,
		Peer: callchain.Peer{ID: d.ID("e"), Leaf: svid.Certificates[0]},
	})
	if err != nil || chain.Complete() {
		t.Fatalf("%v, complete: %t", err, chain.Complete())
	}
	ctx = callchain.NewContext(ctx, chain)
	behind, err := c.Checkpoint(ctx, client.Replacement{})
	if err != nil {
		t.Fatal(err)
	}
	wantBound(t, behind, ctx)
}
