package trat

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	edge    = "spiffe://prod.example.org/edge"
	gw      = "spiffe://prod.example.org/gw"
	backend = "spiffe://prod.example.org/backend"
)

// someHash is a SHA-256 as chn has it.
const someHash = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"

// replacement are the claims of a token with which gw replaced that of edge.
func replacement() map[string]any {
	return map[string]any{"req_wl_chain": []string{edge, gw}, "rpl_cnt": 1, "txn_iat": testNow.Unix() - 20}
}

func mustChain(tb testing.TB, workloads ...string) WorkloadChain {
	tb.Helper()
	c, err := NewWorkloadChain(workloads...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// many returns n different workloads.
func many(n int) []string {
	workloads := make([]string, n)
	for i := range workloads {
		workloads[i] = fmt.Sprintf("spiffe://x/%d", i)
	}
	return workloads
}

// Covers REPL-05, REPL-06.
func TestVerifyReadsAReplacedToken(t *testing.T) {
	v, _ := newTestVerifier(t)
	token := wantAccept(t, v, tokenWith(replacement()))
	if got := slices.Collect(token.RequestingWorkloadChain().Workloads()); !slices.Equal(got, []string{edge, gw}) {
		t.Errorf("chain %v", got)
	}
	if token.ReplacementCount() != 1 || !token.TransactionStart().Equal(testNow.Add(-20*time.Second)) {
		t.Errorf("count %d, start %s", token.ReplacementCount(), token.TransactionStart())
	}
	if token.CallChainHash() != [32]byte{} {
		t.Error("a call chain out of nothing")
	}
	token = wantAccept(t, v, tokenWith(edited(replacement(), map[string]any{"chn": someHash})))
	if hash := token.CallChainHash(); hash != sha256.Sum256(nil) {
		t.Errorf("call chain %x", hash)
	}
}

// Covers REPL-05, REPL-06.
func TestVerifyRefusesAHistoryThatIsNone(t *testing.T) {
	v, keys := newTestVerifier(t)
	for name, tc := range map[string]struct {
		changes map[string]any
		reason  Reason
		field   string
	}{
		"chain is a string":           {map[string]any{"req_wl_chain": edge + " " + gw}, ReasonTxnTokenMalformed, "req_wl_chain"},
		"chain is null":               {map[string]any{"req_wl_chain": null}, ReasonTxnTokenMalformed, "req_wl_chain"},
		"chain is empty":              {map[string]any{"req_wl_chain": []string{}}, ReasonTxnTokenMalformed, "req_wl_chain"},
		"chain of one":                {map[string]any{"req_wl_chain": []string{gw}, "rpl_cnt": nil}, ReasonTxnTokenMalformed, "req_wl_chain"},
		"chain too long":              {map[string]any{"req_wl_chain": append(many(16), gw), "rpl_cnt": 15}, ReasonTxnTokenMalformed, "req_wl_chain"},
		"chain with a number":         {map[string]any{"req_wl_chain": []any{1, gw}}, ReasonTxnTokenMalformed, "req_wl_chain"},
		"chain with an empty text":    {map[string]any{"req_wl_chain": []any{"", gw}}, ReasonTxnTokenMalformed, "req_wl_chain"},
		"chain with a list":           {map[string]any{"req_wl_chain": []any{[]string{edge}, gw}}, ReasonTxnTokenMalformed, "req_wl_chain"},
		"two workloads in one":        {map[string]any{"req_wl_chain": []any{edge + " " + backend, gw}}, ReasonTxnTokenMalformed, "req_wl_chain"},
		"chain with a line break":     {map[string]any{"req_wl_chain": []any{edge + "\n", gw}}, ReasonTxnTokenMalformed, "req_wl_chain"},
		"count is a string":           {map[string]any{"rpl_cnt": "1"}, ReasonTxnTokenMalformed, "rpl_cnt"},
		"count is 0":                  {map[string]any{"rpl_cnt": 0}, ReasonTxnTokenMalformed, "rpl_cnt"},
		"count is negative":           {map[string]any{"rpl_cnt": -1}, ReasonTxnTokenMalformed, "rpl_cnt"},
		"count is beyond any chain":   {map[string]any{"rpl_cnt": 16}, ReasonTxnTokenMalformed, "rpl_cnt"},
		"count has a fraction":        {map[string]any{"rpl_cnt": 1.5}, ReasonTxnTokenMalformed, "rpl_cnt"},
		"start is a string":           {map[string]any{"txn_iat": "2026"}, ReasonTxnTokenMalformed, "txn_iat"},
		"start is negative":           {map[string]any{"txn_iat": -1}, ReasonTxnTokenMalformed, "txn_iat"},
		"chain alone":                 {map[string]any{"rpl_cnt": nil, "txn_iat": nil}, ReasonTxnTokenInvalid, "rpl_cnt"},
		"count alone":                 {map[string]any{"req_wl_chain": nil, "txn_iat": nil}, ReasonTxnTokenInvalid, "req_wl_chain"},
		"start alone":                 {map[string]any{"req_wl_chain": nil, "rpl_cnt": nil}, ReasonTxnTokenInvalid, "req_wl_chain"},
		"no count":                    {map[string]any{"rpl_cnt": nil}, ReasonTxnTokenInvalid, "rpl_cnt"},
		"no start":                    {map[string]any{"txn_iat": nil}, ReasonTxnTokenInvalid, "txn_iat"},
		"chain ends elsewhere":        {map[string]any{"req_wl_chain": []string{gw, edge}}, ReasonTxnTokenInvalid, "req_wl_chain"},
		"more replaced than in chain": {map[string]any{"rpl_cnt": 2}, ReasonTxnTokenInvalid, "rpl_cnt"},
		"starts after it was issued":  {map[string]any{"txn_iat": testNow.Unix()}, ReasonTxnTokenInvalid, "txn_iat"},
		"call chain is a number":      {map[string]any{"chn": 1}, ReasonTxnTokenMalformed, "chn"},
		"call chain is empty":         {map[string]any{"chn": ""}, ReasonTxnTokenMalformed, "chn"},
		"call chain is short":         {map[string]any{"chn": someHash[1:]}, ReasonTxnTokenMalformed, "chn"},
		"call chain is long":          {map[string]any{"chn": someHash + "A"}, ReasonTxnTokenMalformed, "chn"},
		"call chain with padding":     {map[string]any{"chn": someHash[1:] + "="}, ReasonTxnTokenMalformed, "chn"},
		"call chain, line break":      {map[string]any{"chn": someHash[:42] + "\n"}, ReasonTxnTokenMalformed, "chn"},
		"call chain, other alphabet":  {map[string]any{"chn": "+" + someHash[1:]}, ReasonTxnTokenMalformed, "chn"},
		"call chain, unused bits":     {map[string]any{"chn": someHash[:42] + "B"}, ReasonTxnTokenMalformed, "chn"},
		"call chain of zeros":         {map[string]any{"chn": strings.Repeat("A", 43)}, ReasonTxnTokenMalformed, "chn"},
		"call chain of a first token": {map[string]any{"chn": someHash, "req_wl_chain": nil, "rpl_cnt": nil, "txn_iat": nil}, ReasonTxnTokenInvalid, "chn"},
	} {
		t.Run(name, func(t *testing.T) {
			wantReject(t, v, tokenWith(edited(replacement(), tc.changes)), tc.reason, tc.field)
		})
	}
	if n := keys.lookups.Load(); n != 0 {
		t.Errorf("%d key look-ups", n)
	}
}

// Covers REPL-05, REPL-06.
func TestReplacedTokenIsSignedAsPrepared(t *testing.T) {
	claims := goodClaims()
	claims.RequestingWorkload = backend
	claims.RequestingWorkloadChain = mustChain(t, edge, `a"b\c`, gw, backend)
	claims.ReplacementCount = 3
	claims.TransactionStart = testNow.Add(-time.Minute + 300*time.Millisecond)
	claims.CallChainHash = sha256.Sum256([]byte("a link"))
	raw := signClaims(t, testSigners()[ES256], claims)
	v, err := NewVerifier(claims.Audience, claims.Issuer, testKeys(t), WithClock(fixedClock))
	if err != nil {
		t.Fatal(err)
	}
	claims.TransactionStart = testNow.Add(-time.Minute)
	if diff := cmp.Diff(claims, wantAccept(t, v, raw).Claims()); diff != "" {
		t.Errorf("claims (-signed +verified):\n%s", diff)
	}
}

// Covers REPL-05, REPL-06.
func TestPrepareRefusesAHistoryThatIsNone(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Claims)
		field  string
	}{
		"no chain":             {func(c *Claims) { c.RequestingWorkloadChain = WorkloadChain{} }, "req_wl_chain"},
		"chain ends elsewhere": {func(c *Claims) { c.RequestingWorkload = edge }, "req_wl_chain"},
		"chain of one": {func(c *Claims) {
			c.RequestingWorkloadChain = Claims{RequestingWorkload: gw}.Requesters()
			c.ReplacementCount = 0
		}, "req_wl_chain"},
		"call chain of a first token": {func(c *Claims) {
			c.RequestingWorkloadChain, c.ReplacementCount, c.TransactionStart = WorkloadChain{}, 0, time.Time{}
			c.CallChainHash[31] = 1
		}, "chn"},
		"no count":              {func(c *Claims) { c.ReplacementCount = 0 }, "rpl_cnt"},
		"count does not fit":    {func(c *Claims) { c.ReplacementCount = 2 }, "rpl_cnt"},
		"no start":              {func(c *Claims) { c.TransactionStart = time.Time{} }, "txn_iat"},
		"start before 1970":     {func(c *Claims) { c.TransactionStart = time.Unix(-1, 0) }, "txn_iat"},
		"start after the token": {func(c *Claims) { c.TransactionStart = c.IssuedAt.Add(time.Second) }, "txn_iat"},
	} {
		t.Run(name, func(t *testing.T) {
			c := goodClaims()
			c.RequestingWorkload, c.RequestingWorkloadChain = gw, mustChain(t, edge, gw)
			c.ReplacementCount, c.TransactionStart = 1, testNow
			if _, err := Prepare(c); err != nil {
				t.Fatal(err)
			}
			tc.change(&c)
			_, err := Prepare(c)
			wantError(t, err, ReasonInternal, tc.field)
		})
	}
}

// Covers REPL-05, REPL-06.
func TestHistoryOfATransactionBeginsWithItsFirstToken(t *testing.T) {
	first := goodClaims()
	first.RequestingWorkload = edge
	if got := slices.Collect(first.Requesters().Workloads()); !slices.Equal(got, []string{edge}) || first.Requesters().Len() != 1 {
		t.Errorf("requesters of the first token: %q", got)
	}
	if got := first.FirstIssuedAt(); !got.Equal(first.IssuedAt) {
		t.Errorf("the first token's transaction began at %s", got)
	}
	chain, err := first.Requesters().With(gw)
	if err != nil || chain != mustChain(t, edge, gw) {
		t.Errorf("second chain %q, %v", slices.Collect(chain.Workloads()), err)
	}
	second := first
	second.RequestingWorkload, second.RequestingWorkloadChain = gw, chain
	second.IssuedAt, second.TransactionStart = first.IssuedAt.Add(5*time.Second), first.IssuedAt
	if second.Requesters() != chain || !second.FirstIssuedAt().Equal(first.IssuedAt) {
		t.Errorf("requesters %q, began %s", slices.Collect(second.Requesters().Workloads()), second.FirstIssuedAt())
	}
	if _, err := (Claims{}).Requesters().With(gw); err == nil {
		t.Error("a second requester without a first one")
	}
}

func TestWorkloadChainRefuses(t *testing.T) {
	for name, workloads := range map[string][]string{
		"none":      nil,
		"one":       {gw},
		"too many":  many(17),
		"empty":     {edge, ""},
		"a space":   {edge, "a b"},
		"a comma":   {edge, "a,b"},
		"a newline": {edge, "a\nb"},
		"no UTF-8":  {edge, "a\xff"},
		"too long":  {edge, strings.Repeat("x", maxWorkloadSize+1)},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := NewWorkloadChain(workloads...)
			wantError(t, err, ReasonParameterInvalid, "req_wl_chain")
			if !c.IsZero() {
				t.Error("a chain beside the error")
			}
		})
	}
}

// Covers REPL-06.
func TestWorkloadChainGrowsWithoutAliasing(t *testing.T) {
	c := mustChain(t, edge, gw)
	left, err := c.With(backend)
	if err != nil {
		t.Fatal(err)
	}
	right, err := c.With(edge)
	if err != nil {
		t.Fatal(err)
	}
	if c != mustChain(t, edge, gw) || left != mustChain(t, edge, gw, backend) || right != mustChain(t, edge, gw, edge) {
		t.Error("a chain changed")
	}
	if c.Len() != 2 || left.Last() != backend || right.Count(edge) != 2 || right.Count(backend) != 0 || right.Count("spiffe://prod.example.org") != 0 {
		t.Error("Len, Last or Count is wrong")
	}
	full := mustChain(t, many(MaxWorkloadChain)...)
	if _, err := full.With(gw); err == nil {
		t.Error("a chain of 17")
	}
	var zero WorkloadChain
	if _, err := zero.With(gw); err == nil {
		t.Error("a chain of one")
	}
	if zero.Len() != 0 || zero.Last() != "" || zero.Count("") != 0 || len(slices.Collect(zero.Workloads())) != 0 {
		t.Error("the zero chain has content")
	}
	if text := fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c, c); strings.Contains(text, "spiffe") {
		t.Errorf("it prints as %s", text)
	}
}
