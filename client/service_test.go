package client_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/internal/keys"
	"github.com/grpc-trat/grpc-trat/server"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

const servicePolicy = `
version: 1
details: {day: any, pages: int}
context: {transport: string}
rules:
  - name: nightly-report
    requester: spiffe://shop.test/gateway
    subject_tokens: [urn:ietf:params:oauth:token-type:self_signed]
    grants: [report.make, report.read]
    tctx: {day: details.day}
    rctx: {transport: optional context.transport}
  - name: pricing
    requester: spiffe://shop.test/pricing
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    tctx: {pages: optional details.pages}
    replacement: {scopes: [report.make, report.read]}
  - name: archive
    requester: spiffe://shop.test/archive
    subject_tokens: [urn:ietf:params:oauth:token-type:txn_token]
    replacement: {scopes: [report.make, report.read], receipt: head}
`

type noAudit struct{}

func (noAudit) Record(context.Context, server.Record) error { return nil }

// startService serves the real token service of d and returns its address.
func startService(t *testing.T, d *trattest.Domain) string {
	t.Helper()
	return startServiceBy(t, d, servicePolicy)
}

// startServiceBy is startService with another policy.
func startServiceBy(t *testing.T, d *trattest.Domain, text string) string {
	t.Helper()
	seen, err := replay.NewMemory(100, d.Now)
	if err != nil {
		t.Fatal(err)
	}
	selfSigned, err := subject.NewSelfSigned(d.Issuer(), seen)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.New(keys.Config{Clock: d.Now})
	if err != nil {
		t.Fatal(err)
	}
	d.Advance(keys.DefaultLead)
	own, err := trat.NewVerifier(d.TrustDomain().Name(), d.Issuer(), ring, trat.WithClock(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	transactions, err := subject.NewTransactionToken(own)
	if err != nil {
		t.Fatal(err)
	}
	subjects, err := subject.NewRegistry(selfSigned, transactions)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	service, err := server.New(server.Config{
		TrustDomain: d.TrustDomain(),
		Issuer:      d.Issuer(),
		Keys:        ring,
		Policy:      func() *policy.Policy { return rules },
		Subjects:    subjects,
		Bundles:     d.Source("tts"),
		Auditor:     noAudit{},
		Logger:      slog.New(slog.DiscardHandler),
		Clock:       d.Now,
	})
	if err != nil {
		t.Fatal(err)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := grpc.NewServer(grpc.Creds(d.ServerCredentials("tts", d.Members())))
	service.Register(transport)
	served := make(chan error, 1)
	go func() { served <- transport.Serve(listener) }()
	t.Cleanup(func() {
		transport.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// Covers TTS-13, TTS-14, TTS-15, TTS-33.
func TestClientAndTokenServiceAgree(t *testing.T) {
	d := trattest.New(t, "shop.test")
	source := d.Source("gateway")
	c, err := client.New(client.Config{
		Target:      "passthrough:///" + startService(t, d),
		Issuer:      d.Issuer(),
		ServerID:    d.ID("tts"),
		TrustDomain: d.TrustDomain(),
		SVIDs:       source,
		Bundles:     source,
	}, client.WithClock(d.Now))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	exchange := func(change func(*client.Request)) (*trat.Token, error) {
		t.Helper()
		raw, err := c.SignSubject(client.Subject{Name: "nightly", Claims: object(t, `{"run":7}`), Lifetime: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		r := client.Request{
			SubjectToken:     raw,
			SubjectTokenType: client.SelfSigned,
			Scope:            "report.make",
			Context:          object(t, `{"transport":"timer"}`),
			Details:          object(t, `{"day":20260301}`),
		}
		change(&r)
		return c.Exchange(timeout(t), r)
	}

	token, err := exchange(func(*client.Request) {})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := token.Subject(), "self:shop.test/gateway:nightly"; got != want {
		t.Errorf("sub = %q, want %q", got, want)
	}
	if day, _ := token.TransactionContext().Int64("day"); day != 20260301 {
		t.Errorf("tctx.day = %d", day)
	}
	if transport, _ := token.RequestContext().Text("transport"); transport != "timer" {
		t.Errorf("rctx.transport = %q", transport)
	}
	d.RotateSVIDs() // the connection stays, and with it the key that the service knows
	if _, err := exchange(func(*client.Request) {}); err != nil {
		t.Errorf("after a rotation: %v", err)
	}

	for name, test := range map[string]struct {
		change func(*client.Request)
		want   trat.Reason
		code   codes.Code
	}{
		"scope beyond the grant":  {func(r *client.Request) { r.Scope = "report.make admin" }, trat.ReasonScopeExceeded, codes.PermissionDenied},
		"missing detail":          {func(r *client.Request) { r.Details = trat.Object{} }, trat.ReasonParameterMissing, codes.InvalidArgument},
		"type without a verifier": {func(r *client.Request) { r.SubjectTokenType = client.AccessToken }, trat.ReasonSubjectTokenTypeUnsupported, codes.InvalidArgument},
		"bad request id":          {func(r *client.Request) { r.RequestID = "run 7" }, trat.ReasonParameterInvalid, codes.InvalidArgument},
		"garbage as subject":      {func(r *client.Request) { r.SubjectToken = "garbage" }, trat.ReasonSubjectTokenInvalid, codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := exchange(test.change)
			if !errors.Is(err, test.want) || status.Code(err) != test.code {
				t.Errorf("code %s, error %v; want %s", status.Code(err), err, test.want)
			}
		})
	}
}
