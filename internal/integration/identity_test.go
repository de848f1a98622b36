//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A token service is what its program's path is registered as. As anybody else it does not
// start, and without a registration there is no SVID.
func TestTokenServiceStartsOnlyAsItself(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	mallory, stranger := copyProgram(t, dir, "tratd", "mallory"), copyProgram(t, dir, "tratd", "stranger")
	s := startSPIRE(t, trustDomain.Name(), time.Minute, registration{"mallory", mallory})
	write(t, dir, "policy.yaml", orderPolicy)
	config := write(t, dir, "tratd.yaml", `version: 1
listen: 127.0.0.1:0
trust_domain: shop.test
issuer: https://tts.shop.test
spiffe_id: spiffe://shop.test/tts
policy: policy.yaml
subject_tokens:
  issuers:
    - {issuer: "https://login.shop.test", prefix: login, audience: "https://api.shop.test"}
`)
	for _, tt := range []struct{ name, program, says string }{
		{"registered as somebody else", mallory, "spiffe://shop.test/mallory"},
		{"not registered", stranger, "no identity issued"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startToEnd(t, startTimeout, command{
				name: "tratd", program: tt.program, args: []string{"-config", config},
				env: []string{"SPIFFE_ENDPOINT_SOCKET=" + s.workloadAPI()},
			})
			if code := p.cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("exit status %d, want 1", code)
			}
			if !strings.Contains(p.log.text(), tt.says) {
				t.Errorf("the log does not say %q", tt.says)
			}
		})
	}
}

// copyProgram makes another program of one of ours, by its path.
func copyProgram(t *testing.T, dir, name, other string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(programs, name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, other)
	if err := os.WriteFile(path, text, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
