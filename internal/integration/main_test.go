//go:build integration

// Package integration runs the programs of this module together with programs that nobody
// here wrote: SPIRE, OpenID providers, a policy decision point. See README.md.
package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	// root is the top of the repository, seen from this package.
	root = "../.."
	// buildTimeout bounds the build of this module's programs when nothing of it is cached.
	buildTimeout = 10 * time.Minute
)

// Set by TestMain, and left alone then.
var (
	// programs is the directory of this module's programs.
	programs string
	// scratch is a directory whose name is short enough for unix sockets below it.
	scratch string
	// logs is the directory where every process writes its log.
	logs string
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		code = 1
	}
	os.Exit(code)
}

// run is the tests, with what all of them need. The logs are kept when a test has failed,
// and nothing else.
func run(m *testing.M) (code int, err error) {
	// An interrupt ends go test and everything it has started; the tests must get the
	// time to stop their processes.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, killProcesses)

	if scratch, err = os.MkdirTemp("", "trat-it-"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	// SPIRE attests by the path that the kernel reports.
	if scratch, err = filepath.EvalSymlinks(scratch); err != nil {
		return 0, err
	}
	if len(scratch) > 60 {
		return 0, fmt.Errorf("%s is too long a path for unix sockets: set TMPDIR", scratch)
	}
	if logs, err = newLogs(); err != nil {
		return 0, err
	}
	if programs, err = build(ctx, filepath.Join(scratch, "bin")); err != nil {
		return 0, err
	}
	code = m.Run()
	stop()
	if code != 0 {
		fmt.Fprintln(os.Stderr, "integration: the complete logs are in", logs)
		return code, nil
	}
	return 0, errors.Join(goleak.Find(), os.RemoveAll(logs))
}

// newLogs makes the directory for the logs of this run, in the user's cache: it outlives
// the run when that fails.
func newLogs() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "grpc-trat", "integration-logs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(dir, time.Now().UTC().Format("2006-01-02T15.04.05Z-"))
}

// build compiles the programs of this module into dir.
func build(ctx context.Context, dir string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(os.PathSeparator), "./cmd/...", "./examples/shop/...")
	cmd.Dir = root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
}

// component returns the directory of an installed component. One that is not installed
// fails the test, and the message says what to do.
func component(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "internal", "tools", "components", "install.sh"), "path", name)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// shortDir makes a directory whose name is short enough for unix sockets in it, which
// that of t.TempDir is not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "") //nolint:usetesting // that is what it is not
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// write makes a file in dir and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
