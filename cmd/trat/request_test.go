package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Covers TTS-13, TTS-17, PRIV-01.
func TestRequestPrintsATokenThatVerifies(t *testing.T) {
	service := serveTokens(t)
	asked := append([]string{"request"}, service.flags("--scope", "stock.count", "--sign-subject", "nightly")...)

	plain := runTrat(t, "", asked...)
	plain.want(t, 0, "eyJ", "what is printed is a credential")
	raw := strings.TrimSuffix(plain.stdout, "\n")
	token, err := trat.ParseUnverified(raw)
	if err != nil || token.Claims().Subject != "self:shop.test/gateway:nightly" {
		t.Errorf("token %v, %v", token, err)
	}
	if strings.Contains(plain.stderr, "eyJ") {
		t.Errorf("the token is on standard error:\n%s", plain.stderr)
	}

	var got struct {
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in_seconds"`
		Claims    struct {
			Scope string `json:"scope"`
			ReqWL string `json:"req_wl"`
		} `json:"claims"`
	}
	asJSON := runTrat(t, "", append(asked, "-o", "json")...)
	asJSON.want(t, 0, "", "credential")
	asJSON.decode(t, &got)
	if got.Claims.Scope != "stock.count" || got.Claims.ReqWL != "spiffe://shop.test/gateway" || got.ExpiresIn < 10 || got.ExpiresIn > 15 {
		t.Errorf("got %+v", got)
	}

	verify := append([]string{"verify"}, service.flags()...)
	runTrat(t, raw, verify...).want(t, 0, "valid\nfingerprint  ", "")
	runTrat(t, got.Token, verify...).want(t, 0, "valid\n", "")
}

// Covers REPL-02, REPL-03.
func TestRequestReplacesAToken(t *testing.T) {
	service := serveTokens(t)
	first := runTrat(t, "", append([]string{"request"}, service.flags("--scope", "stock.count stock.write", "--sign-subject", "nightly")...)...)
	first.want(t, 0, "eyJ", "")
	second := runTrat(t, first.stdout, append([]string{"request"}, service.flags("--scope", "stock.count", "--subject-token-type", "txn_token")...)...)
	second.want(t, 0, "eyJ", "")
	before, err := trat.ParseUnverified(strings.TrimSpace(first.stdout))
	if err != nil {
		t.Fatal(err)
	}
	after, err := trat.ParseUnverified(strings.TrimSpace(second.stdout))
	if err != nil {
		t.Fatal(err)
	}
	if before.Claims().TransactionID != after.Claims().TransactionID || after.Claims().Scope.String() != "stock.count" {
		t.Errorf("%v was replaced by %v", before, after)
	}
	runTrat(t, second.stdout, append([]string{"request"}, service.flags("--scope", "stock.write", "--subject-token-type", "txn_token")...)...).
		want(t, 3, "", "SCOPE_EXCEEDED")
}

// Covers REPL-07.
func TestRequestSendsTheReceiptOfACallChain(t *testing.T) {
	service := serveTokens(t)
	first := runTrat(t, "", append([]string{"request"}, service.flags("--scope", "stock.count", "--sign-subject", "nightly")...)...)
	first.want(t, 0, "eyJ", "")
	none := writeFile(t, "receipt", "AAAA\n")
	replace := append([]string{"request"}, service.flags("--scope", "stock.count", "--subject-token-type", "txn_token", "--call-chain-file")...)
	runTrat(t, first.stdout, append(replace, none)...).want(t, 3, "", "REPLACEMENT_DENIED")
	runTrat(t, first.stdout, append(replace, none+".not")...).want(t, 1, "", "call chain")
	runTrat(t, first.stdout, append(replace, "-")...).want(t, 2, "", "standard input")
	runTrat(t, "", append([]string{"request"}, service.flags("--scope", "stock.count", "--sign-subject", "nightly", "--call-chain-file", none)...)...).
		want(t, 2, "", "goes with --subject-token-type txn_token")
}

func TestRequestTellsARefusalFromAFailure(t *testing.T) {
	service := serveTokens(t)
	refused := append([]string{"request"}, service.flags("--scope", "order.create", "--sign-subject", "nightly")...)
	runTrat(t, "", refused...).want(t, 3, "", "SCOPE_EXCEEDED")
	var got struct {
		Token   string `json:"access_token"`
		Problem struct{ Reason, Detail string }
	}
	asJSON := runTrat(t, "", append(refused, "--output", "json")...)
	asJSON.want(t, 3, "", "SCOPE_EXCEEDED")
	asJSON.decode(t, &got)
	if got.Token != "" || got.Problem.Reason != "SCOPE_EXCEEDED" || got.Problem.Detail == "" {
		t.Errorf("got %+v", got)
	}
	runTrat(t, "eyJub3QiOiJ0b2tlbiJ9.e30.AA", append([]string{"request"}, service.flags("--scope", "stock.count")...)...).
		want(t, 3, "", "SUBJECT_TOKEN_TYPE_UNSUPPORTED")

	elsewhere := tokenService{address: "127.0.0.1:1"}
	runTrat(t, "", append([]string{"request"}, elsewhere.flags("--scope", "stock.count", "--sign-subject", "nightly", "--timeout", "2s")...)...).
		want(t, 1, "", "DEPENDENCY_UNAVAILABLE")
}

func TestRequestNamesTheKeyThatIsMissing(t *testing.T) {
	service := serveTokens(t)
	missing := append([]string{"request"}, service.flags("--scope", "stock.pay", "--sign-subject", "nightly")...)
	runTrat(t, "", missing...).want(t, 3, "", "PARAMETER_MISSING: request_details.amount_cents: ")
	var got struct {
		Problem struct {
			Reason string
			Fields []string
		}
	}
	runTrat(t, "", append(missing, "-o", "json")...).decode(t, &got)
	if got.Problem.Reason != "PARAMETER_MISSING" || !slices.Contains(got.Problem.Fields, "request_details.amount_cents") {
		t.Errorf("got %+v", got)
	}
}

func TestAWrongIssuerIsNamed(t *testing.T) {
	service := serveTokens(t)
	wrong := append(service.flags(), "--issuer", "https://wrong.shop.test")
	first := runTrat(t, "", append([]string{"request"}, service.flags("--scope", "stock.count stock.write", "--sign-subject", "nightly")...)...)
	runTrat(t, first.stdout, append([]string{"request", "--scope", "stock.count", "--subject-token-type", "txn_token"}, wrong...)...).
		want(t, 1, "", `configured is "https://wrong.shop.test"`)
	runTrat(t, "a.b.c", append([]string{"verify"}, wrong...)...).
		want(t, 1, "", `issuer: it is "https://tts.shop.test", configured is "https://wrong.shop.test"`)
}

func TestRequestReportsEveryWrongFlagAtOnce(t *testing.T) {
	runTrat(t, "", "request", "--subject-token-type", "saml", "--details", "{", "--context", "@/absent", "--timeout", "0s", "--trust-domain", "a/b",
		"--sign-subject", "x", "--server-id", "tts").
		want(t, 2, "", `--address is required
--issuer is required
--server-id: want a SPIFFE ID such as spiffe://shop.test/tts, not "tts"
--trust-domain: `)
	got := runTrat(t, "", "request", "--subject-token-type", "saml", "--details", "{", "--context", "@/absent", "--sign-subject", "x")
	for _, want := range []string{
		"--scope is required", "--sign-subject takes the place of", "--subject-token-type: want one of access_token, id_token,",
		"--details: ", "--context: open /absent: ",
	} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("no %q in:\n%s", want, got.stderr)
		}
	}
}

func TestShortNamesAreThoseOfTheTypes(t *testing.T) {
	want := []string{"access_token", "id_token", "jwt", "self_signed", "txn_token", "unsigned_json"}
	if diff := cmp.Diff(want, shortNames()); diff != "" {
		t.Errorf("short names (-want +got):\n%s", diff)
	}
	for _, name := range want {
		uri, err := subjectTokenType(name)
		if err != nil || !strings.HasSuffix(string(uri), ":"+name) {
			t.Errorf("%s: %q, %v", name, uri, err)
		}
	}
	if uri, err := subjectTokenType("urn:example:card"); err != nil || uri != "urn:example:card" {
		t.Errorf("a URI: %q, %v", uri, err)
	}
}
