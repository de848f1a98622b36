package main

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

func TestInspectShowsWhatATokenSaysAndThatNobodyVerifiedIt(t *testing.T) {
	raw := trattest.New(t, "shop.test").Raw(trattest.Scope("stock.count"), trattest.Subject("login:alice"))
	text := runTrat(t, raw+"\n", "inspect")
	text.want(t, 0, "NOT VERIFIED: ", "")
	for _, want := range []string{"fingerprint  ", "issued       ", "expires      ", `"typ": "txntoken+jwt"`, `"scope": "stock.count"`, " bytes\n"} {
		if !strings.Contains(text.stdout, want) {
			t.Errorf("no %q in:\n%s", want, text.stdout)
		}
	}
	var got struct {
		Verified    *bool
		Fingerprint string
		Size        int
		Age         *int64 `json:"age_seconds"`
		Header      struct{ Typ string }
		Claims      struct{ Sub string }
	}
	asJSON := runTrat(t, "", "inspect", "--output", "json", writeFile(t, "token", raw))
	asJSON.want(t, 0, "", "")
	asJSON.decode(t, &got)
	if got.Verified == nil || *got.Verified || got.Size != len(raw) || got.Header.Typ != "txntoken+jwt" ||
		got.Claims.Sub != "login:alice" || got.Age == nil || *got.Age > 60 || len(got.Fingerprint) != 43 {
		t.Errorf("got %+v", got)
	}
	if strings.Contains(text.stdout+asJSON.stdout, raw) {
		t.Error("the token is printed")
	}
}

func TestInspectShowsWhatIsNoTraT(t *testing.T) {
	segment := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now().Unix()
	other := segment(map[string]any{"alg": "RS256", "typ": "at+jwt"}) + "." +
		segment(map[string]any{"sub": "a\u009b31m", "iat": now - 100, "exp": now + 100}) + ".c2ln"
	text := runTrat(t, other, "inspect")
	text.want(t, 3, `"typ": "at+jwt"`, "not a Transaction Token: ")
	text.want(t, 3, "1m40s ago", "")
	text.want(t, 3, "problem      TXN_TOKEN_", "")
	if strings.ContainsRune(text.stdout, 0x9b) {
		t.Error("what could move the cursor is printed")
	}
	var got struct {
		Problem struct{ Reason string }
		Claims  struct{ Sub string }
	}
	asJSON := runTrat(t, other, "inspect", "--output", "json")
	asJSON.want(t, 3, "", "")
	asJSON.decode(t, &got)
	if !strings.HasPrefix(got.Problem.Reason, "TXN_TOKEN_") || got.Claims.Sub != "a\u009b31m" {
		t.Errorf("got %+v", got)
	}
	runTrat(t, "not a token at all", "inspect").want(t, 3, "header       cannot be read", "")
	runTrat(t, "", "inspect").want(t, 1, "", "standard input is empty")
	runTrat(t, strings.Repeat("x", maxTokenInput+10), "inspect").want(t, 1, "", "is longer than")
	runTrat(t, "", "inspect", "/absent").want(t, 1, "", "no such file")
	runTrat(t, "", "inspect", "a", "b").want(t, 2, "", "takes one file")
}

// Covers SEC-12, PRIV-01.
func TestATokenInThePlaceOfAFileIsNotRepeated(t *testing.T) {
	raw := trattest.New(t, "shop.test").Raw()
	for _, args := range [][]string{{"inspect", raw}, {"verify", raw}, {"request", raw}, {raw}, {"policy", "check", raw}, {"audit", "verify-log", raw}} {
		got := runTrat(t, "", args...)
		got.want(t, 2, "", "a token was given as an argument")
		if strings.Contains(got.stdout+got.stderr, raw[:20]) {
			t.Errorf("%s repeats the token:\n%s", args[0], got.stderr)
		}
	}
}

func TestVerifyIsTheExitStatus(t *testing.T) {
	domain := trattest.New(t, "shop.test")
	raw, keys := domain.Raw(), writeFile(t, "keys.json", string(domain.JWKS()))
	file := writeFile(t, "token", raw)
	flags := []string{"verify", "--jwks", keys, "--issuer", shopIssuer, "--trust-domain", "shop.test"}
	runTrat(t, "", append(flags, file)...).want(t, 0, "valid\n", "")
	var got struct {
		Valid       bool
		Fingerprint string
		Problem     *struct{ Reason string }
	}
	runTrat(t, raw, append(flags, "-o", "json")...).decode(t, &got)
	if !got.Valid || got.Problem != nil {
		t.Errorf("got %+v", got)
	}

	tampered := raw[:len(raw)-10] + "AAAAAAAAAA"
	runTrat(t, tampered, flags...).want(t, 3, "NOT VALID: TXN_TOKEN_INVALID", "the token is not valid: TXN_TOKEN_INVALID")
	asJSON := runTrat(t, tampered, append(flags, "-o", "json")...)
	asJSON.want(t, 3, "", "")
	asJSON.decode(t, &got)
	if got.Valid || got.Problem == nil || got.Problem.Reason != string(trat.ReasonTxnTokenInvalid) {
		t.Errorf("tampered: %+v", got)
	}
	flags[6] = "other.test"
	runTrat(t, raw, flags...).want(t, 3, "NOT VALID: TXN_TOKEN_AUDIENCE", "")

	runTrat(t, raw, "verify", "--jwks", writeFile(t, "bad.json", "{"), "--issuer", shopIssuer, "--trust-domain", "shop.test").
		want(t, 1, "", "--jwks: ")
	runTrat(t, raw, "verify").want(t, 2, "", "or --jwks in place of --address and --server-id")
	runTrat(t, raw, "verify", "--jwks", keys, "--address", "a:1", "--algorithms", "none", "--timeout", "0s").
		want(t, 2, "", `--algorithms: "none" is not one of [ES256 EdDSA PS256 RS256]
--jwks takes the place of --address and --server-id
--issuer is required
--trust-domain is required with --jwks
--timeout must be positive`)
	newAuthority(t, "gateway")
	elsewhere := tokenService{address: "127.0.0.1:1"}
	runTrat(t, raw, append([]string{"verify"}, elsewhere.flags("--timeout", "1s")...)...).want(t, 1, "", "connection refused")
}

// Whatever is wrong with a token, the command says what the guard would.
func TestVerifyNamesTheReason(t *testing.T) {
	domain := trattest.New(t, "shop.test")
	keys := writeFile(t, "keys.json", string(domain.JWKS()))
	for _, broken := range domain.BrokenTokens() {
		if broken.Raw == "" { // an empty file is no token to judge
			continue
		}
		t.Run(string(broken.Flaw), func(t *testing.T) {
			got := runTrat(t, broken.Raw, "verify", "--jwks", keys, "--issuer", domain.Issuer(), "--trust-domain", "shop.test")
			got.want(t, 3, "NOT VALID: "+string(broken.Reason), "")
		})
	}
}
