package authzen_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/grpc-trat/grpc-trat/authzen"
)

// pdp is a policy decision point behind real TLS sockets.
type pdp struct {
	*httptest.Server
	connections atomic.Int64

	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

// startPDP starts one that answers with answer.
func startPDP(t *testing.T, answer http.HandlerFunc, options ...func(*httptest.Server)) *pdp {
	t.Helper()
	p := &pdp{}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		p.requests, p.bodies = append(p.requests, r), append(p.bodies, string(body))
		p.mu.Unlock()
		answer(w, r)
	}))
	p.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	p.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			p.connections.Add(1)
		}
	}
	for _, option := range options {
		option(p.Server)
	}
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

// says answers with that text as JSON.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
	}
}

// trusting returns a TLS configuration that trusts p.
func (p *pdp) trusting() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(p.Certificate())
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
}

// client returns a client of p.
func (p *pdp) client(t *testing.T, options ...func(*authzen.Config)) *authzen.Client {
	t.Helper()
	config := authzen.Config{URL: p.URL + "/access/v1/evaluation", Logger: slog.New(slog.DiscardHandler), TLS: p.trusting()}
	for _, option := range options {
		option(&config)
	}
	client, err := authzen.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// last returns the last request and its body.
func (p *pdp) last() (*http.Request, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.requests) == 0 {
		return nil, ""
	}
	return p.requests[len(p.requests)-1], p.bodies[len(p.bodies)-1]
}

// secret is in everything that must not get into an error or a log.
const secret = "s3cret"

func question() authzen.Request {
	return authzen.Request{
		Subject:  authzen.Subject{Type: "subject", ID: "alice-" + secret, Properties: map[string]any{"issuer": "https://login.test"}},
		Action:   authzen.Action{Name: "exchange", Properties: map[string]any{"scope": "order.create"}},
		Resource: authzen.Resource{Type: "txn_token", ID: "shop.test"},
		Context:  map[string]any{"requester": "spiffe://shop.test/gateway"},
	}
}

func holdsSecret(text string) bool { return strings.Contains(text, secret) }
