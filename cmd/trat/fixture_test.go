package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
)

const (
	shopTTS    = "spiffe://shop.test/tts"
	shopIssuer = "https://tts.shop.test"
)

var shop = spiffeid.RequireTrustDomainFromString("shop.test")

// outcome is what a command line came to.
type outcome struct {
	status         int
	stdout, stderr string
}

// trat runs one command line with the given standard input.
func runTrat(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := execute(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{status, stdout.String(), stderr.String()}
}

// decode reads what was printed as JSON.
func (o outcome) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(o.stdout), v); err != nil {
		t.Errorf("not JSON: %v\n%s", err, o.stdout)
	}
}

// want complains unless o is as wanted.
func (o outcome) want(t *testing.T, status int, stdout, stderr string) {
	t.Helper()
	if o.status != status {
		t.Errorf("exit status %d, want %d", o.status, status)
	}
	if !strings.Contains(o.stdout, stdout) {
		t.Errorf("printed, want %q in it:\n%s", stdout, o.stdout)
	}
	if !strings.Contains(o.stderr, stderr) {
		t.Errorf("standard error, want %q in it:\n%s", stderr, o.stderr)
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", o.stdout, o.stderr)
	}
}

// writeFile writes a file of the given name and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newAuthority makes this process the workload of the given name, and returns the authority.
func newAuthority(t *testing.T, name string) *devauthority.Authority {
	t.Helper()
	authority, err := devauthority.New(shop)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = authority.Close() })
	socket, err := authority.Listen(filepath.Join(t.TempDir(), "w"), name, spiffeid.RequireFromPath(shop, "/"+name))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", socket)
	return authority
}

// serve serves what register adds as shopTTS, and returns the address.
func serve(t *testing.T, authority *devauthority.Authority, register func(*grpc.Server)) string {
	t.Helper()
	source := authority.Source(spiffeid.RequireFromString(shopTTS))
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(shop), spiffecreds.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.Creds(creds))
	register(g)
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Serve(listener) })
	t.Cleanup(func() { g.Stop(); wg.Wait() })
	return listener.Addr().String()
}

// night lets spiffe://shop.test/gateway vouch for subjects, for two purposes, and narrow
// its tokens to one. Paying needs an amount.
const night = `
version: 1
details: {amount_cents: int}
rules:
  - name: gateway-pays
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:self_signed]
    grants: [stock.pay]
    tctx: {amount_cents: details.amount_cents}
  - name: gateway-night
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:self_signed]
    grants: [stock.count, stock.write]
  - name: gateway-narrows
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    replacement: {scopes: [stock.count], max_visits: 2}
`

// tokenService is a real one.
type tokenService struct {
	address string
	ring    *keys.Ring
}

// flags are those that name the token service.
func (s tokenService) flags(more ...string) []string {
	return append([]string{"--address", s.address, "--server-id", shopTTS, "--issuer", shopIssuer}, more...)
}

// serveTokens runs a token service that takes self-signed subject tokens, and makes this
// process spiffe://shop.test/gateway.
func serveTokens(t *testing.T) tokenService {
	t.Helper()
	authority := newAuthority(t, "gateway")
	decided, err := policy.Parse([]byte(night))
	if err != nil {
		t.Fatal(err)
	}
	store, err := replay.NewMemory(100, nil)
	if err != nil {
		t.Fatal(err)
	}
	selfSigned, err := subject.NewSelfSigned(shopIssuer, store)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.New(keys.Config{Lead: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	own, err := trat.NewVerifier(shop.Name(), shopIssuer, ring)
	if err != nil {
		t.Fatal(err)
	}
	replaced, err := subject.NewTransactionToken(own)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := subject.NewRegistry(selfSigned, replaced)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	tokens, err := server.New(server.Config{
		TrustDomain: shop, Issuer: shopIssuer, Keys: ring, Policy: func() *policy.Policy { return decided },
		Subjects: registry, Bundles: authority.Source(spiffeid.RequireFromString(shopTTS)),
		Auditor: auditlog.NewLog(slog.New(slog.NewTextHandler(new(bytes.Buffer), nil))), Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	return tokenService{serve(t, authority, func(g *grpc.Server) { tokens.Register(g) }), ring}
}
