package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.uber.org/goleak"
	"google.golang.org/grpc/credentials"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	trustDomain = spiffeid.RequireTrustDomainFromString("shop.test")
	tts         = spiffeid.RequireFromString("spiffe://shop.test/tts")
	gateway     = spiffeid.RequireFromString("spiffe://shop.test/gateway")
)

const policyText = selfSignedPolicy + `  - name: gateway-orders
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:access_token]
    scopes: {orders:write: [order.create]}
    tctx: {order_id: details.order_id}
`

const selfSignedPolicy = `
version: 1
details: {order_id: any}
rules:
  - name: gateway-night
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:self_signed]
    grants: [stock.count]
`

// noRules goes with withoutSubjectTokens.
const noRules = "version: 1\nrules: []\n"

const configText = `
version: 1
listen: 127.0.0.1:0
trust_domain: shop.test
issuer: https://tts.shop.test
spiffe_id: spiffe://shop.test/tts
policy: policy.yaml
subject_tokens:
  issuers:
    - issuer: ISSUER
      prefix: login
      audience: https://shop.test
      insecure_loopback_http: true
  self_signed: {replay_store: memory}
log: {level: debug}
`

// withoutSubjectTokens is configText up to the subject tokens.
func withoutSubjectTokens() string {
	text, _, _ := strings.Cut(configText, "subject_tokens:")
	return text
}

// writeFiles writes the configuration and the policy and returns the path of the first.
func writeFiles(t *testing.T, configuration, policy string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"tratd.yaml": configuration, "policy.yaml": policy} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "tratd.yaml")
}

// logs is standard error: it can be waited for a record.
type logs struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newLogs() *logs { return &logs{changed: make(chan struct{})} }

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// records returns those with the given message.
func (l *logs) records(message string) (found []map[string]any) {
	for line := range strings.Lines(l.String()) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) == nil && record["msg"] == message {
			found = append(found, record)
		}
	}
	return found
}

// wait waits for the first record with the given message.
func (l *logs) wait(ctx context.Context, t *testing.T, message string) map[string]any {
	t.Helper()
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if found := l.records(message); len(found) > 0 {
			return found[0]
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no record %q in\n%s", message, l)
		}
	}
}

// newAuthority serves the Workload API to tratd as workload id and sets the
// environment of tratd to it.
func newAuthority(t *testing.T, id spiffeid.ID) *devauthority.Authority {
	t.Helper()
	authority, err := devauthority.New(trustDomain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := authority.Close(); err != nil {
			t.Error(err)
		}
	})
	address, err := authority.Listen(filepath.Join(t.TempDir(), "w"), "tts", id)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", address)
	return authority
}

// oidcIssuer is an issuer of access tokens.
type oidcIssuer struct {
	url string
	key *ecdsa.PrivateKey
}

func newOIDCIssuer(t *testing.T) *oidcIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := &oidcIssuer{key: key}
	mux := http.NewServeMux()
	answer := func(path string, body func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(body()); err != nil {
				t.Error(err)
			}
		})
	}
	answer("/.well-known/openid-configuration", func() any {
		return map[string]any{"issuer": issuer.url, "jwks_uri": issuer.url + "/jwks"}
	})
	answer("/jwks", func() any {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	issuer.url = server.URL
	return issuer
}

// token returns alice's access token with the given scope.
func (i *oidcIssuer) token(t *testing.T, scope string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "1"}},
		(&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	payload, err := json.Marshal(map[string]any{
		"iss": i.url, "sub": "alice", "aud": "https://shop.test", "client_id": "web", "jti": rand.Text(),
		"iat": now, "exp": now + 300, "scope": scope,
	})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// started is a tratd that runs in this process.
type started struct {
	address string
	logs    *logs
	stop    context.CancelFunc
	done    chan error
}

func start(ctx context.Context, t *testing.T, path string) *started {
	t.Helper()
	s := &started{logs: newLogs(), done: make(chan error, 1)}
	ctx, s.stop = context.WithCancel(ctx)
	t.Cleanup(s.stop)
	go func() { s.done <- run(ctx, []string{"-config", path}, s.logs, s.logs) }()
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-s.done:
			cancel(err)
			s.done <- err
		case <-waiting.Done():
		}
	}()
	s.address, _ = s.logs.wait(waiting, t, "serving")["address"].(string)
	return s
}

// credentialsOf are those that workload id dials tratd with.
func credentialsOf(t *testing.T, authority *devauthority.Authority, id spiffeid.ID) (source *devauthority.Source, creds credentials.TransportCredentials) {
	t.Helper()
	source = authority.Source(id)
	creds, err := spiffecreds.NewClient(source, source, spiffeid.MatchID(tts))
	if err != nil {
		t.Fatal(err)
	}
	return source, creds
}
