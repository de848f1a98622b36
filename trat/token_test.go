package trat

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// printed returns v as every verb, handler and encoder prints it.
func printed(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%40v", "%-5s"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	out.WriteString(fmt.Sprint(v) + fmt.Sprintln("x", v))
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		log := slog.New(h).With("with", v)
		log.Info("msg", "token", v, slog.Any("any", v), slog.Group("group", "token", v))
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("json.Marshal: %v", err)
	}
	out.Write(b)
	return out.String()
}

// Covers VER-23, PRIV-01, PRIV-02.
func TestTokenPrintsItsFingerprintOnly(t *testing.T) {
	v, _ := newTestVerifier(t)
	raw := tokenWith(nil)
	token := wantAccept(t, v, raw)
	sum := sha256.Sum256([]byte(raw))
	fingerprint := encoding.EncodeToString(sum[:])
	if token.Fingerprint() != fingerprint || len(fingerprint) != 43 {
		t.Fatalf("fingerprint = %q, want %q", token.Fingerprint(), fingerprint)
	}
	type exported struct {
		T Token
		P *Token
	}
	type unexported struct {
		t Token
		p *Token
	}
	parts := strings.Split(raw, ".")
	secrets := []string{
		parts[0], parts[1][:20], parts[2][:20], "97053963", "d084sdrt", "trade.stocks", "MSFT", "69.151", "spiffe:",
		fmt.Sprintf("%x", raw[:20]), fmt.Sprintf("%X", raw[:20]),
	}
	for name, value := range map[string]any{
		"pointer":            token,
		"value":              *token,
		"slice":              []*Token{token},
		"map":                map[string]Token{"a": *token},
		"interface":          any(token),
		"exported fields":    exported{*token, token},
		"pointer to struct":  &exported{*token, token},
		"unexported fields":  unexported{*token, token},
		"pointer unexported": &unexported{*token, token},
	} {
		t.Run(name, func(t *testing.T) {
			out := printed(t, value)
			for _, secret := range secrets {
				if strings.Contains(out, secret) {
					t.Errorf("prints %q:\n%s", secret, out)
				}
			}
			if !strings.Contains(name, "unexported") && !strings.Contains(out, fingerprint) {
				t.Errorf("does not print the fingerprint:\n%s", out)
			}
		})
	}
	if got := fmt.Sprintf("%s|%v|%#v|%q|%x", token, token, *token, token, *token); got != strings.Repeat(fingerprint+"|", 4)+fingerprint {
		t.Errorf("printed as %s", got)
	}
	if got, _ := json.Marshal(map[*Token]int{token: 1}); !strings.Contains(string(got), fingerprint) {
		t.Errorf("as a map key: %s", got)
	}
}

// Covers PRIV-01, PRIV-03.
func TestClaimsPrintTheirTransactionOnly(t *testing.T) {
	unverified, err := ParseUnverified(tokenWith(nil))
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := Prepare(goodClaims())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{unverified.Claims(), unverified, unsigned, unsigned.Claims().TransactionContext} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("msg", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("msg", "v", v)
		for _, secret := range []string{"d084sdrt", "MSFT", "69.151", "spiffe:"} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%T prints %q:\n%s", v, secret, out.String())
			}
		}
	}
}

// Covers VER-23.
func TestZeroTokenIsNone(t *testing.T) {
	for _, token := range []*Token{nil, {}} {
		if diff := cmp.Diff(Claims{}, token.Claims()); diff != "" {
			t.Errorf("claims: %s", diff)
		}
		if token.UnsafeRaw() != "" || token.Size() != 0 || token.Fingerprint() != "" || token.KeyID() != "" || token.Subject() != "" {
			t.Error("a zero token has content")
		}
		if got, ok := FromContext(NewContext(t.Context(), token)); ok || got != nil {
			t.Error("a zero token counts in a context")
		}
		_ = fmt.Sprint(token)
	}
	if _, ok := FromContext(t.Context()); ok {
		t.Error("an empty context has a token")
	}
}

// Covers VER-23, PROP-10.
func TestContextCarriesTheToken(t *testing.T) {
	v, _ := newTestVerifier(t)
	token := wantAccept(t, v, tokenWith(nil))
	ctx := NewContext(t.Context(), token)
	if got, ok := FromContext(ctx); !ok || got != token {
		t.Errorf("FromContext = %v, %v", got, ok)
	}
	if got, ok := FromContext(Detach(ctx)); !ok || got != token {
		t.Errorf("FromContext(Detach) = %v, %v", got, ok)
	}
	if Detach(ctx).Done() != nil {
		t.Error("a detached context can be cancelled")
	}
}

func TestParseUnverified(t *testing.T) {
	raw := tokenWithHeader(map[string]any{"alg": "ES512", "kid": "other"})
	u, err := ParseUnverified(raw)
	if err != nil {
		t.Fatal(err)
	}
	if u.KeyID() != "other" || u.Algorithm() != "ES512" || u.Claims().Subject != "d084sdrt234fsaw34tr23t" {
		t.Errorf("read kid %q, alg %q, %v", u.KeyID(), u.Algorithm(), u.Claims())
	}
	for name, tc := range map[string]struct {
		raw    string
		reason Reason
		field  string
	}{
		"empty":         {"", ReasonTxnTokenMissing, ""},
		"shape":         {"a.b", ReasonTxnTokenMalformed, ""},
		"encoding":      {"a.b.c", ReasonTxnTokenMalformed, "header"},
		"header":        {replaceSegment(raw, 0, "AAAA"), ReasonTxnTokenMalformed, "header"},
		"type":          {tokenWithHeader(map[string]any{"typ": "JWT"}), ReasonTxnTokenInvalid, "typ"},
		"claims":        {tokenWith(map[string]any{"sub": nil}), ReasonTxnTokenMalformed, "sub"},
		"outside claim": {tokenWith(map[string]any{"sub": 1}), ReasonTxnTokenMalformed, "sub"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseUnverified(tc.raw)
			wantError(t, err, tc.reason, tc.field)
		})
	}
}

func TestErrors(t *testing.T) {
	cause := fmt.Errorf("cause")
	err := fmt.Errorf("outer: %w", Errorf(ReasonTxnTokenExpired, "exp", "inner: %w", cause))
	if got, want := err.Error(), "outer: TXN_TOKEN_EXPIRED: exp: inner: cause"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if reason, ok := ReasonOf(err); !ok || reason != ReasonTxnTokenExpired {
		t.Errorf("ReasonOf = %s, %v", reason, ok)
	}
	if _, ok := ReasonOf(cause); ok {
		t.Error("ReasonOf finds a reason where there is none")
	}
	if got := Errorf(ReasonInternal, "", "").Error(); got != "INTERNAL" {
		t.Errorf("Error() = %q", got)
	}
}
