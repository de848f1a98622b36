package main

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/httptoken"
	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/internal/telemetry"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/auditlog"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// newIdleServer is a token service that issues nothing.
func newIdleServer(t *testing.T, out *logs) *server.Server {
	t.Helper()
	ring, err := keys.New(keys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	registry, err := subject.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	logger := telemetry.NewLogger(out, 0, telemetry.JSON)
	tokens, err := server.New(server.Config{
		TrustDomain: trustDomain, Issuer: "https://tts.shop.test", Keys: ring, Policy: func() *policy.Policy { return &policy.Policy{} },
		Subjects: registry, Bundles: x509bundle.NewSet(), Auditor: auditlog.NewLog(logger), Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestHalfAServiceIsNone(t *testing.T) {
	authority, err := devauthority.New(trustDomain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = authority.Close() })
	source := authority.Source(tts)
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(trustDomain), spiffecreds.WithHTTP1())
	if err != nil {
		t.Fatal(err)
	}
	out := newLogs()
	logger := telemetry.NewLogger(out, 0, telemetry.JSON)
	web, err := httptoken.NewServer(httptoken.ServerConfig{Credentials: creds, Handler: http.NotFoundHandler(), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{
		grpc: grpc.NewServer(), http: web, tokens: newIdleServer(t, out), health: health.NewServer(), logger: logger,
		ready:   func() error { return nil },
		updated: func() <-chan struct{} { return nil },
	}
	var on listeners
	for _, l := range []*net.Listener{&on.grpc, &on.http} {
		if *l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	if err := on.http.Close(); err != nil { // what the HTTP form serves at is gone
		t.Fatal(err)
	}
	if err := d.run(t.Context(), on, time.Second); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("the daemon ended with %v", err)
	}
	if _, err := net.Dial("tcp", on.grpc.Addr().String()); err == nil {
		t.Error("gRPC is still served")
	}
	if len(out.records("stopped")) != 1 {
		t.Errorf("the log says\n%s", out)
	}
}
