package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func TestHealthIsTheExitStatus(t *testing.T) {
	h := health.NewServer()
	address := serve(t, newAuthority(t, "probe"), func(g *grpc.Server) { healthpb.RegisterHealthServer(g, h) })
	h.SetServingStatus("up", healthpb.HealthCheckResponse_SERVING)
	h.SetServingStatus("down", healthpb.HealthCheckResponse_NOT_SERVING)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	for name, tc := range map[string]struct {
		args   []string
		status int
		stdout string
		stderr []string
	}{
		"the server": {args: []string{"--address", address, "--server-id", shopTTS}, stdout: "SERVING\n"},
		"a service":  {args: []string{"--address", address, "--server-id", shopTTS, "--service", "up"}, stdout: "SERVING\n"},
		"a service that is down": {
			args: []string{"--address", address, "--server-id", shopTTS, "--service", "down"}, status: 3, stdout: "NOT_SERVING\n", stderr: []string{`"down"`, "NOT_SERVING"},
		},
		"as JSON": {
			args:   []string{"--address", address, "--server-id", shopTTS, "--service", "up", "--output", "json"},
			stdout: "{\n  \"service\": \"up\",\n  \"status\": \"SERVING\"\n}\n",
		},
		"no such service": {args: []string{"--address", address, "--server-id", shopTTS, "--service", "x"}, status: 1, stderr: []string{"NotFound"}},
		"another server":  {args: []string{"--address", address, "--server-id", "spiffe://shop.test/orders"}, status: 1, stderr: []string{"Unavailable"}},
		"nobody there":    {args: []string{"--address", nobody.Addr().String(), "--server-id", shopTTS}, status: 1, stderr: []string{"refused"}},
		"no flags":        {status: 2, stderr: []string{"--address is required", "--server-id is required"}},
		"bad flags": {
			args: []string{"--address", address, "--server-id", "tts", "--timeout", "0s"}, status: 2,
			stderr: []string{`want a SPIFFE ID such as spiffe://shop.test/tts, not "tts"`, "--timeout must be positive"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := execute(t.Context(), append([]string{"health"}, tc.args...), strings.NewReader(""), &stdout, &stderr); got != tc.status {
				t.Errorf("exit status %d, want %d: %s", got, tc.status, &stderr)
			}
			if stdout.String() != tc.stdout {
				t.Errorf("printed %q, want %q", &stdout, tc.stdout)
			}
			for _, want := range tc.stderr {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("no %q in %s", want, &stderr)
				}
			}
		})
	}
}

func TestHealthNeedsTheWorkloadAPI(t *testing.T) {
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", "")
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), []string{"health", "--address", "127.0.0.1:1", "--server-id", shopTTS}, strings.NewReader(""), &stdout, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "SPIFFE_ENDPOINT_SOCKET") {
		t.Errorf("exit status %d: %s", code, &stderr)
	}
}

// rude answers with what moves a terminal's cursor.
type rude struct {
	healthpb.UnimplementedHealthServer
}

func (rude) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return nil, status.Error(codes.NotFound, "\x1b[2J\u009b31mall is well\r")
}

func TestWhatAServerSaysMovesNoCursor(t *testing.T) {
	address := serve(t, newAuthority(t, "probe"), func(g *grpc.Server) { healthpb.RegisterHealthServer(g, rude{}) })
	said := runTrat(t, "", "health", "--address", address, "--server-id", shopTTS)
	said.want(t, exitFailed, "", "all is well")
	if strings.ContainsAny(said.stderr, "\x1b\u009b\r") {
		t.Errorf("printed %q", said.stderr)
	}
}
