package main

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/config"
	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/telemetry"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
)

const token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"

// panicking is a TokenService with a fault.
type panicking struct {
	tratv1.UnimplementedTokenServiceServer
}

func (panicking) Exchange(context.Context, *tratv1.ExchangeRequest) (*tratv1.ExchangeResponse, error) {
	panic("cannot handle " + token)
}

func (panicking) WatchKeys(*tratv1.WatchKeysRequest, grpc.ServerStreamingServer[tratv1.WatchKeysResponse]) error {
	panic("cannot handle " + token)
}

// serveFaulty serves it as tratd would and returns a client and the log.
func serveFaulty(t *testing.T) (tratv1.TokenServiceClient, *logs) {
	t.Helper()
	authority, err := devauthority.New(trustDomain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = authority.Close() })
	source := authority.Source(tts)
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(trustDomain))
	if err != nil {
		t.Fatal(err)
	}
	providers, err := telemetry.Setup(t.Context(), telemetry.Service{Name: "tratd"})
	if err != nil {
		t.Fatal(err)
	}
	out := newLogs()
	logger := telemetry.NewLogger(out, 0, telemetry.JSON)
	g := (&parts{
		cfg:         &config.Config{Limits: config.Limits{MaxStreams: 10}},
		logger:      logger,
		providers:   providers,
		svids:       source,
		connections: newConnections(10, logger),
	}).newGRPCServer(creds)
	tratv1.RegisterTokenServiceServer(g, panicking{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Serve(listener) })
	t.Cleanup(func() { g.Stop(); wg.Wait() })
	_, clientCreds := credentialsOf(t, authority, gateway)
	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(clientCreds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return tratv1.NewTokenServiceClient(conn), out
}

// Covers ERR-10, SEC-12, PRIV-01.
func TestPanicIsInternalAndItsValueStaysUnsaid(t *testing.T) {
	client, out := serveFaulty(t)
	_, unary := client.Exchange(t.Context(), &tratv1.ExchangeRequest{})
	stream, err := client.WatchKeys(t.Context(), &tratv1.WatchKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, streamed := stream.Recv()
	for name, err := range map[string]error{"unary": unary, "stream": streamed} {
		if reason, _ := grpcerr.ReasonFrom(err); reason != trat.ReasonInternal || status.Convert(err).Message() != "internal error" {
			t.Errorf("%s: %v", name, err)
		}
	}
	panics := out.records("panic")
	if len(panics) != 2 {
		t.Fatalf("%d panics are in the log:\n%s", len(panics), out)
	}
	for _, record := range panics {
		if stack, _ := record["stack"].(string); record["type"] != "string" || !strings.Contains(stack, "panicking") {
			t.Errorf("record %v", record)
		}
	}
	if strings.Contains(out.String(), "cannot handle") {
		t.Errorf("the panic's value is in the log:\n%s", out)
	}
}

func TestOversizedCallsAreRefusedBeforeTheHandler(t *testing.T) {
	client, out := serveFaulty(t)
	_, err := client.Exchange(t.Context(), &tratv1.ExchangeRequest{SubjectToken: strings.Repeat("x", maxMessageBytes)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("message: %v", err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x", strings.Repeat("x", maxHeaderBytes))
	if _, err := client.Exchange(ctx, &tratv1.ExchangeRequest{}); err == nil {
		t.Error("metadata: no error")
	}
	if strings.Contains(out.String(), "panic") {
		t.Errorf("the handler was reached:\n%s", out)
	}
}

func TestConnectionsEndBeforeTheirSVIDs(t *testing.T) {
	for lifetime, want := range map[time.Duration]time.Duration{
		10 * time.Minute:    4 * time.Minute,
		30 * 24 * time.Hour: 30 * time.Minute,
	} {
		authority, err := devauthority.New(trustDomain, devauthority.WithSVIDLifetime(lifetime))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = authority.Close() })
		// The authority dates SVIDs back a little, which counts as lifetime.
		if got := connectionAge(authority.Source(tts)); got < want || got > want+time.Minute {
			t.Errorf("SVIDs of %s: connections of %s, want %s", lifetime, got, want)
		}
	}
}
