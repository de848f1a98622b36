//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// spire is one trust domain: a server and an agent on this node.
type spire struct {
	trustDomain  string
	dir          string
	bin          string
	serverSocket string
	agentSocket  string
}

// registration is one program's identity. Several programs, or several identities of one,
// are several registrations.
type registration struct {
	name    string // last segment of the SPIFFE ID
	program string // path
}

// startSPIRE runs a server and an agent that attests the registered programs by path and
// user, as docs/operations.md says. The lifetime is that of SVIDs, in whole seconds; SPIRE
// dates X.509-SVIDs ten seconds back and renews them at half of it all.
func startSPIRE(t *testing.T, trustDomain string, lifetime time.Duration, programs ...registration) *spire {
	t.Helper()
	dir := shortDir(t)
	s := &spire{
		trustDomain: trustDomain, dir: dir, bin: component(t, "spire"),
		serverSocket: filepath.Join(dir, "server.sock"),
		agentSocket:  filepath.Join(dir, "agent.sock"),
	}
	port := freePort(t)
	s.startServer(t, port)
	write(t, dir, "bundle.pem", s.server(t, "bundle", "show"))
	seconds := fmt.Sprint(lifetime.Seconds())
	for _, p := range programs {
		s.server(t, "entry", "create", "-parentID", s.id("node/1"),
			"-spiffeID", s.id(p.name), "-x509SVIDTTL", seconds, "-jwtSVIDTTL", seconds,
			"-selector", "unix:path:"+p.program, "-selector", fmt.Sprint("unix:uid:", os.Getuid()))
	}
	s.startAgent(t, port)
	return s
}

func (s *spire) id(path string) string { return "spiffe://" + s.trustDomain + "/" + path }

// workloadAPI is the address of the agent's Workload API.
func (s *spire) workloadAPI() string { return "unix://" + s.agentSocket }

func (s *spire) startServer(t *testing.T, port string) {
	t.Helper()
	config := write(t, s.dir, "server.conf", fmt.Sprintf(`
server {
  bind_address = "127.0.0.1"
  bind_port = %q
  socket_path = %q
  trust_domain = %q
  data_dir = %q
  log_level = "INFO"
  ca_key_type = "ec-p256"
  # A test cannot wait the five seconds that new entries take by default.
  experimental { cache_reload_interval = "500ms" }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = %q } }
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
}
`, port, s.serverSocket, s.trustDomain, s.dir, filepath.Join(s.dir, "datastore.sqlite3")))
	p := start(t, command{
		name: "spire-server-" + s.trustDomain, program: filepath.Join(s.bin, "spire-server"),
		args: []string{"run", "-config", config},
	})
	p.waitReady(t, s.healthy("spire-server", s.serverSocket))
}

func (s *spire) startAgent(t *testing.T, port string) {
	t.Helper()
	var token struct {
		Value string `json:"value"`
	}
	answer := s.server(t, "token", "generate", "-spiffeID", s.id("node/1"), "-output", "json")
	if err := json.Unmarshal([]byte(answer), &token); err != nil || token.Value == "" {
		t.Fatalf("join token: %v", err)
	}
	config := write(t, s.dir, "agent.conf", fmt.Sprintf(`
agent {
  data_dir = %q
  log_level = "INFO"
  server_address = "127.0.0.1"
  server_port = %q
  socket_path = %q
  trust_bundle_path = %q
  trust_domain = %q
  experimental { sync_interval = "1s" }
}
plugins {
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }
}
`, s.dir, port, s.agentSocket, filepath.Join(s.dir, "bundle.pem"), s.trustDomain))
	p := start(t, command{
		name: "spire-agent-" + s.trustDomain, program: filepath.Join(s.bin, "spire-agent"),
		args: []string{"run", "-config", config, "-joinToken", token.Value},
	})
	p.waitReady(t, s.healthy("spire-agent", s.agentSocket))
}

// healthy asks a SPIRE program over its socket whether it is ready.
func (s *spire) healthy(program, socket string) func(context.Context) error {
	return func(ctx context.Context) error {
		if _, err := os.Stat(socket); err != nil {
			return err
		}
		out, err := exec.CommandContext(ctx, filepath.Join(s.bin, program), "healthcheck", "-socketPath", socket).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
}

// server runs a command of the server's command line and returns what it prints.
func (s *spire) server(t *testing.T, args ...string) string {
	t.Helper()
	args = append(args, "-socketPath", s.serverSocket)
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.bin, "spire-server"), args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("spire-server %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}
