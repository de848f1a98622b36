package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startTimeout bounds how long a process may take to say that it serves. The
	// token service needs two seconds: it publishes a key before it signs with it.
	startTimeout = 20 * time.Second
	// stopTimeout is how long a process may take to end when it is told to.
	stopTimeout = 5 * time.Second
	// keptLines is how much of a process's log is kept, to be shown if it fails.
	keptLines = 200
)

// process is one of the shop's processes.
type process struct {
	name string
	cmd  *exec.Cmd
	out  *output
	done chan struct{} // closed when the process has ended
	err  error         // how it ended; read after done

	reported bool // its log was shown
}

// ready finds, in one line of a process's output, the word that says that it
// serves.
type ready func(line string) (answer string, found bool)

// start runs a program and waits until it serves; it returns what ready found.
// Whether or not it fails, a returned process has to be stopped.
func start(ctx context.Context, name string, env []string, isReady ready, program string, args ...string) (*process, string, error) {
	out := &output{isReady: isReady, answer: make(chan string, 1)}
	// Not to be killed with ctx: stop ends it, in order.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, args...)
	cmd.Env = append(cleanEnviron(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, out: out, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()

	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	var err error
	select {
	case answer := <-out.answer:
		return p, answer, nil
	case <-p.done:
		err = p.failure(fmt.Sprintf("ended before it served: %v", p.err))
	case <-timer.C:
		err = p.failure(fmt.Sprintf("does not serve after %s", startTimeout))
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return p, "", err
}

// stop ends the process, in the hard way if the gentle one does not work. It is an
// error if the process had failed before or does not end cleanly.
func (p *process) stop() error {
	if p.ended() {
		return p.failure(fmt.Sprintf("had ended: %v", p.err))
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
		return p.failure(fmt.Sprintf("did not stop within %s", stopTimeout))
	}
	if p.err != nil {
		return p.failure(fmt.Sprintf("ended badly: %v", p.err))
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

// failure is an error with the end of the process's log, nil if that was shown
// before.
func (p *process) failure(what string) error {
	if p.reported {
		return nil
	}
	p.reported = true
	return fmt.Errorf("%s %s; its log:\n%s", p.name, what, p.out.tail())
}

// stopAll stops processes in the reverse order of their start.
func stopAll(processes []*process) error {
	var err error
	for _, p := range slices.Backward(processes) {
		err = errors.Join(err, p.stop())
	}
	return err
}

// output is what a process writes, cut into lines.
type output struct {
	isReady ready
	answer  chan string

	mu      sync.Mutex
	partial []byte
	lines   []string
	secrets int // lines with a complete token or call chain
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.partial = append(o.partial, p...)
	for {
		line, rest, found := bytes.Cut(o.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		o.line(string(line))
		o.partial = rest
	}
}

func (o *output) line(line string) {
	if secretPattern.MatchString(line) {
		o.secrets++
		line = secretPattern.ReplaceAllString(line, "(a complete token or call chain)")
	}
	o.lines = append(o.lines, line)
	if len(o.lines) > keptLines {
		o.lines = o.lines[1:]
	}
	if answer, found := o.isReady(line); found {
		select {
		case o.answer <- answer:
		default: // said so before
		}
	}
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return "  | " + strings.Join(o.lines, "\n  | ")
}

func (o *output) secretsLogged() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.secrets
}

// cleanEnviron is this process's environment without what would change the shop's:
// telemetry, SPIFFE and gRPC settings.
func cleanEnviron() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "OTEL_") && !strings.HasPrefix(kv, "SPIFFE_") && !strings.HasPrefix(kv, "GRPC_") {
			env = append(env, kv)
		}
	}
	return env
}
