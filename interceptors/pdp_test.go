package interceptors_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/authzen"
	"github.com/grpc-trat/grpc-trat/interceptors"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// pdp is a policy decision point behind a real TLS socket.
type pdp struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
}

// startPDP starts one that answers with answer.
func startPDP(t *testing.T, answer http.HandlerFunc) *pdp {
	t.Helper()
	p := &pdp{}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		p.bodies = append(p.bodies, string(body))
		p.mu.Unlock()
		answer(w, r)
	}))
	p.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

// asked returns what the PDP was asked.
func (p *pdp) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.bodies)
}

// option makes p the decision point of a guard.
func (p *pdp) option(t *testing.T, timeout time.Duration) interceptors.ServerOption {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(p.Certificate())
	client, err := authzen.New(authzen.Config{
		URL: p.URL + "/access/v1/evaluation", Logger: quiet(), Timeout: timeout,
		TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return interceptors.WithDecisionPoint(client)
}

// says answers with that status and text, as JSON.
func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// evaluated is a rule that asks the PDP and demands nothing else but the scope.
func evaluated() interceptors.Rule { return interceptors.Require("test").AccessEvaluation("", "") }

// Covers VER-19.
func TestAPDPIsAskedAboutEveryCall(t *testing.T) {
	d := trattest.New(t, domainName)
	p := startPDP(t, says(http.StatusOK, `{"decision": true}`))
	rules := eachMethod(evaluated())
	rules[unaryMethod] = interceptors.Require("test").AccessEvaluation("order", "string(tctx.order_id)")
	rules[serverStreaming] = interceptors.Require("test").ChainHead().FromCallers(d.Only("gateway")).AccessEvaluation("", "req_wl")
	rules[clientStreaming] = interceptors.Require("test").ChainOff().FromCallers(d.Only("gateway")).AccessEvaluation("", "")
	svc := &backend{}
	client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, rules, p.option(t, callTimeout)), svc))
	gateway := d.ID("gateway").String()
	raw := d.Raw(trattest.Subject("alice"), trattest.TransactionID("txn-1"), trattest.Scope("test order.read"),
		trattest.Details(`{"order_id": 9007199254740993}`), trattest.Context(`{"ip": "192.0.2.7"}`))
	question := func(method, resourceType, resourceID, chain string) string {
		return `{
			"subject": {"type": "subject", "id": "alice", "properties": {"issuer": "` + d.Issuer() + `", "token_type": "` + trat.TokenType + `"}},
			"action": {"name": "` + method + `", "properties": {"scope": "test order.read"}},
			"resource": {"type": "` + resourceType + `", "id": "` + resourceID + `",
				"properties": {"scope": "test order.read", "req_wl": "` + gateway + `", "peer": "` + gateway + `"}},
			"context": {"txn": "txn-1", "scope": "test order.read", "req_wl": "` + gateway + `", "peer": "` + gateway + `",
				"tctx": {"order_id": 9007199254740993}, "rctx": {"ip": "192.0.2.7"}` + chain + `}
		}`
	}
	chain := `, "chain": ["` + gateway + `"]`
	const serviceName = "grpc.testing.TestService"
	for i, tc := range []struct {
		kind kind
		want string
	}{
		{kinds()[0], question(unaryMethod, "order", "9007199254740993", chain)},
		{kinds()[1], question(serverStreaming, "grpc_service", gateway, chain)},
		{kinds()[2], question(clientStreaming, "grpc_service", serviceName, "")},
		{kinds()[3], question(bidiStreaming, "grpc_service", serviceName, chain)},
	} {
		if err := tc.kind.call(withToken(callContext(t), raw), client); err != nil {
			t.Errorf("%s: %v", tc.kind.name, err)
		}
		asked := p.asked()
		if len(asked) != i+1 {
			t.Fatalf("%s: asked %d times, want %d", tc.kind.name, len(asked), i+1)
		}
		if diff := cmp.Diff(decoded(t, tc.want), decoded(t, asked[i])); diff != "" {
			t.Errorf("%s: question (-want +got):\n%s", tc.kind.name, diff)
		}
	}
	if ran := svc.ran.Load(); ran != 4 {
		t.Errorf("handlers ran %d times, want 4", ran)
	}
}

// decoded is JSON with every digit of its numbers.
func decoded(t *testing.T, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Covers VER-19.
func TestNothingButAYesOfThePDPLetsACallThrough(t *testing.T) {
	d := trattest.New(t, domainName)
	const denied, unavailable = trat.ReasonPolicyDenied, trat.ReasonPolicyUnavailable
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   trat.Reason
	}{
		"yes":                      {says(http.StatusOK, `{"decision": true}`), ""},
		"yes, and unknown members": {says(http.StatusOK, `{"x": [1, {"decision": false}], "decision": true, "context": {"id": "1"}}`), ""},
		"no":                       {says(http.StatusOK, `{"decision": false}`), denied},
		"no, and unknown members":  {says(http.StatusOK, `{"decision": false, "allow": true, "context": {"decision": true}}`), denied},
		"no decision":              {says(http.StatusOK, `{"allow": true}`), unavailable},
		"nothing":                  {says(http.StatusOK, ""), unavailable},
		"null":                     {says(http.StatusOK, `{"decision": null}`), unavailable},
		"text":                     {says(http.StatusOK, `{"decision": "true"}`), unavailable},
		"a number":                 {says(http.StatusOK, `{"decision": 1}`), unavailable},
		"two decisions":            {says(http.StatusOK, `{"decision": true, "decision": false}`), unavailable},
		"a list":                   {says(http.StatusOK, `[{"decision": true}]`), unavailable},
		"garbage":                  {says(http.StatusOK, "\x00\xff{"), unavailable},
		"something behind it":      {says(http.StatusOK, `{"decision": true}{"decision": true}`), unavailable},
		"another type": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, `{"decision": true}`)
		}, unavailable},
		"too long":       {says(http.StatusOK, `{"decision": true, "x": "`+strings.Repeat("x", 4<<20)+`"}`), unavailable},
		"bad request":    {says(http.StatusBadRequest, `{"decision": true}`), unavailable},
		"unauthorized":   {says(http.StatusUnauthorized, `{"decision": true}`), unavailable},
		"forbidden":      {says(http.StatusForbidden, `{"decision": true}`), unavailable},
		"internal error": {says(http.StatusInternalServerError, `{"decision": true}`), unavailable},
		"unavailable":    {says(http.StatusServiceUnavailable, ""), unavailable},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/yes", http.StatusTemporaryRedirect)
		}, unavailable},
		"cut off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			p, svc, s := startPDP(t, tc.answer), &backend{}, newSinks()
			g := guard(t, d, eachMethod(evaluated()), p.option(t, callTimeout), interceptors.WithLogger(s.logger))
			client := dialRaw(t, d, serveGuarded(t, d, g, svc))
			for _, k := range kinds() {
				ran := svc.ran.Load()
				err := k.call(withToken(callContext(t), d.Raw(trattest.Subject("alice-secret"))), client)
				if tc.want == "" {
					if err != nil || svc.ran.Load() != ran+1 {
						t.Errorf("%s: %v", k.name, err)
					}
					continue
				}
				wantRefusal(t, err, tc.want)
				if svc.ran.Load() != ran || svc.received.Load() != 0 {
					t.Errorf("%s: the handler ran", k.name)
				}
			}
			if strings.Contains(s.log.String(), "secret") {
				t.Error("the log has a value of the question")
			}
		})
	}
}

// Covers VER-19.
func TestACallWithoutADecisionInTimeIsRefused(t *testing.T) {
	d := trattest.New(t, domainName)
	// Nothing waits for a test that has failed, or Close would wait for it.
	began, ended := make(chan struct{}, 64), make(chan struct{}, 64)
	p := startPDP(t, func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	})
	// On a busy machine the time can be up before the PDP is asked.
	untilAsked := func(t *testing.T, call func()) {
		t.Helper()
		for asked := len(p.asked()); len(p.asked()) == asked && !t.Failed(); {
			call()
		}
		await(t, ended)
	}
	t.Run("of the client", func(t *testing.T) {
		svc := &backend{}
		client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, eachMethod(evaluated()), p.option(t, 50*time.Millisecond)), svc))
		for _, k := range kinds() {
			untilAsked(t, func() {
				wantRefusal(t, k.call(withToken(callContext(t), d.Raw()), client), trat.ReasonPolicyUnavailable)
			})
		}
		if svc.ran.Load() != 0 {
			t.Error("a handler ran")
		}
	})
	t.Run("of the caller", func(t *testing.T) {
		svc := &backend{}
		client := dialRaw(t, d, serveGuarded(t, d, guard(t, d, eachMethod(evaluated()), p.option(t, callTimeout)), svc))
		untilAsked(t, func() { // the PDP's end comes long before the time of its client
			ctx, cancel := context.WithTimeout(callContext(t), 100*time.Millisecond)
			defer cancel()
			if err := callUnary(withToken(ctx, d.Raw()), client); err == nil {
				t.Error("no error")
			}
		})
		for len(began) > 0 {
			<-began
		}
		ctx, cancel := context.WithCancel(callContext(t))
		go func() {
			select {
			case <-began:
			case <-ctx.Done():
			}
			cancel()
		}()
		if err := callUnary(withToken(ctx, d.Raw()), client); err == nil {
			t.Error("no error")
		}
		await(t, ended)
		if svc.ran.Load() != 0 {
			t.Error("a handler ran")
		}
	})
}

// await waits for something that a call under way brings about.
func await(t *testing.T, happens <-chan struct{}) {
	t.Helper()
	select {
	case <-happens:
	case <-callContext(t).Done():
		t.Fatal("it does not happen")
	}
}
