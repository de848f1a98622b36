package config_test

import (
	"errors"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

const minimal = `
version: 1
listen: 127.0.0.1:0
trust_domain: shop.test
issuer: https://tts.shop.test
spiffe_id: spiffe://shop.test/tts
policy: policy.yaml
`

var ids = []cmp.Option{
	cmp.Comparer(func(a, b spiffeid.ID) bool { return a == b }),
	cmp.Comparer(func(a, b spiffeid.TrustDomain) bool { return a == b }),
}

func minimalConfig() *config.Config {
	return &config.Config{
		Listen:      "127.0.0.1:0",
		TrustDomain: spiffeid.RequireTrustDomainFromString("shop.test"),
		Issuer:      "https://tts.shop.test",
		ID:          spiffeid.RequireFromString("spiffe://shop.test/tts"),
		Policy:      "policy.yaml",
		Limits:      config.Limits{MaxConnections: 256, MaxStreams: 256, MaxWatchers: 4096, ShutdownTimeout: 10 * time.Second},
		Log:         config.Log{Level: slog.LevelInfo, JSON: true},
	}
}

func TestMinimalConfigurationAcceptsNoSubjectTokens(t *testing.T) {
	got, err := config.Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(minimalConfig(), got, ids...); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if got.AcceptsAccessTokens() || got.AcceptsIDTokens() {
		t.Error("tokens of no issuer are accepted")
	}
}

// documented returns the example of the package documentation.
func documented(t testing.TB) []byte {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(file.Doc.Text()) {
		if text, ok := strings.CutPrefix(line, "\t"); ok {
			b.WriteString(text)
		}
	}
	return []byte(b.String())
}

func TestDocumentedConfigurationIsEveryKey(t *testing.T) {
	got, err := config.Parse(documented(t))
	if err != nil {
		t.Fatal(err)
	}
	want := minimalConfig()
	want.Listen = "127.0.0.1:8443"
	want.Issuers = []subject.IssuerConfig{{
		Issuer: "https://login.shop.test", Prefix: "login", Audience: "https://shop.test", ClientID: "shop-web",
		Algorithms: []trat.Algorithm{trat.ES256, trat.RS256}, Skew: 30 * time.Second,
	}}
	want.SelfSigned = &config.SelfSigned{ReplayLimit: 100_000}
	if diff := cmp.Diff(want, got, ids...); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if !got.AcceptsAccessTokens() || !got.AcceptsIDTokens() {
		t.Error("the issuer's tokens are not accepted")
	}
}

func TestEveryProblemNamesLineAndKey(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"empty":         {"", []string{"the file is empty"}},
		"only comments": {"# nothing\n", []string{"the file is empty"}},
		"not YAML":      {"a: [", []string{"line 1: did not find expected node content"}},
		"a list":        {"- a", []string{"line 1: want keys and values, not a list"}},
		"two documents": {minimal + "---\nversion: 1\n", []string{"more than one document"}},
		"too long":      {minimal + "#" + strings.Repeat("x", config.MaxSize), []string{"longer than 65536 bytes"}},
		"everything is missing": {"log: {level: info}", []string{
			"version: want 1", "listen: is required", "policy: is required", "trust_domain: is required",
			"issuer: is required", "spiffe_id: is required",
		}},
		"unknown and repeated keys": {minimal + "listener: x\nlog: {levl: info}\nlisten: x:1\n", []string{
			"line 8: listener: unknown key", "line 9: log.levl: unknown key", "line 10: listen: is there twice",
		}},
		"wrong types": {strings.Replace(minimal, "listen: 127.0.0.1:0", "listen: 8443", 1) + `
subject_tokens: {issuers: {}, unsigned_json: "yes"}
limits: {max_streams: many, max_watchers: 1.5, shutdown_timeout: 10}
log:
`, []string{
			"line 3: listen: want text, not a number",
			"line 9: subject_tokens.issuers: want a list, not keys and values",
			"line 9: subject_tokens.unsigned_json: want true or false, not text",
			"line 10: limits.max_streams: want a whole number, not text",
			"line 10: limits.max_watchers: want a whole number, not a number",
			"line 10: limits.shutdown_timeout: want a duration such as 30s, not a number",
			"line 11: log: want keys and values, not nothing",
		}},
		"values out of range": {minimal + `
limits: {max_connections: 0, max_streams: 0, max_watchers: 1e3, shutdown_timeout: 2 h}
log: {level: loud, format: xml}
`, []string{
			"line 9: limits.max_watchers: want a whole number, not a number",
			"line 9: limits.shutdown_timeout: want a duration such as 30s",
			"line 9: limits.max_connections: want 1 to 1000000",
			"line 9: limits.max_streams: want 1 to 1000000",
			"line 10: log.level: want debug, info, warn or error",
			"line 10: log.format: want json or text",
		}},
		"names that cannot be": {`
version: 2
listen: nowhere
trust_domain: spiffe://shop.test
issuer: http://tts.shop.test
spiffe_id: tts
policy: ""
`, []string{
			"line 7: policy: is empty",
			"line 2: version: want 1",
			"line 3: listen: is not host:port",
			"line 4: trust_domain: is not the name of a trust domain",
			"line 5: issuer: want an https URL without user, query and fragment",
			"line 6: spiffe_id: is not a SPIFFE ID",
		}},
		"port":            {strings.Replace(minimal, ":0", ":http", 1), []string{`line 3: listen: "http" is not a port`}},
		"ID without path": {strings.Replace(minimal, "/tts\n", "\n", 1), []string{"line 6: spiffe_id: has no path"}},
		"ID of another":   {strings.Replace(minimal, "//shop.test/tts\n", "//other.test/tts\n", 1), []string{"line 6: spiffe_id: is not in trust_domain"}},
		"anchors":         {minimal + "log: &l {level: info}\n", []string{"line 8: log: anchors and aliases are not allowed"}},
		"no replay store": {minimal + "subject_tokens: {self_signed: {}}", []string{"line 8: subject_tokens.self_signed.replay_store: is required"}},
		"no such store":   {minimal + "subject_tokens: {self_signed: {replay_store: redis, replay_limit: 0}}", []string{"line 8: subject_tokens.self_signed.replay_store: want memory, the only one there is", "line 8: subject_tokens.self_signed.replay_limit: want 1 to 10000000"}},
		"written, but none": {minimal + `
subject_tokens:
  issuers:
    - issuer: https://login.test
      prefix: login
      client_id: c
      algorithms: []
      skew: 0s
`, []string{
			`line 15: subject_tokens.issuers[0].skew: want more than 0s; leave it away for 30s`,
			`line 14: subject_tokens.issuers[0].algorithms: is empty; leave it away for all that are known`,
		}},
		"issuer's own rules": {minimal + `
subject_tokens:
  issuers:
    - issuer: http://login.test
      prefix: Login
      client_id: c
      algorithms: [none]
      skew: 2h
`, []string{
			`line 11: subject_tokens.issuers[0].issuer: is not https`,
			`line 12: subject_tokens.issuers[0].prefix: want 1 to 32 of a-z, 0-9 and '-'`,
			`line 14: subject_tokens.issuers[0].algorithms: "none" is not one of [ES256 EdDSA PS256 RS256]`,
			`line 15: subject_tokens.issuers[0].skew: want 0 to 1m0s`,
		}},
		"what issuers lack": {minimal + `
subject_tokens:
  issuers:
    - issuer: http://localhost:8080
      prefix: login
      client_id: c
    - prefix: login
`, []string{
			`line 11: subject_tokens.issuers[0].insecure_loopback_http: must be true for an issuer that is plain http on this host`,
			`line 14: subject_tokens.issuers[1].issuer: is required`,
			`line 14: subject_tokens.issuers[1].audience: is required for access tokens, as the client ID is for ID tokens: with neither, every token would be refused`,
			`line 14: subject_tokens.issuers[1].prefix: "login" is that of another issuer`,
		}},
		"one problem per value": {minimal + `
subject_tokens:
  issuers:
    - issuer: 1
      prefix: 2
      audience: 3
      algorithms: ES256
      skew: 30
`, []string{
			"line 11: subject_tokens.issuers[0].issuer: want text, not a number",
			"line 12: subject_tokens.issuers[0].prefix: want text, not a number",
			"line 13: subject_tokens.issuers[0].audience: want text, not a number",
			"line 14: subject_tokens.issuers[0].algorithms: want a list, not text",
			"line 15: subject_tokens.issuers[0].skew: want a duration such as 30s, not a number",
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := config.Parse([]byte(tc.text))
			if err == nil || c != nil {
				t.Fatalf("got %v, %v", c, err)
			}
			want := "config: " + strings.Join(tc.want, "\nconfig: ")
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if _, ok := errors.AsType[*config.Problem](err); !ok {
				t.Error("the error is not a Problem")
			}
		})
	}
}

func TestPolicyIsRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tratd.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(minimal)
	c, policy, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "policy.yaml"); c.Policy != want || policy != want {
		t.Errorf("policy %q and %q", c.Policy, policy)
	}
	write(strings.Replace(minimal, "policy.yaml", "/etc/tratd/policy.yaml", 1))
	if c, _, err = config.Load(path); err != nil || c.Policy != "/etc/tratd/policy.yaml" {
		t.Errorf("policy %v, %v", c, err)
	}
	write("x: 1\npolicy: p.yaml\n")
	if c, policy, err = config.Load(path); err == nil || c != nil || policy != filepath.Join(dir, "p.yaml") {
		t.Errorf("a bad file: %v, policy %q, %v", c, policy, err)
	}
	write("- x")
	if _, policy, err = config.Load(path); err == nil || policy != "" {
		t.Errorf("a file without keys: policy %q, %v", policy, err)
	}
	if _, _, err = config.Load(filepath.Join(dir, "absent.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	if _, _, err = config.Load(dir); err == nil {
		t.Error("no error for a directory")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add(documented(f))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? {a: b}\n: c"))
	f.Add([]byte("!!binary x: !!timestamp 2001-01-01\n<<: {version: 1}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse(text)
		if (c == nil) == (err == nil) {
			t.Fatalf("configuration %v with error %v", c, err)
		}
		if err != nil {
			if _, ok := errors.AsType[*config.Problem](err); !ok {
				t.Fatalf("%v is not a Problem", err)
			}
			return
		}
		if c.TrustDomain.IsZero() || !c.ID.MemberOf(c.TrustDomain) || c.Listen == "" || c.Issuer == "" || c.Policy == "" {
			t.Fatalf("incomplete: %+v", c)
		}
	})
}
