package subject_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// replacing has TraTs of d as subject tokens.
func replacing(t *testing.T, d *trattest.Domain) func(token string) (*subject.Principal, error) {
	t.Helper()
	r := registry(t, must(subject.NewTransactionToken(d.Verifier())))
	return func(token string) (*subject.Principal, error) {
		in := input(trat.TokenType, token)
		in.Now = d.Now()
		return r.Verify(t.Context(), in)
	}
}

// Covers REPL-02.
func TestATransactionTokenStandsForItsTransaction(t *testing.T) {
	d := trattest.New(t, "shop.test")
	raw := d.Raw(trattest.Subject("shop:alice"), trattest.Scope("order.create order.pay"), trattest.TransactionID("txn-7"))
	p, err := replacing(t, d)(raw)
	if err != nil {
		t.Fatal(err)
	}
	if p.Issuer != d.Issuer() || p.Subject != "shop:alice" || !p.ScopeKnown || !p.Expiry.Equal(p.Transaction.Expiry()) || !p.Claims.IsZero() {
		t.Errorf("principal = %+v", p)
	}
	if diff := cmp.Diff([]string{"order.create", "order.pay"}, p.Scopes); diff != "" {
		t.Errorf("scopes (-want +got):\n%s", diff)
	}
	if p.Transaction.TransactionID() != "txn-7" || p.Transaction.UnsafeRaw() != raw {
		t.Error("the principal's transaction is not the token's")
	}
}

// Covers REPL-04.
func TestAnExpiredTransactionTokenIsRefusedWithoutLeeway(t *testing.T) {
	d := trattest.New(t, "shop.test")
	verify := replacing(t, d)
	raw := d.Raw(trattest.Lifetime(10 * time.Second))
	d.Advance(10*time.Second - time.Nanosecond)
	if _, err := verify(raw); err != nil {
		t.Errorf("just before exp: %v", err)
	}
	for _, later := range []time.Duration{time.Nanosecond, trat.DefaultLeeway, time.Hour} {
		d.Advance(later)
		p, err := verify(raw)
		wantError(t, p, err, trat.ReasonSubjectTokenExpired, "exp")
	}
}

// Covers TTS-18, REPL-04.
func TestABadTransactionTokenIsABadSubjectToken(t *testing.T) {
	d := trattest.New(t, "shop.test")
	verify := replacing(t, d)
	for _, broken := range d.BrokenTokens() {
		t.Run(string(broken.Flaw), func(t *testing.T) {
			p, err := verify(broken.Raw)
			want := trat.ReasonSubjectTokenInvalid
			if broken.Reason == trat.ReasonTxnTokenExpired {
				want = trat.ReasonSubjectTokenExpired
			}
			e, ok := errors.AsType[*trat.Error](err)
			if p != nil || !ok || e.Reason != want || e.Field == "" {
				t.Errorf("Verify = %v, %v, want %s and a field", p, err, want)
			}
			if errors.Is(err, broken.Reason) {
				t.Errorf("%v is also the fault of a call", err)
			}
		})
	}
	t.Run("no keys", func(t *testing.T) {
		raw := d.Raw()
		in := input(trat.TokenType, raw)
		in.Now = d.Now()
		keys := noKeys{}
		v := must(trat.NewVerifier("shop.test", d.Issuer(), keys, trat.WithClock(d.Now)))
		p, err := registry(t, must(subject.NewTransactionToken(v))).Verify(t.Context(), in)
		wantError(t, p, err, trat.ReasonKeysUnavailable, "")
	})
}

// noKeys is a key set that was never loaded.
type noKeys struct{}

func (noKeys) Key(string) (*trat.Key, error) { return nil, trat.ReasonKeysUnavailable }

// careless is a TokenVerifier that breaks its contract.
type careless struct{ err error }

func (c careless) Verify(string) (*trat.Token, error) { return &trat.Token{}, c.err }

func TestACarelessTokenVerifierAcceptsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		reason trat.Reason
		field  string
	}{
		"a token that was never verified": {nil, trat.ReasonSubjectTokenExpired, "exp"},
		"an error of another kind":        {errors.New("eyJ alice"), trat.ReasonInternal, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := registry(t, must(subject.NewTransactionToken(careless{test.err})))
			p, err := r.Verify(t.Context(), input(trat.TokenType, "token"))
			wantError(t, p, err, test.reason, test.field)
		})
	}
	var none *trat.Verifier
	for _, v := range []subject.TokenVerifier{nil, none} {
		if _, err := subject.NewTransactionToken(v); err == nil || !strings.Contains(err.Error(), "need a verifier") {
			t.Errorf("NewTransactionToken(%v) = %v", v, err)
		}
	}
}

func TestOnlyATransactionTokenBringsATransaction(t *testing.T) {
	d := trattest.New(t, "shop.test")
	for name, verifier := range map[string]subject.Verifier{
		"another type with one":       &stub{typ: "urn:x:vm", principal: &subject.Principal{Issuer: "i", Subject: "s", Transaction: d.Token()}},
		"its type without one":        &stub{typ: trat.TokenType, principal: &subject.Principal{Issuer: "i", Subject: "s"}},
		"another type with a nothing": &stub{typ: "urn:x:vm", principal: &subject.Principal{Issuer: "i", Subject: "s", Transaction: &trat.Token{}}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := registry(t, verifier).Verify(t.Context(), input(verifier.Type(), "token"))
			wantError(t, p, err, trat.ReasonInternal, "")
		})
	}
}
