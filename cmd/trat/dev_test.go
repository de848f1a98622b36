package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.uber.org/goleak"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startDev runs `trat dev` and returns its readiness line and a function that stops
// it and returns the exit status.
func startDev(t *testing.T, dir string, args ...string) (ready, func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	var log bytes.Buffer
	status := make(chan int, 1)
	go func() {
		code := execute(ctx, append([]string{"dev", "--dir", dir}, args...), strings.NewReader(""), in, &log)
		_ = in.Close() // wakes a reader that still waits for the line
		status <- code
	}()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		cancel()
		t.Fatalf("no readiness line: %v; exit status %d, log:\n%s", err, <-status, &log)
	}
	var r ready
	if err := json.Unmarshal(line, &r); err != nil {
		t.Errorf("readiness line %q: %v", line, err)
	}
	return r, func() int {
		cancel()
		code := <-status
		if !strings.Contains(log.String(), "FOR DEVELOPMENT ONLY") {
			t.Errorf("no warning in the log:\n%s", &log)
		}
		return code
	}
}

func TestDevServesOneWorkloadAPISocketPerIdentity(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sockets")
	r, stop := startDev(t, dir, "--trust-domain", "shop.test",
		"--identity", "gateway", "--identity", "orders=/ns/shop/orders")

	want := ready{TrustDomain: "shop.test", Identities: []identity{
		{"gateway", spiffeid.RequireFromString("spiffe://shop.test/gateway"), "unix://" + dir + "/gateway.sock"},
		{"orders", spiffeid.RequireFromString("spiffe://shop.test/ns/shop/orders"), "unix://" + dir + "/orders.sock"},
	}}
	if diff := cmp.Diff(want, r, cmp.AllowUnexported(spiffeid.ID{})); diff != "" {
		t.Errorf("readiness (-want +got):\n%s", diff)
	}
	for _, id := range r.Identities {
		source, err := spiffecreds.NewSource(t.Context(), spiffecreds.WithAddress(id.Socket))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := source.ID(); err != nil || got != id.SPIFFEID {
			t.Errorf("socket of %s gives %s, %v", id.Name, got, err)
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("socket directory: %v, %v", info.Mode(), err)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit status %d after an interrupt, want 0", code)
	}
	if _, err := os.Stat(filepath.Join(dir, "gateway.sock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("socket after the end: %v", err)
	}
}

func TestTheLeastSVIDLifetimeIsTheAuthoritys(t *testing.T) {
	for lifetime, ok := range map[time.Duration]bool{minSVIDLifetime: true, minSVIDLifetime - 1: false} {
		authority, err := devauthority.New(spiffeid.RequireTrustDomainFromString("shop.test"), devauthority.WithSVIDLifetime(lifetime))
		if (err == nil) != ok {
			t.Errorf("%s: %v", lifetime, err)
		}
		if err == nil {
			_ = authority.Close()
		}
	}
}

func TestDevReportsEveryWrongFlagAtOnce(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), []string{
		"dev", "--trust-domain", "shop.example", "--svid-lifetime", "1ms",
		"--identity", "a/b", "--identity", "a=b", "--identity", "ok", "--identity", "ok=/other",
		"--dns", "ok", "--dns", "absent=a.test", "--dns", "ok=a.example", "--dns", "ok=*.test",
	}, strings.NewReader(""), &stdout, &stderr)
	if code != 2 {
		t.Errorf("exit status %d, want 2", code)
	}
	for _, want := range []string{
		`must end in ".test"`, "--svid-lifetime must be at least 2s", "--dir is required", `"a/b": the name must be`, `"a=b"`, `"ok=/other": the name is used twice`,
		`--dns "ok": want NAME=HOST`, `there is no --identity "absent"`, `"a.example" does not end in ".test"`, `"*.test" is not a host name`,
	} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("no %q in:\n%s", want, &stderr)
		}
	}
	if stdout.Len() > 0 {
		t.Errorf("printed %q", &stdout)
	}
}

func TestDevRefusesADirectoryThatOthersCanEnter(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), []string{"dev", "--trust-domain", "shop.test", "--dir", dir, "--identity", "a"}, strings.NewReader(""), &stdout, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "0755") {
		t.Errorf("exit status %d, log:\n%s", code, &stderr)
	}
	if stdout.Len() > 0 {
		t.Errorf("printed %q", &stdout)
	}
}

func TestWrongUseIsTwoAndHelpIsZero(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want int
		out  string
	}{
		{[]string{}, 0, "dev"},
		{[]string{"dev", "--help"}, 0, "FOR DEVELOPMENT ONLY"},
		{[]string{"version"}, 0, "trat "},
		{[]string{"nonsense"}, 2, ""},
		{[]string{"dev", "nonsense"}, 2, ""},
		{[]string{"dev", "--nonsense"}, 2, ""},
		{[]string{"dev"}, 2, ""},
	} {
		var stdout, stderr bytes.Buffer
		if got := execute(t.Context(), tt.args, strings.NewReader(""), &stdout, &stderr); got != tt.want {
			t.Errorf("%q: exit status %d, want %d: %s", tt.args, got, tt.want, &stderr)
		}
		if !strings.Contains(stdout.String(), tt.out) {
			t.Errorf("%q printed %q, want %q in it", tt.args, &stdout, tt.out)
		}
	}
}
