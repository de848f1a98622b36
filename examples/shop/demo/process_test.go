package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets this test's own program play a child process.
func TestMain(m *testing.M) {
	switch os.Getenv("DEMO_TEST_CHILD") {
	case "":
		goleak.VerifyTestMain(m)
	case "serves":
		stopped := make(chan os.Signal, 1)
		signal.Notify(stopped, syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "hello")
		fmt.Println(`{"address":"here"}`)
		<-stopped
		os.Exit(0)
	case "fails":
		fmt.Fprintln(os.Stderr, "no such flag")
		os.Exit(3)
	}
}

func startChild(ctx context.Context, t *testing.T, kind string) (*process, string, error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return start(ctx, "child", []string{"DEMO_TEST_CHILD=" + kind}, isJSON("address"), program)
}

func TestProcessIsReadyWhenItSaysSoAndStopsWhenTold(t *testing.T) {
	p, answer, err := startChild(t.Context(), t, "serves")
	if err != nil {
		t.Fatal(err)
	}
	if answer != `{"address":"here"}` {
		t.Errorf("ready with %q", answer)
	}
	if p.ended() {
		t.Error("ended before it was told to")
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func TestProcessThatFailsToStartIsReportedWithItsLog(t *testing.T) {
	p, _, err := startChild(t.Context(), t, "fails")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("error %v", err)
	}
	if err := p.stop(); err != nil {
		t.Errorf("reported twice: %v", err)
	}
}

func TestProcessThatEndsOnItsOwnIsReportedWhenItIsStopped(t *testing.T) {
	p, _, err := startChild(t.Context(), t, "serves")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if err := p.stop(); err == nil || !strings.Contains(err.Error(), "signal: killed") || !strings.Contains(err.Error(), "hello") {
		t.Errorf("error %v", err)
	}
}

func TestProcessStartEndsWithItsContext(t *testing.T) {
	interrupted := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(interrupted)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	never := func(string) (string, bool) { return "", false }
	p, _, err := start(ctx, "child", []string{"DEMO_TEST_CHILD=serves"}, never, program)
	if !errors.Is(err, interrupted) {
		t.Errorf("error %v", err)
	}
	_ = p.stop() // it may be told before it listens for signals, and then ends by one
}

func TestOutputCutsLinesAndHidesTokens(t *testing.T) {
	o := &output{isReady: isJSON("address"), answer: make(chan string, 1)}
	token := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9." + strings.Repeat("s", 86)
	for _, part := range []string{"first li", "ne\nthe token is " + token + "!\n{\"addr", "ess\":\"x\"}\nnot yet a line"} {
		if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	const want = "  | first line\n  | the token is (a complete token or call chain)!\n  | {\"address\":\"x\"}"
	if got := o.tail(); got != want {
		t.Errorf("tail:\n%s\nwant:\n%s", got, want)
	}
	if got := o.secretsLogged(); got != 1 {
		t.Errorf("%d lines with a token, want 1", got)
	}
	if got := <-o.answer; got != `{"address":"x"}` {
		t.Errorf("ready with %q", got)
	}
}
