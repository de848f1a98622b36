package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSVIDWriteLeavesFilesThatTLSCanUse(t *testing.T) {
	r, stop := startDev(t, filepath.Join(t.TempDir(), "s"), "--trust-domain", "shop.test",
		"--identity", "tts", "--dns", "tts=tts.shop.test", "--dns", "tts=token.shop.test", "--identity", "gateway")
	defer stop()
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", r.Identities[0].Socket)
	dir := filepath.Join(t.TempDir(), "svid")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// A key that others could read is replaced, not written into.
	if err := os.WriteFile(filepath.Join(dir, "svid.key"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := execute(t.Context(), []string{"svid", "write", dir, "-o", "json"}, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("exit status %d: %s", code, &stderr)
	}
	var got writtenSVID
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(got.SVID, got.Key)
	if err != nil {
		t.Fatal(err)
	}
	authorities, err := os.ReadFile(got.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authorities) {
		t.Error("the bundle has no certificates")
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "tts.shop.test"}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"tts.shop.test", "token.shop.test"}, pair.Leaf.DNSNames); diff != "" {
		t.Errorf("DNS names (-want +got):\n%s", diff)
	}
	if got.SPIFFEID != "spiffe://shop.test/tts" || !got.Expiry.Equal(pair.Leaf.NotAfter) {
		t.Errorf("printed %+v", got)
	}
	if info, err := os.Stat(got.Key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("files: %v, %v", entries, err)
	}
}

func TestSVIDWriteMakesItsDirectory(t *testing.T) {
	r, stop := startDev(t, filepath.Join(t.TempDir(), "s"), "--trust-domain", "shop.test", "--identity", "gateway")
	defer stop()
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", r.Identities[0].Socket)
	dir := filepath.Join(t.TempDir(), "svid")
	var stdout, stderr bytes.Buffer
	if code := execute(t.Context(), []string{"svid", "write", dir}, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("exit status %d: %s", code, &stderr)
	}
	if !strings.HasPrefix(stdout.String(), "spiffe://shop.test/gateway until ") {
		t.Errorf("printed %q", &stdout)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
}

func TestSVIDWriteWithoutAnswerWritesNothing(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "svid")
	for name, tt := range map[string]struct {
		socket string
		args   []string
		want   int
	}{
		"no Workload API":   {"", []string{dir}, 1},
		"nobody answers":    {"unix://" + parent + "/none.sock", []string{dir, "--timeout", "50ms"}, 1},
		"no directory":      {"", nil, 2},
		"two directories":   {"", []string{dir, dir}, 2},
		"no time":           {"", []string{dir, "--timeout", "0s"}, 2},
		"an unknown format": {"", []string{dir, "-o", "xml"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SPIFFE_ENDPOINT_SOCKET", tt.socket)
			var stdout, stderr bytes.Buffer
			if code := execute(t.Context(), append([]string{"svid", "write"}, tt.args...), strings.NewReader(""), &stdout, &stderr); code != tt.want {
				t.Errorf("exit status %d, want %d: %s", code, tt.want, &stderr)
			}
			if entries, err := os.ReadDir(parent); err != nil || len(entries) != 0 {
				t.Errorf("files: %v, %v", entries, err)
			}
		})
	}
}
