//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

// tokenIssuer is the "iss" of the TraTs.
const tokenIssuer = "https://tts.shop.test"

var trustDomain = spiffeid.RequireTrustDomainFromString("shop.test")

// tokenService is a running tratd, in a trust domain of its own.
type tokenService struct {
	process *process
	address string
	sockets map[spiffeid.ID]string
}

// serviceOptions are what differs between the tests' token services.
type serviceOptions struct {
	config    string   // of tratd, without what all have: from subject_tokens on
	policy    string   // complete
	workloads []string // that there are beside it
	spire     *spire   // in which tratd, trat and the workloads are registered; default trat dev
}

// startTokenService runs tratd as a process.
func startTokenService(t *testing.T, o serviceOptions) *tokenService {
	t.Helper()
	s := &tokenService{sockets: make(map[spiffeid.ID]string)}
	identities := slices.Concat(o.workloads, []string{"tts"})
	if o.spire == nil {
		s.startAuthority(t, identities)
	} else {
		for _, name := range identities {
			s.sockets[workload(name)] = o.spire.workloadAPI()
		}
	}
	dir := t.TempDir()
	write(t, dir, "policy.yaml", o.policy)
	path := write(t, dir, "tratd.yaml", `version: 1
listen: 127.0.0.1:0
trust_domain: shop.test
issuer: https://tts.shop.test
spiffe_id: spiffe://shop.test/tts
policy: policy.yaml
`+o.config)
	s.process = start(t, command{
		name: "tratd", program: filepath.Join(programs, "tratd"), args: []string{"-config", path},
		env: []string{"SPIFFE_ENDPOINT_SOCKET=" + s.sockets[workload("tts")]},
	})
	s.address = s.process.waitAddress(t)
	s.process.waitReady(t, s.healthy) // it serves before it signs
	return s
}

// healthy asks the token service whether it is ready, as an operator's probe does.
func (s *tokenService) healthy(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "trat"), "health",
		"--address", s.address, "--server-id", workload("tts").String(), "--service", "trat.v1.TokenService")
	cmd.Env = append(cleanEnviron(), "SPIFFE_ENDPOINT_SOCKET="+s.sockets[workload("tts")])
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// workload returns the SPIFFE ID of a workload of the trust domain.
func workload(name string) spiffeid.ID { return spiffeid.RequireFromSegments(trustDomain, name) }

func (s *tokenService) startAuthority(t *testing.T, identities []string) {
	t.Helper()
	args := []string{"dev", "--trust-domain", trustDomain.Name(), "--dir", filepath.Join(shortDir(t), "wl")}
	for _, name := range identities {
		args = append(args, "--identity", name)
	}
	p := start(t, command{name: "trat-dev", program: filepath.Join(programs, "trat"), args: args})
	var answer struct {
		Identities []struct {
			SPIFFEID spiffeid.ID `json:"spiffe_id"`
			Socket   string      `json:"socket"`
		} `json:"identities"`
	}
	line := p.waitLine(t, func(line string) bool { return strings.HasPrefix(line, `{"trust_domain"`) })
	if err := json.Unmarshal([]byte(line), &answer); err != nil {
		t.Fatal(err)
	}
	for _, id := range answer.Identities {
		s.sockets[id.SPIFFEID] = id.Socket
	}
}

// waitAddress waits until a program of ours, or a script of the tests, logs where it
// serves.
func (p *process) waitAddress(t *testing.T) string {
	t.Helper()
	var record struct {
		Address string `json:"address"`
	}
	p.waitLine(t, func(line string) bool {
		return json.Unmarshal([]byte(line), &record) == nil && record.Address != ""
	})
	return record.Address
}

// client is a client of the token service, as a workload, over SPIFFE mutual TLS.
func (s *tokenService) client(t *testing.T, name string) *client.Client {
	t.Helper()
	source, err := spiffecreds.NewSource(t.Context(), spiffecreds.WithAddress(s.sockets[workload(name)]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	c, err := client.New(client.Config{
		Target: s.address, Issuer: tokenIssuer, ServerID: workload("tts"), TrustDomain: trustDomain,
		SVIDs: source, Bundles: source,
	}, client.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// wantIssued checks that a token was issued for the subject, and for the scope.
func wantIssued(t *testing.T, token *trat.Token, err error, subject, scope string) {
	t.Helper()
	if err != nil {
		t.Errorf("not issued: %v", err)
		return
	}
	if token.Subject() != subject || token.Scope().String() != scope {
		t.Errorf("issued for %q, scope %q; want %q, %q", token.Subject(), token.Scope(), subject, scope)
	}
}

// wantRefused checks that no token was issued, and why.
func wantRefused(t *testing.T, err error, reason trat.Reason) {
	t.Helper()
	if got, _ := trat.ReasonOf(err); got != reason {
		t.Errorf("got %q (%v), want %q", got, err, reason)
	}
}
