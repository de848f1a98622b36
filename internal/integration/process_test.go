//go:build integration

package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startTimeout bounds the start of one process, on a machine that is busy.
	startTimeout = time.Minute
	// stopTimeout is how long a process may take to end when it is told to.
	stopTimeout = 15 * time.Second
	// pollInterval is how often something is asked that cannot say by itself when it is
	// ready.
	pollInterval = 50 * time.Millisecond
	// shownLog is how much of a log is printed when a test has failed; all of it is kept.
	shownLog = 8 << 10
)

// process is a program that runs until the end of the test.
type process struct {
	name   string
	cmd    *exec.Cmd
	log    *processLog
	status int           // after SIGTERM
	done   chan struct{} // closed when the process has ended
	err    error         // how it ended; read after done

	mayEnd bool // before the end of the test
}

// command says what to start.
type command struct {
	name    string // in messages, and of the log file
	program string // path
	args    []string
	env     []string
	dir     string // default: that of the tests
	// status is the exit status after SIGTERM; other people's programs have habits of
	// their own.
	status int
}

// start runs a program until the end of the test, which must be able to stop it in order:
// it fails when the program ends by itself, or badly. Its log is shown when the test has
// failed.
func start(t *testing.T, c command) *process {
	t.Helper()
	p := &process{name: c.name, status: c.status, done: make(chan struct{}), log: newProcessLog(t, c.name)}
	// Not bound to the test's context: it is stopped in order.
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), c.program, c.args...)
	p.cmd.Env = append(cleanEnviron(), c.env...)
	p.cmd.Dir = c.dir
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = childAttributes()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", c.name, err)
	}
	running.Store(p.cmd.Process.Pid, true)
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
		killGroup(p.cmd.Process.Pid) // what it has left behind
		running.Delete(p.cmd.Process.Pid)
	}()
	t.Cleanup(func() {
		if !p.mayEnd {
			if err := p.stop(); err != nil {
				t.Error(err)
			}
		}
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", p.name, p.log.tail())
		}
	})
	return p
}

// runToEnd runs a program that ends by itself, within the limit and with status 0, and
// returns what it has printed.
func runToEnd(t *testing.T, limit time.Duration, c command) string {
	t.Helper()
	p := startToEnd(t, limit, c)
	if p.err != nil {
		t.Fatalf("%s: %v", p.name, p.err)
	}
	return p.log.text()
}

// startToEnd runs a program that ends by itself within the limit, and waits for that.
func startToEnd(t *testing.T, limit time.Duration, c command) *process {
	t.Helper()
	p := start(t, c)
	p.mayEnd = true
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		t.Fatal(errors.Join(fmt.Errorf("%s has not ended after %s", p.name, limit), p.stop()))
	}
	return p
}

// stop ends the process, in the hard way if the gentle one does not work. It is an error
// when the process had ended before or does not end cleanly.
func (p *process) stop() error {
	if p.ended() {
		return fmt.Errorf("%s had ended by itself: %w", p.name, errors.Join(p.err))
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		killGroup(p.cmd.Process.Pid)
		<-p.done
		return fmt.Errorf("%s did not stop within %s", p.name, stopTimeout)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != p.status {
		return fmt.Errorf("%s ended badly when it was told to stop: %w", p.name, p.err)
	}
	return nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// waitReady asks until the process is ready, or has ended.
func (p *process) waitReady(t *testing.T, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-p.done:
			t.Fatalf("%s ended before it was ready: %v", p.name, p.err)
		case <-ctx.Done():
			t.Fatalf("%s is not ready after %s: %v", p.name, startTimeout, err)
		case <-ticker.C:
		}
	}
}

// waitLine waits for a line of the process's output.
func (p *process) waitLine(t *testing.T, wanted func(line string) bool) string {
	t.Helper()
	var line string
	p.waitReady(t, func(context.Context) error {
		for line = range strings.Lines(p.log.text()) {
			if strings.HasSuffix(line, "\n") && wanted(line) {
				return nil
			}
		}
		return errors.New("it has not said so")
	})
	return line
}

// processLog is what a process writes: kept in a file, and here.
type processLog struct {
	file *os.File

	mu  sync.Mutex
	all bytes.Buffer
}

func newProcessLog(t *testing.T, name string) *processLog {
	t.Helper()
	dir := filepath.Join(logs, filepath.FromSlash(t.Name()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(dir, name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return &processLog{file: file}
}

func (l *processLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	return l.file.Write(p)
}

func (l *processLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (l *processLog) tail() string {
	text := l.text()
	if len(text) > shownLog {
		_, text, _ = strings.Cut(text[len(text)-shownLog:], "\n")
	}
	return text
}

// running are the processes that have not ended, by their ids.
var running sync.Map

// killProcesses ends the process groups of all processes at once, when the tests
// themselves are told to stop.
func killProcesses() {
	running.Range(func(pid, _ any) bool {
		if pid, ok := pid.(int); ok {
			killGroup(pid)
		}
		return true
	})
}

// killGroup ends a process and those that it has started. The group is gone, as a rule.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// cleanEnviron is the environment without what would change the programs: telemetry,
// SPIFFE and gRPC settings, and proxies.
func cleanEnviron() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch prefix, _, _ := strings.Cut(name, "_"); {
		case prefix == "OTEL", prefix == "SPIFFE", prefix == "SPIRE", prefix == "GRPC", prefix == "CERBOS", prefix == "DEX":
		case strings.HasSuffix(strings.ToLower(name), "_proxy"):
		default:
			env = append(env, kv)
		}
	}
	return env
}

// freePort returns a loopback port that nobody listens at now, for programs that cannot
// choose one and say which.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err := errors.Join(err, listener.Close()); err != nil {
		t.Fatal(err)
	}
	return port
}
