package trat

import (
	"crypto"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// goodClaims are the draft's example (section 9.2, figure "Txn-Token Body") with an
// issuer and a SPIFFE ID.
func goodClaims() Claims {
	return Claims{
		Issuer:             "https://tts.trust-domain.example",
		Subject:            "d084sdrt234fsaw34tr23t",
		Audience:           "trust-domain.example",
		TransactionID:      "97053963-771d-49cc-a4e3-20aad399c312",
		Scope:              Scope{text: "trade.stocks"},
		RequestingWorkload: "spiffe://trust-domain.example/apigateway",
		IssuedAt:           testNow,
		Expiry:             testNow.Add(15 * time.Second),
		TransactionContext: Object{text: `{"action":"BUY","ticker":"MSFT","quantity":"100","customer_type":{"geo":"US","level":"VIP"}}`},
		RequestContext:     Object{text: `{"req_ip":"69.151.72.123","authn":"face"}`},
	}
}

// signClaims prepares and signs.
func signClaims(tb testing.TB, s *Signer, c Claims) string {
	tb.Helper()
	u, err := Prepare(c)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := s.Sign(u)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// Covers TTS-23, TTS-29, VER-02, KEY-01.
func TestSignedTokenVerifies(t *testing.T) {
	claims := goodClaims()
	claims.Subject = `quo"te\back/sl<a>sh ü 𝒳`
	claims.IssuedAt = claims.IssuedAt.Add(123 * time.Millisecond)
	want := claims
	want.IssuedAt = testNow
	for alg, signer := range testSigners() {
		t.Run(string(alg), func(t *testing.T) {
			raw := signClaims(t, signer, claims)
			v, err := NewVerifier(claims.Audience, claims.Issuer, testKeys(t), WithClock(fixedClock), WithAlgorithms(alg))
			if err != nil {
				t.Fatal(err)
			}
			token := wantAccept(t, v, raw)
			if diff := cmp.Diff(want, token.Claims()); diff != "" {
				t.Errorf("claims (-signed +verified):\n%s", diff)
			}
			if id := token.KeyID(); id != signer.Key().ID() || len(id) != shortKeyIDSize || !strings.HasPrefix(signer.Key().Thumbprint(), id) {
				t.Errorf("kid = %q", id)
			}
		})
	}
}

// The example of the draft, with iss and a SPIFFE ID as req_wl, and its exact bytes.
//
// Covers TTS-23.
func TestTokenIsShort(t *testing.T) {
	raw := signClaims(t, testSigners()[ES256], goodClaims())
	if len(raw) > 700 {
		t.Errorf("%d bytes, want at most 700", len(raw))
	}
	segments, err := splitCompact(raw)
	if err != nil {
		t.Fatal(err)
	}
	var buf signatureBuffer
	d, err := segments.decode(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"typ":"txntoken+jwt","alg":"ES256","kid":"` + testSigners()[ES256].Key().ID() + `"}`; d.header != want {
		t.Errorf("header = %s, want %s", d.header, want)
	}
	const want = `{"iss":"https://tts.trust-domain.example","iat":1783339200,"exp":1783339215,"aud":"trust-domain.example",` +
		`"txn":"97053963-771d-49cc-a4e3-20aad399c312","sub":"d084sdrt234fsaw34tr23t","scope":"trade.stocks",` +
		`"req_wl":"spiffe://trust-domain.example/apigateway",` +
		`"tctx":{"action":"BUY","ticker":"MSFT","quantity":"100","customer_type":{"geo":"US","level":"VIP"}},` +
		`"rctx":{"req_ip":"69.151.72.123","authn":"face"}}`
	if d.payload != want {
		t.Errorf("payload:\n%s\nwant:\n%s", d.payload, want)
	}
}

// Covers TTS-21, TTS-23, TTS-24, TTS-26, TTS-29.
func TestPrepareRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Claims)
		reason Reason
		field  string
	}{
		"no issuer":              {func(c *Claims) { c.Issuer = "" }, ReasonInternal, "iss"},
		"http issuer":            {func(c *Claims) { c.Issuer = "http://tts" }, ReasonInternal, "iss"},
		"no subject":             {func(c *Claims) { c.Subject = "" }, ReasonInternal, "sub"},
		"long subject":           {func(c *Claims) { c.Subject = strings.Repeat("x", maxSubjectSize+1) }, ReasonInternal, "sub"},
		"invalid UTF-8":          {func(c *Claims) { c.Subject = "a\xff" }, ReasonInternal, "sub"},
		"control character":      {func(c *Claims) { c.Subject = "a\nb" }, ReasonInternal, "sub"},
		"no audience":            {func(c *Claims) { c.Audience = "" }, ReasonInternal, "aud"},
		"upper-case audience":    {func(c *Claims) { c.Audience = "Prod.example" }, ReasonInternal, "aud"},
		"no txn":                 {func(c *Claims) { c.TransactionID = "" }, ReasonInternal, "txn"},
		"long txn":               {func(c *Claims) { c.TransactionID = strings.Repeat("x", maxTxnSize+1) }, ReasonInternal, "txn"},
		"no req_wl":              {func(c *Claims) { c.RequestingWorkload = "" }, ReasonInternal, "req_wl"},
		"two in req_wl":          {func(c *Claims) { c.RequestingWorkload += ",spiffe://x/y" }, ReasonInternal, "req_wl"},
		"long req_wl":            {func(c *Claims) { c.RequestingWorkload = strings.Repeat("x", maxWorkloadSize+1) }, ReasonInternal, "req_wl"},
		"no scope":               {func(c *Claims) { c.Scope = Scope{} }, ReasonIssuanceDenied, "scope"},
		"no times":               {func(c *Claims) { c.IssuedAt, c.Expiry = time.Time{}, time.Time{} }, ReasonInternal, "iat"},
		"no expiry":              {func(c *Claims) { c.Expiry = time.Time{} }, ReasonInternal, "exp"},
		"expiry before issue":    {func(c *Claims) { c.Expiry = c.IssuedAt.Add(-time.Second) }, ReasonInternal, "exp"},
		"less than a second":     {func(c *Claims) { c.Expiry = c.IssuedAt.Add(999 * time.Millisecond) }, ReasonInternal, "exp"},
		"longer than 300 s":      {func(c *Claims) { c.Expiry = c.IssuedAt.Add(301 * time.Second) }, ReasonInternal, "exp"},
		"beyond the year 9999":   {func(c *Claims) { c.IssuedAt = time.Unix(maxNumericDate, 0); c.Expiry = time.Unix(maxNumericDate+1, 0) }, ReasonInternal, "exp"},
		"payload beyond a token": {func(c *Claims) { c.RequestContext = Object{text: `{"a":"` + strings.Repeat("x", MaxSize) + `"}`} }, ReasonTokenTooLarge, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := goodClaims()
			tc.change(&c)
			u, err := Prepare(c)
			if u != nil {
				t.Error("returned a token to sign")
			}
			wantError(t, err, tc.reason, tc.field)
		})
	}
	longest := goodClaims()
	longest.Expiry = longest.IssuedAt.Add(MaxLifetime)
	if _, err := Prepare(longest); err != nil {
		t.Errorf("a lifetime of %v: %v", MaxLifetime, err)
	}
}

// Covers TTS-40.
func TestSignRefusesWhatIsTooLarge(t *testing.T) {
	signer := testSigners()[ES256]
	c := goodClaims()
	for size := 2400; size < 2700; size++ {
		c.RequestContext = Object{text: `{"a":"` + strings.Repeat("x", size) + `"}`}
		u, err := Prepare(c)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signer.Sign(u)
		if err != nil {
			wantError(t, err, ReasonTokenTooLarge, "")
			if raw != "" {
				t.Error("returned a token")
			}
			return
		}
		if len(raw) > MaxSize {
			t.Fatalf("signed %d bytes", len(raw))
		}
	}
	t.Error("no size was refused")
}

// Covers TTS-23.
func TestUnsignedIsSignedOnce(t *testing.T) {
	u, err := Prepare(goodClaims())
	if err != nil {
		t.Fatal(err)
	}
	var signed atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			raw, err := testSigners()[ES256].Sign(u)
			switch {
			case err == nil:
				signed.Add(1)
			case raw != "" || !errors.Is(err, ReasonInternal):
				t.Errorf("Sign = %q, %v", raw, err)
			}
		})
	}
	workers.Wait()
	if n := signed.Load(); n != 1 {
		t.Errorf("signed %d times", n)
	}
	for _, u := range []*Unsigned{nil, {}} {
		_, err := testSigners()[ES256].Sign(u)
		wantError(t, err, ReasonInternal, "")
	}
}

// brokenSigner is a crypto.Signer, such as a KMS, that answers with something else.
type brokenSigner struct {
	crypto.Signer
	sig []byte
	err error
}

func (b brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return b.sig, b.err }

func TestSignReportsABrokenSigner(t *testing.T) {
	good := testSigners()[ES256].signer
	cause := errors.New("out of reach")
	for name, b := range map[string]brokenSigner{
		"error":       {good, nil, cause},
		"nothing":     {good, nil, nil},
		"raw r and s": {good, make([]byte, 64), nil},
		"trailing":    {good, []byte{0x30, 6, 2, 1, 1, 2, 1, 1, 0}, nil},
		"zero":        {good, []byte{0x30, 6, 2, 1, 0, 2, 1, 1}, nil},
		"negative":    {good, []byte{0x30, 6, 2, 1, 1, 2, 1, 0xff}, nil},
		"P-384":       {good, append([]byte{0x30, 54, 2, 49, 0}, append(make48(), 2, 1, 1)...), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := NewSigner(b, ES256)
			if err != nil {
				t.Fatal(err)
			}
			u, err := Prepare(goodClaims())
			if err != nil {
				t.Fatal(err)
			}
			raw, err := s.Sign(u)
			wantError(t, err, ReasonInternal, "signature")
			if raw != "" || b.err != nil && !errors.Is(err, cause) {
				t.Errorf("Sign = %q, %v", raw, err)
			}
		})
	}
}

func make48() []byte {
	b := make([]byte, 48)
	b[0] = 0x80
	return b
}

func TestNewSignerRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		key   crypto.Signer
		alg   Algorithm
		field string
	}{
		"nil":            {nil, ES256, "key"},
		"none":           {testSigners()[ES256].signer, "none", "alg"},
		"EC for EdDSA":   {testSigners()[ES256].signer, EdDSA, "key"},
		"EC for RS256":   {testSigners()[ES256].signer, RS256, "key"},
		"Ed25519 for EC": {testSigners()[EdDSA].signer, ES256, "key"},
		"RSA for EC":     {testSigners()[RS256].signer, ES256, "key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewSigner(tc.key, tc.alg)
			wantError(t, err, ReasonParameterInvalid, tc.field)
		})
	}
}
