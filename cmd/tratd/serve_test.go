package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/client"
	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/internal/grpcerr"
	"github.com/grpc-trat/grpc-trat/internal/telemetry"
	"github.com/grpc-trat/grpc-trat/trat"
)

// waitServing follows the health service until it says SERVING. It returns what it said
// before.
func waitServing(ctx context.Context, t *testing.T, conn *grpc.ClientConn) (before []healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx) // an open Watch holds up a graceful stop
	defer cancel()
	watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{Service: "trat.v1.TokenService"})
	if err != nil {
		t.Fatal(err)
	}
	for {
		answer, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if answer.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return before
		}
		before = append(before, answer.GetStatus())
	}
}

// Covers TTS-17, TTS-22, TTS-33, SEC-01, PRIV-01.
func TestTokenServiceFromStartToStop(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	authority, login := newAuthority(t, tts), newOIDCIssuer(t)
	daemon := start(ctx, t, writeFiles(t, strings.Replace(configText, "ISSUER", login.url, 1), policyText))

	_, creds := credentialsOf(t, authority, gateway)
	conn, err := grpc.NewClient("passthrough:///"+daemon.address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	tokens := tratv1.NewTokenServiceClient(conn)

	if before := waitServing(ctx, t, conn); len(before) == 0 || before[0] != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("before it was SERVING, health said %v: a key signs no sooner than 2 s after it is published", before)
	}
	keys, err := tokens.WatchKeys(ctx, &tratv1.WatchKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	published, err := keys.Recv()
	if err != nil {
		t.Fatal(err)
	}
	set, err := trat.ParseJWKS([]byte(published.GetJwks()))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := trat.NewVerifier("shop.test", "https://tts.shop.test", set)
	if err != nil {
		t.Fatal(err)
	}

	request := &tratv1.ExchangeRequest{
		GrantType:          trat.GrantType,
		Audience:           "shop.test",
		Scope:              "order.create",
		RequestedTokenType: trat.TokenType,
		SubjectToken:       login.token(t, "orders:write"),
		SubjectTokenType:   string(client.AccessToken),
		RequestDetails:     `{"order_id": "o-1"}`,
	}
	response, err := tokens.Exchange(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	token, err := verifier.Verify(response.GetAccessToken())
	if err != nil {
		t.Fatal(err)
	}
	if token.Subject() != "login:alice" || token.RequestingWorkload() != gateway.String() {
		t.Errorf("sub %q, req_wl %q", token.Subject(), token.RequestingWorkload())
	}
	request.SubjectToken = login.token(t, "orders:read")
	_, err = tokens.Exchange(ctx, request)
	if reason, _ := grpcerr.ReasonFrom(err); reason != trat.ReasonScopeExceeded {
		t.Errorf("scope above the access token's: %v", err)
	}

	if warned := daemon.logs.records("an issuer's keys may come over plain http from this host: for development only"); len(warned) != 1 {
		t.Error("the log does not say that a check is loosened")
	}
	daemon.stop()
	if err := <-daemon.done; err != nil {
		t.Errorf("run ended with %v", err)
	}
	if _, err := keys.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the key watcher sees %v, want the end of the stream", err)
	}
	log := daemon.logs
	if strings.Contains(log.String(), "eyJ") || strings.Contains(log.String(), "alice") {
		t.Errorf("a token or a subject is in the log:\n%s", log)
	}
	issued, refused := log.records("Transaction Token issued"), log.records("Transaction Token refused")
	if len(issued) != 1 || issued[0]["txn_token.fingerprint"] != token.Fingerprint() || issued[0]["txn_token.txn"] != token.TransactionID() {
		t.Errorf("audit records of issuing: %v", issued)
	}
	if len(refused) != 1 || refused[0]["error.type"] != "SCOPE_EXCEEDED" {
		t.Errorf("audit records of refusing: %v", refused)
	}
	calls := log.records("finished call")
	if len(calls) != 3 {
		t.Errorf("%d calls are in the log, want 2 of Exchange and 1 of WatchKeys:\n%s", len(calls), log)
	}
	for _, call := range calls {
		if call["txn_chain.peer.id"] != gateway.String() {
			t.Errorf("call %v does not name its peer", call)
		}
	}
}

// Covers TTS-13, TTS-14, TTS-15.
func TestWorkloadExchangesASubjectItVouchesFor(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	authority := newAuthority(t, tts)
	text := withoutSubjectTokens() + "subject_tokens: {self_signed: {replay_store: memory}}\n"
	daemon := start(ctx, t, writeFiles(t, text, selfSignedPolicy))

	source, _ := credentialsOf(t, authority, gateway)
	c, err := client.New(client.Config{
		Target:      "passthrough:///" + daemon.address,
		Issuer:      "https://tts.shop.test",
		ServerID:    tts,
		TrustDomain: trustDomain,
		SVIDs:       source,
		Bundles:     source,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	daemon.logs.wait(ctx, t, "ready")
	subject, err := c.SignSubject(client.Subject{Name: "stock-count"})
	if err != nil {
		t.Fatal(err)
	}
	request := client.Request{SubjectToken: subject, SubjectTokenType: client.SelfSigned, Scope: "stock.count"}
	token, err := c.Exchange(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if want := "self:shop.test/gateway:stock-count"; token.Subject() != want {
		t.Errorf("sub %q, want %q", token.Subject(), want)
	}
	if _, err := c.Exchange(ctx, request); !errors.Is(err, trat.ReasonSubjectTokenReplayed) {
		t.Errorf("the same subject token again: %v", err)
	}
	daemon.stop()
	if err := <-daemon.done; err != nil {
		t.Errorf("run ended with %v", err)
	}
}

// Covers SEC-01, VER-14.
func TestCallersWithoutSVIDAreRefused(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	newAuthority(t, tts)
	daemon := start(ctx, t, writeFiles(t, withoutSubjectTokens(), noRules))
	conn, err := grpc.NewClient("passthrough:///"+daemon.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := tratv1.NewTokenServiceClient(conn).Exchange(ctx, &tratv1.ExchangeRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("Exchange in the clear: %v", err)
	}
	if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("health in the clear: %v", err)
	}
	daemon.stop()
	if err := <-daemon.done; err != nil {
		t.Errorf("run ended with %v", err)
	}
}

func TestHealthFollowsReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		updates := make(chan struct{})
		var problem atomic.Value // of string; "" is none
		problem.Store("the SVID has expired")
		out := newLogs()
		d := &daemon{
			health: health.NewServer(),
			logger: telemetry.NewLogger(out, 0, telemetry.JSON),
			ready: func() error {
				if text, _ := problem.Load().(string); text != "" {
					return errors.New(text)
				}
				return nil
			},
			updated: func() <-chan struct{} { return updates },
		}
		d.registerHealth(grpc.NewServer())
		want := func(status healthpb.HealthCheckResponse_ServingStatus) {
			t.Helper()
			synctest.Wait()
			for _, name := range services {
				got, err := d.health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
				if err != nil || got.GetStatus() != status {
					t.Fatalf("%q: %v, %v, want %s", name, got.GetStatus(), err, status)
				}
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.watchReadiness(ctx)
		}()
		want(healthpb.HealthCheckResponse_NOT_SERVING)
		problem.Store("")
		time.Sleep(readinessInterval) // in the bubble's time
		want(healthpb.HealthCheckResponse_SERVING)
		time.Sleep(10 * readinessInterval)
		problem.Store("the SVID has expired")
		updates <- struct{}{}
		want(healthpb.HealthCheckResponse_NOT_SERVING)
		cancel()
		<-done
		if n := len(out.records("ready")) + len(out.records("not ready")); n != 3 {
			t.Errorf("%d records, want one per change:\n%s", n, out)
		}
	})
}

func TestIssuerOutOfReachDoesNotStopTheService(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	authority := newAuthority(t, tts)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	daemon := start(ctx, t, writeFiles(t, strings.Replace(configText, "ISSUER", gone.URL, 1), policyText))

	_, creds := credentialsOf(t, authority, gateway)
	conn, err := grpc.NewClient("passthrough:///"+daemon.address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	waitServing(ctx, t, conn)
	if record := daemon.logs.wait(ctx, t, "cannot fetch the keys of an issuer"); record["level"] != "ERROR" {
		t.Errorf("record %v", record)
	}
	request := &tratv1.ExchangeRequest{
		GrantType:          trat.GrantType,
		Audience:           "shop.test",
		Scope:              "order.create",
		RequestedTokenType: trat.TokenType,
		SubjectToken:       (&oidcIssuer{url: gone.URL, key: newOIDCIssuer(t).key}).token(t, "orders:write"),
		SubjectTokenType:   string(client.AccessToken),
		RequestDetails:     `{"order_id": "o-1"}`,
	}
	_, err = tratv1.NewTokenServiceClient(conn).Exchange(ctx, request)
	if reason, _ := grpcerr.ReasonFrom(err); reason != trat.ReasonDependencyUnavailable {
		t.Errorf("the issuer's token: %v", err)
	}
	daemon.stop()
	if err := <-daemon.done; err != nil {
		t.Errorf("run ended with %v", err)
	}
}

func TestTroubleWithIssuersIsLoggedWhenItBeginsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var problem atomic.Value // of string; "" is none
		problem.Store("no keys yet")
		out := newLogs()
		d := &daemon{
			health:  health.NewServer(),
			logger:  telemetry.NewLogger(out, 0, telemetry.JSON),
			ready:   func() error { return nil },
			updated: func() <-chan struct{} { return nil },
		}
		check := func() error {
			if text, _ := problem.Load().(string); text != "" {
				return errors.New(text)
			}
			return nil
		}
		d.details = []detail{{detailIssuers, check, d.reportIssuers}}
		d.registerHealth(grpc.NewServer())
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { d.watchReadiness(ctx) })
		want := func(troubles, ends int, issuers healthpb.HealthCheckResponse_ServingStatus) {
			t.Helper()
			time.Sleep(10 * readinessInterval) // in the bubble's time
			synctest.Wait()
			began, ended := out.records("issuers without usable keys"), out.records("the keys of all issuers are there")
			if len(began) != troubles || len(ended) != ends {
				t.Errorf("%d troubles and %d ends, want %d and %d:\n%s", len(began), len(ended), troubles, ends, out)
			}
			for _, record := range began {
				if record["level"] != "WARN" {
					t.Errorf("record %v", record)
				}
			}
			for _, name := range services {
				got, err := d.health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
				if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
					t.Errorf("%q: %v, %v, want SERVING", name, got.GetStatus(), err)
				}
			}
			got, err := d.health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "trat.v1.TokenService/issuers"})
			if err != nil || got.GetStatus() != issuers {
				t.Errorf("issuers: %v, %v, want %s", got.GetStatus(), err, issuers)
			}
		}
		want(0, 0, healthpb.HealthCheckResponse_NOT_SERVING)
		problem.Store("")
		want(0, 1, healthpb.HealthCheckResponse_SERVING)
		problem.Store("stale keys")
		want(1, 1, healthpb.HealthCheckResponse_NOT_SERVING)
		problem.Store("")
		want(1, 2, healthpb.HealthCheckResponse_SERVING)
		cancel()
		wg.Wait()
	})
}
