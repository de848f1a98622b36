package server_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/callchain"
)

// start has gateway request a TraT.
func (f *fixture) start(t *testing.T) *trat.Token {
	t.Helper()
	request := goodRequest()
	request.RequestId = ""
	return f.verify(t, f.exchange(t, f.as(t, gateway), request).GetAccessToken())
}

// withReceipt asks for a replacement of token with what chain proves.
func withReceipt(token *trat.Token, chain *callchain.Chain) *tratv1.ExchangeRequest {
	r := servertest.Replace(token.UnsafeRaw())
	r.CallChain = chain.Receipt()
	return r
}

// Covers REPL-07.
func TestReplacementIsForWhoWasCalledWithTheToken(t *testing.T) {
	f := newFixture(t)
	first := f.start(t)
	calls := f.Calls().Received(t, first, callchain.ModePath, nil, gateway, desk, tax)
	f.Clock.Advance(5 * time.Second)
	f.Records.Take()

	second := f.verify(t, f.exchange(t, f.as(t, tax), withReceipt(first, calls)).GetAccessToken())
	if callchain.Hash(second.CallChainHash()) != calls.Last().Hash() {
		t.Error("chn is not the hash of the link by which the token came")
	}
	record := f.Records.Take()[0]
	if record.ChainResult != "ok" || record.ChainLinkHash != calls.Last().Hash().String() || record.ChainLinks != 2 {
		t.Errorf("record: result %q, hash %q, %d links", record.ChainResult, record.ChainLinkHash, record.ChainLinks)
	}

	// One receipt does for several replacements: each begins a branch of its own.
	again := f.verify(t, f.exchange(t, f.as(t, tax), withReceipt(first, calls)).GetAccessToken())
	if again.CallChainHash() != second.CallChainHash() || again.Fingerprint() == second.Fingerprint() {
		t.Error("a second replacement is not one of the same call")
	}

	// The chain of the new token begins with its requester, bound to the one before.
	behind := f.Calls().Received(t, second, callchain.ModePath, nil, tax, batch)
	if behind.Last().Anchor() != calls.Last().Hash() {
		t.Error("the root is not bound to the chain before")
	}
	third := f.verify(t, f.exchange(t, f.as(t, batch), withReceipt(second, behind)).GetAccessToken())
	if callchain.Hash(third.CallChainHash()) != behind.Last().Hash() {
		t.Error("chn is not of the second chain")
	}
}

// Covers REPL-07.
func TestRequesterOfATokenReplacesItWithoutAReceipt(t *testing.T) {
	f := newFixture(t)
	second := f.replaced(t, f.start(t).UnsafeRaw(), tax)
	f.Records.Take()
	third := f.verify(t, f.exchange(t, f.as(t, tax), servertest.Replace(second.UnsafeRaw())).GetAccessToken())
	if third.CallChainHash() != second.CallChainHash() {
		t.Error("the chain that led to the requester is lost")
	}
	if record := f.Records.Take()[0]; record.ChainResult != "" || record.ChainLinkHash != "" {
		t.Errorf("record: result %q, hash %q", record.ChainResult, record.ChainLinkHash)
	}
}

// A requester that was called back may say so, and then it has to be true.
//
// Covers REPL-07.
func TestReceiptOfTheRequesterItselfIsVerifiedToo(t *testing.T) {
	f := newFixture(t)
	second := f.replaced(t, f.start(t).UnsafeRaw(), tax)
	back := f.Calls().Received(t, second, callchain.ModePath, nil, tax, batch, tax)
	third := f.verify(t, f.exchange(t, f.as(t, tax), withReceipt(second, back)).GetAccessToken())
	if callchain.Hash(third.CallChainHash()) != back.Last().Hash() {
		t.Error("chn is not of the call back")
	}
	elsewhere := f.Calls().Received(t, second, callchain.ModePath, nil, tax, batch)
	_, err := f.Server.Exchange(f.as(t, tax), withReceipt(second, elsewhere))
	wantReason(t, err, trat.ReasonReplacementDenied)
}

// attack is what a workload tries with a token that it should not have, or a chain.
type attack struct {
	as     spiffeid.ID // default: tax
	try    func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest
	result string // of the record
}

// Covers REPL-07.
func TestReplacementWithoutProofOfReceiptIsRefused(t *testing.T) {
	changed := func(change func([]byte) []byte) func(*testing.T, *fixture, *trat.Token) *tratv1.ExchangeRequest {
		return func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
			r := withReceipt(first, f.Calls().Received(t, first, callchain.ModePath, nil, gateway, desk, tax))
			b, err := base64.RawURLEncoding.DecodeString(r.GetCallChain())
			if err != nil {
				t.Fatal(err)
			}
			r.CallChain = base64.RawURLEncoding.EncodeToString(change(b))
			return r
		}
	}
	for name, tc := range map[string]attack{
		"a token that was stolen": {
			try: func(_ *testing.T, _ *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				return servertest.Replace(first.UnsafeRaw())
			}, result: "missing",
		},
		"a token that was stolen, and the receipt": {
			as: batch,
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				return withReceipt(first, f.Calls().Received(t, first, callchain.ModePath, nil, gateway, tax))
			}, result: "link_invalid",
		},
		"a receipt of another token": {
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				return withReceipt(first, f.Calls().Received(t, f.start(t), callchain.ModePath, nil, gateway, tax))
			}, result: "link_invalid",
		},
		"a chain that begins with the thief": {
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				return f.withForged(t, first, forgedLink{issuer: tax, audience: tax})
			}, result: "root_mismatch",
		},
		"a chain that begins with an accomplice": {
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				return f.withForged(t, first, forgedLink{issuer: desk, audience: tax})
			}, result: "root_mismatch",
		},
		"a call that was never made": {
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				return f.withForged(t, first, forgedLink{issuer: gateway, audience: tax, signer: tax})
			}, result: "link_invalid",
		},
		"a call to another workload, continued": {
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				return f.withForged(t, first, forgedLink{issuer: gateway, audience: batch}, forgedLink{issuer: desk, audience: tax})
			}, result: "link_invalid",
		},
		"a link that is back-dated": {
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				return f.withForged(t, first, forgedLink{issuer: gateway, audience: tax, at: first.IssuedAt().Add(-10 * time.Second)})
			}, result: "link_invalid",
		},
		"a link of the future": {
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				return f.withForged(t, first, forgedLink{issuer: gateway, audience: tax, at: f.Clock.Now().Add(10 * time.Second)})
			}, result: "link_invalid",
		},
		"a root that claims a chain before it": {
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				return f.withForged(t, first, forgedLink{issuer: gateway, audience: tax, anchor: callchain.Hash{1}})
			}, result: "root_mismatch",
		},
		"a root that claims another chain before it": {
			as: batch,
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				second := f.replaced(t, first.UnsafeRaw(), tax)
				return f.withForged(t, second, forgedLink{issuer: tax, audience: batch, anchor: callchain.Hash{1}})
			}, result: "link_invalid",
		},
		"a link was cut off":     {try: changed(func(b []byte) []byte { return b[:len(b)-150] }), result: "link_invalid"},
		"a byte is missing":      {try: changed(func(b []byte) []byte { return b[:len(b)-1] }), result: "link_invalid"},
		"a byte more":            {try: changed(func(b []byte) []byte { return append(b, 0) }), result: "link_invalid"},
		"a signature was forged": {try: changed(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), result: "link_invalid"},
		"what is signed with a call and not with a receipt": {
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				r := servertest.Replace(first.UnsafeRaw())
				r.CallChain = f.Calls().Sent(t, first, callchain.ModePath, nil, gateway, tax)
				return r
			}, result: "link_invalid",
		},
		"the head of a chain where all of it is wanted": {
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				return withReceipt(first, f.headOnly(t, first))
			}, result: "missing",
		},
		"a root that is bound to another chain": {
			as: batch,
			try: func(t *testing.T, f *fixture, first *trat.Token) *tratv1.ExchangeRequest {
				// Two replacements of one token that came by two calls: each has its own chn.
				left, right := f.replaced(t, first.UnsafeRaw(), tax), f.replaced(t, first.UnsafeRaw(), tax)
				if left.CallChainHash() == right.CallChainHash() {
					t.Fatal("two calls with one hash")
				}
				return withReceipt(left, f.Calls().Received(t, right, callchain.ModePath, nil, tax, batch))
			}, result: "link_invalid",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.Clock.Advance(time.Minute)
			request := tc.try(t, f, f.start(t))
			if tc.as.IsZero() {
				tc.as = tax
			}
			ctx := f.as(t, tc.as)
			f.Records.Take()
			response, err := f.Server.Exchange(ctx, request)
			wantReason(t, err, trat.ReasonReplacementDenied)
			if response != nil {
				t.Error("an answer beside the refusal")
			}
			record := f.Records.Take()[0]
			if record.Reason != trat.ReasonReplacementDenied || record.ChainResult != tc.result || record.ChainLinkHash != "" || record.Rule == "" {
				t.Errorf("record %+v, want result %q", record, tc.result)
			}
			sent := request.GetCallChain()
			if text := f.Logs.String(); !contains(text, "CHAIN_") || sent != "" && contains(text, sent) {
				t.Errorf("the log lacks the cause, or has the chain:\n%s", text)
			}
			if contains(err.Error(), "CHAIN_") {
				t.Errorf("the peer is told what is wrong with the chain: %v", err)
			}
		})
	}
}

// withForged asks for a replacement of token with a receipt of links that were forged for
// it.
func (f *fixture) withForged(t *testing.T, token *trat.Token, links ...forgedLink) *tratv1.ExchangeRequest {
	t.Helper()
	for i := range links {
		links[i].token = token.Digest()
	}
	r := servertest.Replace(token.UnsafeRaw())
	r.CallChain = f.forge(t, links...)
	return r
}

// headOnly returns a chain of which tax knows only that desk has called.
func (f *fixture) headOnly(t *testing.T, token *trat.Token) *callchain.Chain {
	t.Helper()
	before := f.Calls().Received(t, token, callchain.ModePath, nil, gateway, desk)
	return f.Calls().Received(t, token, callchain.ModeHead, before, desk, tax)
}

// What forge makes is refused for what it says, and not for how.
//
// Covers REPL-07.
func TestForgedReceiptThatIsTrueIsAccepted(t *testing.T) {
	f := newFixture(t)
	first := f.start(t)
	f.exchange(t, f.as(t, tax), f.withForged(t, first, forgedLink{issuer: gateway, audience: tax}))
	f.exchange(t, f.as(t, tax), f.withForged(t, first, forgedLink{issuer: gateway, audience: desk}, forgedLink{issuer: desk, audience: tax}))
	second := f.replaced(t, first.UnsafeRaw(), tax)
	f.exchange(t, f.as(t, batch), f.withForged(t, second, forgedLink{issuer: tax, audience: batch, anchor: second.CallChainHash()}))
}

// Covers REPL-07.
func TestPolicyMayDoWithTheDirectCaller(t *testing.T) {
	f := newFixture(t)
	text := strings.Replace(servertest.PolicyText, "replacement: {scopes: [order.create, order.read]}", "replacement: {scopes: [order.create, order.read], receipt: head}", 1)
	rules, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f.SetPolicy(rules)
	first := f.start(t)
	head := f.headOnly(t, first)
	// Whoever has a token can sign that it called itself with it.
	for issuer, want := range map[spiffeid.ID]trat.Reason{desk: "", tax: trat.ReasonReplacementDenied} {
		f.Records.Take()
		_, err := f.Server.Exchange(f.as(t, tax), f.withForged(t, first, forgedLink{issuer: issuer, audience: tax, detached: true}))
		if want == "" {
			if err != nil {
				t.Errorf("called by %s: %v", issuer, err)
			}
			continue
		}
		wantReason(t, err, want)
		if record := f.Records.Take()[0]; record.ChainResult != "missing" || record.ChainLinkHash != "" {
			t.Errorf("called by itself: result %q, hash %q", record.ChainResult, record.ChainLinkHash)
		}
	}
	second := f.verify(t, f.exchange(t, f.as(t, tax), withReceipt(first, head)).GetAccessToken())
	if callchain.Hash(second.CallChainHash()) != head.Last().Hash() {
		t.Error("chn is not of the direct call")
	}
}

// Covers REPL-07, TTS-43.
func TestReceiptIsPartOfWhatIsRepeated(t *testing.T) {
	f := newFixture(t)
	first := f.start(t)
	request := f.Replace(t, first.UnsafeRaw(), tax)
	request.RequestId = "r"
	f.exchange(t, f.as(t, tax), request)
	f.exchange(t, f.as(t, tax), request)
	request.CallChain = f.Receipt(t, first.UnsafeRaw(), gateway, tax)
	_, err := f.Server.Exchange(f.as(t, tax), request)
	wantReason(t, err, trat.ReasonParameterInvalid)
}

// Without the authorities of the trust domain nothing can be said about a receipt.
//
// Covers REPL-07.
func TestReceiptCannotBeJudgedWithoutABundle(t *testing.T) {
	f := newFixture(t, func(c *server.Config) { c.Bundles = x509bundle.NewSet() })
	request := f.Replace(t, f.start(t).UnsafeRaw(), tax)
	f.Records.Take()
	_, err := f.Server.Exchange(f.as(t, tax), request)
	wantReason(t, err, trat.ReasonKeysUnavailable)
	if record := f.Records.Take()[0]; record.ChainResult != "error" {
		t.Errorf("record: result %q", record.ChainResult)
	}
}
