package server_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/servertest"
	"github.com/grpc-trat/grpc-trat/trat"
)

// replaced lets each of ids replace the token that the one before it has.
func (f *fixture) replaced(t *testing.T, raw string, ids ...spiffeid.ID) *trat.Token {
	t.Helper()
	for _, id := range ids {
		raw = f.exchange(t, f.as(t, id), f.Replace(t, raw, id)).GetAccessToken()
	}
	return f.verify(t, raw)
}

// Covers REPL-02, REPL-03, REPL-05, REPL-06.
func TestReplacementKeepsTheTransaction(t *testing.T) {
	f := newFixture(t)
	first := f.verify(t, f.exchange(t, f.as(t, gateway), goodRequest()).GetAccessToken())
	f.Clock.Advance(4 * time.Second)
	f.Records.Take()
	request := f.Replace(t, first.UnsafeRaw(), tax)
	request.RequestDetails = `{"tax": 19, "req_wl_chain": ["spiffe://shop.test/forged"], "rpl_cnt": 0}`
	request.RequestContext = `{"ip": "203.0.113.7", "req_wl": "spiffe://shop.test/forged"}`
	response := f.exchange(t, f.as(t, tax), request)
	second := f.verify(t, response.GetAccessToken())

	want := first.Claims()
	want.RequestingWorkload = tax.String()
	want.RequestingWorkloadChain = chain(t, gateway, tax)
	want.ReplacementCount = 1
	want.TransactionStart = first.IssuedAt()
	want.CallChainHash = second.CallChainHash() // another test's
	want.IssuedAt = f.Clock.Now()
	want.TransactionContext, _ = trat.ParseObject(`{"order_id":9007199254740993,"tax":19}`)
	if diff := cmp.Diff(want, second.Claims()); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if response.GetExpiresIn() != 11 {
		t.Errorf("expires_in %d, want what was left of the replaced token", response.GetExpiresIn())
	}
	record := f.Records.Take()[0]
	if record.ReplacedFingerprint != first.Fingerprint() || record.ReplacementCount != 1 || record.TransactionID != first.TransactionID() ||
		record.Fingerprint != second.Fingerprint() || record.Rule != "tax" || record.SubjectIssuer != issuer || record.OutlivesSubject {
		t.Errorf("record %+v", record)
	}
	if record.SubjectPseudonym == "" || contains(record.SubjectPseudonym, "alice") {
		t.Errorf("pseudonym %q", record.SubjectPseudonym)
	}
}

func chain(t *testing.T, ids ...spiffeid.ID) trat.WorkloadChain {
	t.Helper()
	var workloads []string
	for _, id := range ids {
		workloads = append(workloads, id.String())
	}
	c, err := trat.NewWorkloadChain(workloads...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Covers REPL-06.
func TestChainGrowsByEveryRequester(t *testing.T) {
	f := newFixture(t)
	first := f.exchange(t, f.as(t, gateway), goodRequest()).GetAccessToken()
	second := f.replaced(t, first, tax)
	left, right := f.replaced(t, second.UnsafeRaw(), batch), f.replaced(t, second.UnsafeRaw(), tax)
	for token, want := range map[*trat.Token]trat.WorkloadChain{
		second: chain(t, gateway, tax),
		left:   chain(t, gateway, tax, batch),
		right:  chain(t, gateway, tax, tax),
	} {
		if token.RequestingWorkloadChain() != want || token.ReplacementCount() != want.Len()-1 {
			t.Errorf("chain %v, count %d", slices.Collect(token.RequestingWorkloadChain().Workloads()), token.ReplacementCount())
		}
	}
	if left.TransactionID() != right.TransactionID() {
		t.Error("two transactions")
	}
}

// Covers REPL-05.
func TestReplacementOutlivesOnlyByPolicyAndUpToTheAgeOfTheTransaction(t *testing.T) {
	f := newFixture(t)
	first := f.verify(t, f.exchange(t, f.as(t, gateway), goodRequest()).GetAccessToken()) // 15 s
	f.Clock.Advance(10 * time.Second)
	if same := f.replaced(t, first.UnsafeRaw(), tax); !same.Expiry().Equal(first.Expiry()) {
		t.Errorf("expiry %s, that of the replaced token is %s", same.Expiry(), first.Expiry())
	}
	f.Records.Take()
	second := f.replaced(t, first.UnsafeRaw(), batch)
	if got := second.Expiry().Sub(f.Clock.Now()); got != 30*time.Second {
		t.Errorf("extended to %s, want 30s", got)
	}
	if !f.Records.Take()[0].OutlivesSubject {
		t.Error("the audit record does not say that it outlives the replaced token")
	}
	f.Clock.Advance(25 * time.Second)
	third := f.replaced(t, second.UnsafeRaw(), batch)
	if got := third.Expiry().Sub(first.IssuedAt()); got != 50*time.Second {
		t.Errorf("the transaction ends after %s, want 50s", got)
	}
	f.Clock.Advance(14*time.Second + 500*time.Millisecond) // half a second is left
	_, err := f.Server.Exchange(f.as(t, batch), f.Replace(t, third.UnsafeRaw(), batch))
	wantReason(t, err, trat.ReasonReplacementLimit)
}

// Covers REPL-01, REPL-02, REPL-03, REPL-04, REPL-05, REPL-10.
func TestReplacementIsRefused(t *testing.T) {
	type input struct {
		f   *fixture
		raw string
	}
	change := func(to func(*tratv1.ExchangeRequest)) func(*testing.T, *input, *tratv1.ExchangeRequest) {
		return func(_ *testing.T, _ *input, r *tratv1.ExchangeRequest) { to(r) }
	}
	tests := map[string]struct {
		as      spiffeid.ID
		prepare func(*testing.T, *input, *tratv1.ExchangeRequest)
		reason  trat.Reason
	}{
		"a workload that is not listed": {as: stranger, reason: trat.ReasonIssuanceDenied},
		"one that may only begin":       {as: gateway, reason: trat.ReasonIssuanceDenied},
		"another audience":              {as: tax, reason: trat.ReasonAudienceNotServed, prepare: change(func(r *tratv1.ExchangeRequest) { r.Audience = "other.test" })},
		"more scope than the token's":   {as: tax, reason: trat.ReasonScopeExceeded, prepare: change(func(r *tratv1.ExchangeRequest) { r.Scope = "order.create order.read" })},
		"more scope than the rule's":    {as: tax, reason: trat.ReasonScopeExceeded, prepare: change(func(r *tratv1.ExchangeRequest) { r.Scope = "order.delete" })},
		"it has expired": {as: batch, reason: trat.ReasonSubjectTokenExpired, prepare: func(_ *testing.T, in *input, _ *tratv1.ExchangeRequest) {
			in.f.Clock.Advance(15 * time.Second)
		}},
		"it has less than a second left": {as: tax, reason: trat.ReasonSubjectTokenExpired, prepare: func(_ *testing.T, in *input, _ *tratv1.ExchangeRequest) {
			in.f.Clock.Advance(14*time.Second + 1)
		}},
		"it was changed": {as: tax, reason: trat.ReasonSubjectTokenInvalid, prepare: change(func(r *tratv1.ExchangeRequest) {
			b := []byte(r.GetSubjectToken())
			b[len(b)-10] ^= 1
			r.SubjectToken = string(b)
		})},
		"another service's": {as: tax, reason: trat.ReasonSubjectTokenInvalid, prepare: func(t *testing.T, _ *input, r *tratv1.ExchangeRequest) {
			other := newFixture(t)
			r.SubjectToken = other.exchange(t, other.as(t, gateway), goodRequest()).GetAccessToken()
		}},
		"no token at all": {as: tax, reason: trat.ReasonSubjectTokenInvalid, prepare: change(func(r *tratv1.ExchangeRequest) { r.SubjectToken = "x" })},
		"a member of tctx would change": {as: tax, reason: trat.ReasonReplacementDenied, prepare: func(t *testing.T, in *input, r *tratv1.ExchangeRequest) {
			r.RequestDetails = `{"tax": 19}`
			r.SubjectToken, r.CallChain = in.f.exchange(t, in.f.as(t, tax), r).GetAccessToken(), ""
			r.RequestDetails = `{"tax": 7}`
		}},
		"the fourth": {as: batch, reason: trat.ReasonReplacementLimit, prepare: func(t *testing.T, in *input, r *tratv1.ExchangeRequest) {
			r.SubjectToken, r.CallChain = in.f.replaced(t, in.raw, tax, batch, batch).UnsafeRaw(), ""
		}},
		"a loop": {as: tax, reason: trat.ReasonReplacementLimit, prepare: func(t *testing.T, in *input, r *tratv1.ExchangeRequest) {
			r.SubjectToken, r.CallChain = in.f.replaced(t, in.raw, tax, tax).UnsafeRaw(), ""
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			in := &input{f: newFixture(t)}
			in.raw = in.f.exchange(t, in.f.as(t, gateway), goodRequest()).GetAccessToken()
			request := in.f.Replace(t, in.raw, tc.as)
			if tc.prepare != nil {
				tc.prepare(t, in, request)
			}
			ctx := in.f.as(t, tc.as)
			in.f.Records.Take()
			response, err := in.f.Server.Exchange(ctx, request)
			wantReason(t, err, tc.reason)
			if response != nil {
				t.Error("an answer beside the refusal")
			}
			checkRefusalRecord(t, in.f, tc.as, tc.reason)
			for sink, text := range map[string]string{"status": status.Convert(err).Proto().String(), "log": in.f.Logs.String()} {
				if contains(text, "eyJ") || contains(text, "alice") {
					t.Errorf("a token or subject is in the %s:\n%s", sink, text)
				}
			}
		})
	}
}

// Covers REPL-02.
func TestSubjectTokenOfAnotherKindIsNoReplacement(t *testing.T) {
	f := newFixture(t)
	raw := f.exchange(t, f.as(t, gateway), goodRequest()).GetAccessToken()
	request := servertest.Replace(raw)
	request.SubjectTokenType = trat.TokenTypeAccessToken
	request.RequestDetails = `{"order_id": 1}`
	response := f.exchange(t, f.as(t, gateway), request) // its verifier takes anything
	if token := f.verify(t, response.GetAccessToken()); token.ReplacementCount() != 0 || token.TransactionID() == f.verify(t, raw).TransactionID() {
		t.Error("a replacement by another name")
	}
}

func TestReplacementIsOnTheSpan(t *testing.T) {
	f := newFixture(t)
	raw := f.exchange(t, f.as(t, gateway), goodRequest()).GetAccessToken()
	client := f.dial(t, f.serve(t), tax)
	if _, err := client.Exchange(t.Context(), f.Replace(t, raw, tax)); err != nil {
		t.Fatal(err)
	}
	got := flat(f.endedSpans(1)[0].Attributes)
	if got["txn_token.replacement_count"] != "1" || got["txn_token.subject_token_type"] != trat.TokenType {
		t.Errorf("attributes %v", got)
	}
}
