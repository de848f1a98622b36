package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// Replacement is what a workload wants in place of the TraT that it received. The token
// service adds to the transaction and narrows it; nothing that is in the TraT changes.
type Replacement struct {
	// Scope is the part of the TraT's scope that is left. Optional: all of it.
	Scope string
	// Context and Details are as in Request. Optional.
	Context, Details trat.Object
	// RequestID is as in Request. Optional.
	RequestID string
}

// LogValue keeps everything but the request id out of logs.
func (r Replacement) LogValue() slog.Value {
	return slog.GroupValue(slog.String("request_id", r.RequestID))
}

// Format does the same for every fmt verb.
func (r Replacement) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "replacement{request_id: %q}", r.RequestID)
}

// Replace exchanges the TraT of ctx for another one of the same transaction (draft section
// 13.15) and returns a context that has it. The new TraT is for the calls that depend on
// what it was obtained for, and for no other: those get the returned context, and calls
// beside them go on with ctx and the TraT that was received (section 12.2).
//
//	priced, err := tts.Replace(ctx, client.Replacement{Details: tax})
//	...
//	payments.Charge(priced, ...)  // sees the tax
//	audit.Note(ctx, ...)          // sees what this workload received
//
// The new TraT is verified as Exchange does, and held to its predecessor: transaction,
// subject, no more scope, and a chain of requesters that has this workload behind the
// earlier ones. Errors are those of Exchange; REPLACEMENT_DENIED, REPLACEMENT_LIMIT and
// ISSUANCE_DENIED are policy's. Without a TraT in ctx it is PARAMETER_MISSING of
// "subject_token".
//
// What proves that this workload received the TraT is the call chain that the guard has put
// into ctx, which Replace sends along. Without one the token service refuses
// (REPLACEMENT_DENIED), unless this workload requested the TraT itself. The chain stays in
// the returned context for the handler to read; calls with the new TraT begin a chain of
// their own, which is bound to it.
func (c *Client) Replace(ctx context.Context, r Replacement) (context.Context, error) {
	old, _ := trat.FromContext(ctx)
	chain := chainOf(ctx, old)
	scope := r.Scope
	if scope == "" {
		scope = old.Scope().String()
	}
	token, err := c.ask(ctx, Request{
		SubjectToken:     old.UnsafeRaw(), //nolint:forbidigo // to the service that issued it
		SubjectTokenType: TransactionToken,
		Scope:            scope,
		Context:          r.Context,
		Details:          r.Details,
		RequestID:        r.RequestID,
		CallChain:        chain.Proof(),
	}, func(t *trat.Token) error { return succeeds(t, old, chain) })
	if err != nil {
		return nil, err
	}
	return trat.NewContext(ctx, token), nil
}

// chainOf returns the call chain of ctx, nil if it has none or that of another TraT: with
// a TraT that was obtained meanwhile no call has arrived.
func chainOf(ctx context.Context, token *trat.Token) *callchain.Chain {
	chain, ok := callchain.FromContext(ctx)
	if !ok || chain.Last().TokenHash() != token.Digest() {
		return nil
	}
	return chain
}

// succeeds reports why token, which the token service has sent, does not replace old, which
// came by the given calls.
func succeeds(token, old *trat.Token, calls *callchain.Chain) error {
	chain, err := old.Claims().Requesters().With(token.RequestingWorkload())
	switch {
	case token.TransactionID() != old.TransactionID():
		return answerError("txn", errors.New("another transaction"))
	case token.Subject() != old.Subject():
		return answerError("sub", errors.New("another subject"))
	case !old.Scope().Covers(token.Scope()):
		return answerError("scope", errors.New("more than that of the replaced token"))
	case err != nil || token.RequestingWorkloadChain() != chain:
		return answerError("req_wl_chain", errors.New("not that of the replaced token and this workload"))
	case token.CallChainHash() != anchor(old, calls):
		return answerError("chn", errors.New("not that of the calls by which the replaced token came"))
	}
	return nil
}

// anchor is the chn of a token that replaces old, which came by the given calls: the last of
// them, or the one before old if there are none.
func anchor(old *trat.Token, calls *callchain.Chain) [32]byte {
	if calls.Len() == 0 {
		return old.CallChainHash()
	}
	return calls.Last().Hash()
}
