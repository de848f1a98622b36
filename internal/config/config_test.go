package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"go/parser"
	"go/token"
	"log/slog"
	"slices"
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
		Policy:      "policy.yaml", PolicyReload: 5 * time.Second,
		Audit: config.Audit{File: "-", MaxSize: 256 << 20, PseudonymPeriod: 24 * time.Hour},
		Limits: config.Limits{
			MaxConnections: 256, MaxStreams: 256, MaxWatchers: 4096, RequestsPerSecond: 1000, Burst: 2000, MaxExchanges: 1024,
			ShutdownTimeout: 10 * time.Second,
		},
		Log: config.Log{Level: slog.LevelInfo, JSON: true},
	}
}

// pseudonymKey is what pseudonym.key holds.
const pseudonymKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// secrets stands for the files with secrets.
func secrets(path string) ([]byte, error) {
	switch path {
	case "login.key":
		return keyPEM, nil
	case "login.secret", "pdp.token":
		return []byte("s3cret-of-" + path), nil
	case "pseudonym.key", "chain.key":
		return []byte(pseudonymKey), nil
	case "pdp-ca.pem":
		return caPEM, nil
	case "key and ca":
		return slices.Concat(caPEM, keyPEM), nil
	case "shop.binpb":
		return shopSet()
	case "empty":
		return []byte("\n"), nil
	case "words":
		return []byte("two words"), nil
	}
	return nil, errors.New("no such file")
}

func TestMinimalConfigurationAcceptsNoSubjectTokens(t *testing.T) {
	got, err := config.Parse([]byte(minimal), secrets)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(minimalConfig(), got, ids...); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if accepted := got.SubjectTokens(); len(accepted) > 0 {
		t.Errorf("accepts %v", accepted)
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
	got, err := config.Parse(documented(t), secrets)
	if err != nil {
		t.Fatal(err)
	}
	want := minimalConfig()
	want.Listen = "127.0.0.1:8443"
	want.Issuers = []subject.IssuerConfig{{
		Issuer: "https://login.shop.test", Prefix: "login", Audience: "https://shop.test", ClientID: "shop-web",
		JWTAudience: "https://shop.test/jobs", JWTTypes: []string{"job+jwt"},
		Introspection: &subject.IntrospectionConfig{
			Endpoint: "https://login.shop.test/introspect", ClientID: "tratd", KeyID: "tratd-1", Timeout: time.Second,
			CacheTTL: 10 * time.Second, Requesters: []string{"spiffe://shop.test/gateway"},
		},
		Algorithms: []trat.Algorithm{trat.ES256, trat.RS256}, Skew: 30 * time.Second,
	}}
	want.SelfSigned = &config.SelfSigned{ReplayLimit: 100_000}
	want.HTTP = &config.HTTP{Listen: "127.0.0.1:8444", BaseURL: "https://tts.shop.test"}
	want.AccessEvaluation = []config.PDP{{
		Name: "pdp", URL: "https://pdp.shop.test/access/v1/evaluation", Timeout: 500 * time.Millisecond, BearerTokenFile: "pdp.token",
		CAs: x509.NewCertPool(),
	}}
	want.AccessEvaluation[0].CAs.AppendCertsFromPEM(caPEM)
	want.Audit.File = "audit.log"
	want.Audit.ChainKey, want.Audit.PseudonymKey = new(config.Key), new(config.Key)
	for i := range want.Audit.ChainKey {
		want.Audit.ChainKey[i], want.Audit.PseudonymKey[i] = byte(i), byte(i)
	}
	if key, ok := got.Issuers[0].Introspection.PrivateKey.(*ecdsa.PrivateKey); !ok || key.Curve != elliptic.P256() {
		t.Error("the private key is not that of its file")
	}
	got.Issuers[0].Introspection.PrivateKey = nil
	if len(got.Descriptors) != 1 {
		t.Fatalf("%d descriptor sets, want 1", len(got.Descriptors))
	}
	if _, err := got.Descriptors[0].FindDescriptorByName("shop.v1.OrdersService"); err != nil {
		t.Errorf("the descriptor set has no service: %v", err)
	}
	got.Descriptors = nil
	if diff := cmp.Diff(want, got, ids...); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	login := []string{"https://login.shop.test"}
	accepted := map[string][]string{
		trat.TokenTypeAccessToken: login, trat.TokenTypeIDToken: login, trat.TokenTypeJWT: login, trat.TokenTypeSelfSigned: nil,
	}
	if diff := cmp.Diff(accepted, got.SubjectTokens()); diff != "" {
		t.Errorf("subject tokens (-want +got):\n%s", diff)
	}
}

func TestEveryProblemNamesLineAndKey(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"empty":                            {"", []string{"the file is empty"}},
		"only comments":                    {"# nothing\n", []string{"the file is empty"}},
		"not YAML":                         {"a: [", []string{"line 1: did not find expected node content"}},
		"a list":                           {"- a", []string{"line 1: want keys and values, not a list"}},
		"two documents":                    {minimal + "---\nversion: 1\n", []string{"more than one document"}},
		"too long":                         {minimal + "#" + strings.Repeat("x", config.MaxSize), []string{"longer than 65536 bytes"}},
		"descriptor sets that are no list": {minimal + "descriptors: shop.binpb", []string{"line 8: descriptors: want a list, not text"}},
		"no descriptor sets":               {minimal + "descriptors: []", []string{"line 8: descriptors: is empty"}},
		"bad descriptor sets": {minimal + "descriptors: [absent.binpb, '', shop.binpb, words, shop.binpb, 1]", []string{
			"line 8: descriptors[1]: is empty", "line 8: descriptors[5]: want text, not a number",
			"line 8: descriptors[0]: no such file",
			"line 8: descriptors[3]: words: this is no descriptor set; make one with buf build -o FILE, " +
				"or with protoc --include_imports --include_source_info --descriptor_set_out=FILE",
			"line 8: descriptors[4]: shop.binpb is there twice",
		}},
		"too many descriptor sets": {minimal + "descriptors: [" + strings.Repeat("x, ", 17) + "]", []string{"line 8: descriptors: want at most 16"}},
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
		"no such use of JWT-SVIDs": {minimal + "subject_tokens: {self_signed: {replay_store: memory, jwt_svid: twice}}", []string{
			"line 8: subject_tokens.self_signed.jwt_svid: want off, once or reusable",
		}},
		"a use of JWT-SVIDs that is no word": {minimal + "subject_tokens: {self_signed: {replay_store: memory, jwt_svid: true}}", []string{
			"line 8: subject_tokens.self_signed.jwt_svid: want text, not true or false",
		}},
		"no such store": {minimal + "subject_tokens: {self_signed: {replay_store: redis, replay_limit: 0}}", []string{"line 8: subject_tokens.self_signed.replay_store: want memory, the only one there is", "line 8: subject_tokens.self_signed.replay_limit: want 1 to 10000000"}},
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
			`line 14: subject_tokens.issuers[0].algorithms: is empty; leave it away for the default`,
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
			`line 14: subject_tokens.issuers[1].audience: is required for access tokens, as the client ID is for ID tokens and another audience for other JWTs: with none of them, every token would be refused`,
			`line 14: subject_tokens.issuers[1].prefix: "login" is that of another issuer`,
		}},
		"introspection": {minimal + `
subject_tokens:
  issuers:
    - issuer: https://a.test
      prefix: a
      audience: https://shop.test
      introspection: {client_id: "", client_secret_file: absent, timeout: 0s, cache: 2h, requesters: []}
    - issuer: https://b.test
      prefix: b
      client_id: c
      introspection: {client_id: c, private_key_file: login.secret, client_secret_file: login.secret, cache: -1ns, opaque: false}
    - issuer: https://c.test
      prefix: c
      audience: https://shop.test
      introspection: {client_id: c, endpoint: http://c.test/, timeout: 1h}
`, []string{
			"line 14: subject_tokens.issuers[0].introspection.client_id: is empty",
			"line 14: subject_tokens.issuers[0].introspection.timeout: want more than 0s; leave it away for 1s",
			"line 14: subject_tokens.issuers[0].introspection.client_secret_file: no such file",
			"line 18: subject_tokens.issuers[1].introspection.cache: is negative",
			"line 18: subject_tokens.issuers[1].introspection.client_secret_file: is there beside private_key_file: one of them authenticates",
			"line 18: subject_tokens.issuers[1].introspection.private_key_file: want one private key in PEM: P-256, Ed25519, or RSA of 2048 to 4096 bits",
			"line 22: subject_tokens.issuers[2].introspection.private_key_file: is required, or else client_secret_file",
			"line 14: subject_tokens.issuers[0].introspection.cache: want 0 to 1m0s",
			"line 14: subject_tokens.issuers[0].introspection.requesters: are required, unless all workloads are meant",
			"line 15: subject_tokens.issuers[1].audience: is required for access tokens, which introspection is about",
			"line 18: subject_tokens.issuers[1].introspection.jwts: must be true where opaque tokens are refused: otherwise the issuer is asked about nothing",
			"line 22: subject_tokens.issuers[2].introspection.endpoint: is not https",
			"line 22: subject_tokens.issuers[2].introspection.timeout: want 0 to 5s",
			"line 22: subject_tokens.issuers[2].introspection.requesters: are required where several issuers have opaque tokens",
		}},
		"HTTP endpoint": {minimal + "http: {base_url: 'https://tts.shop.test/?x'}", []string{
			"line 8: http.listen: is required",
			"line 8: http.base_url: want an https URL without user, query and fragment",
		}},
		"one address for both": {strings.Replace(minimal, ":0", ":8443", 1) + "http: {listen: '127.0.0.1:8443'}", []string{
			"line 8: http.listen: is that of the gRPC service: each needs an address of its own",
		}},
		"PDPs": {minimal + `
access_evaluation:
  - name: a b
    url: http://pdp.shop.test
    timeout: 0s
    bearer_token_file: absent
  - name: pdp
    url: http://localhost:8181/access/v1/evaluation
    bearer_token_file: words
  - name: pdp
    url: https://user@pdp.shop.test/
`, []string{
			"line 10: access_evaluation[0].name: want at most 64 letters, digits, '.', '_' and '-'",
			"line 11: access_evaluation[0].url: is not https",
			"line 12: access_evaluation[0].timeout: want 1ms to 1m0s",
			"line 13: access_evaluation[0].bearer_token_file: no such file",
			"line 14: access_evaluation[1].insecure_loopback_http: must be true for a PDP that is plain http on this host",
			"line 16: access_evaluation[1].bearer_token_file: words holds more than one word of visible ASCII",
			`line 17: access_evaluation[2].name: "pdp" is that of another`,
			"line 18: access_evaluation[2].url: has a user or a password",
		}},
		"certificates of PDPs": {minimal + `
access_evaluation:
  - {name: a, url: 'https://a.test/', ca_file: words}
  - {name: b, url: 'https://b.test/', ca_file: empty}
  - {name: c, url: 'https://c.test/', ca_file: key and ca}
  - {name: d, url: 'http://localhost/', ca_file: pdp-ca.pem, insecure_loopback_http: true}
  - {name: e, url: 'http://localhost/', svid: true, insecure_loopback_http: true}
`, []string{
			"line 10: access_evaluation[0].ca_file: want certificates in PEM, and nothing else",
			"line 11: access_evaluation[1].ca_file: want certificates in PEM, and nothing else",
			"line 12: access_evaluation[2].ca_file: want certificates in PEM, and nothing else",
			"line 13: access_evaluation[3].ca_file: is for https: plain http has no certificate",
			"line 14: access_evaluation[4].svid: is for https: plain http takes no certificate",
		}},
		"an empty list of PDPs": {minimal + "access_evaluation: []", []string{"line 8: access_evaluation: is empty"}},
		"audit": {minimal + "audit: {file: '', pseudonym_key_file: login.secret, pseudonym_period: 1s}", []string{
			"line 8: audit.file: is empty",
			"line 8: audit.pseudonym_period: want 1h0m0s to 8784h0m0s",
			"line 8: audit.pseudonym_key_file: want 64 hexadecimal digits (openssl rand -hex 32)",
		}},
		"a chain that is not there": {minimal + "audit: {chain_key_file: chain.key}", []string{
			"line 8: audit.chain_key_file: is for a file: records on standard error are neither chained nor kept",
		}},
		"how a file is kept": {minimal + "audit: {file: audit.log, sync: sometimes, max_size: 1}", []string{
			"line 8: audit.sync: want periodic, record or never",
			"line 8: audit.max_size: want 65536 to 1099511627776",
		}},
		"how no file is kept": {minimal + "audit: {sync: record, max_size: 1000000}", []string{
			"line 8: audit.sync: is for a file: records on standard error are neither chained nor kept",
			"line 8: audit.max_size: is for a file: records on standard error are neither chained nor kept",
		}},
		"reload and rates": {minimal + "policy_reload: 0s\nlimits: {requests_per_second: .nan, burst: 0, max_exchanges: 1000001}", []string{
			"line 8: policy_reload: want 1s to 1h0m0s",
			"line 9: limits.burst: want 1 to 1000000",
			"line 9: limits.max_exchanges: want 1 to 1000000",
			"line 9: limits.requests_per_second: want more than 0, at most 1000000",
		}},
		"a rate of another type": {minimal + "limits: {requests_per_second: many}", []string{
			"line 8: limits.requests_per_second: want a number, not text",
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
			c, err := config.Parse([]byte(tc.text), secrets)
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

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add(documented(f))
	f.Add([]byte(minimal + "http: {listen: 'x:1'}\naccess_evaluation: [{name: a, url: 'http://localhost'}]\naudit: {otlp: true}\nlimits: {burst: 1}"))
	f.Add([]byte(minimal + "descriptors: [shop.binpb, words]"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? {a: b}\n: c"))
	f.Add([]byte("!!binary x: !!timestamp 2001-01-01\n<<: {version: 1}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse(text, secrets)
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

func TestHowOftenAJWTSVIDIsAcceptedIsAChoice(t *testing.T) {
	for text, want := range map[string]subject.JWTSVIDUse{
		"":                     0,
		", jwt_svid: off":      0,
		", jwt_svid: once":     subject.OneUse,
		", jwt_svid: reusable": subject.Reusable,
	} {
		c, err := config.Parse([]byte(minimal+"subject_tokens: {self_signed: {replay_store: memory"+text+"}}"), nil)
		if err != nil || c.SelfSigned.JWTSVID != want {
			t.Errorf("%q: %v, %v, want %d", text, c, err, want)
		}
	}
}
