package authzen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/authzen"
)

// Covers VER-19.
func TestQuestionIsAskedAsTheSpecificationSays(t *testing.T) {
	p := startPDP(t, says(`{"decision":true,"context":{"reason":"x"},"new":[1,{"decision":false}]}`))
	decision, err := p.client(t).Evaluate(t.Context(), question())
	if err != nil || !decision {
		t.Fatalf("decision %t, %v", decision, err)
	}
	r, body := p.last()
	if r.Method != http.MethodPost || r.URL.Path != "/access/v1/evaluation" || r.URL.RawQuery != "" {
		t.Errorf("%s %s", r.Method, r.URL)
	}
	for header, want := range map[string]string{"Content-Type": "application/json", "Accept": "application/json", "Authorization": "", "Idempotency-Key": ""} {
		if got := r.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	if id := r.Header.Get("X-Request-ID"); len(id) != 32 {
		t.Errorf("X-Request-ID %q", id)
	}
	var got any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"subject":  map[string]any{"type": "subject", "id": "alice-s3cret", "properties": map[string]any{"issuer": "https://login.test"}},
		"action":   map[string]any{"name": "exchange", "properties": map[string]any{"scope": "order.create"}},
		"resource": map[string]any{"type": "txn_token", "id": "shop.test"},
		"context":  map[string]any{"requester": "spiffe://shop.test/gateway"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("question (-want +got):\n%s", diff)
	}
}

// Covers VER-19.
func TestOnlyABooleanDecisionIsOne(t *testing.T) {
	typed := func(contentType, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, text)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Location", "/elsewhere/"+secret)
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"decision":true,"`+secret+`":1}`)
		}
	}
	tests := map[string]struct {
		answer   http.HandlerFunc
		decision bool
		kind     authzen.Kind
		status   int
	}{
		"true":                         {answer: says(`{"decision":true}`), decision: true},
		"false":                        {answer: says(`{"decision":false}`)},
		"space around":                 {answer: says(" \n{ \"decision\" : true }\n"), decision: true},
		"an escaped name":              {answer: says(`{"decisio\u006e":true}`), decision: true},
		"a charset":                    {answer: typed("application/json; charset=utf-8", `{"decision":true}`), decision: true},
		"a string":                     {answer: says(`{"decision":"true"}`), kind: authzen.KindAnswer},
		"a number":                     {answer: says(`{"decision":1}`), kind: authzen.KindAnswer},
		"null":                         {answer: says(`{"decision":null}`), kind: authzen.KindAnswer},
		"another case":                 {answer: says(`{"Decision":true}`), kind: authzen.KindAnswer},
		"no decision":                  {answer: says(`{"context":{"decision":true}}`), kind: authzen.KindAnswer},
		"two decisions":                {answer: says(`{"decision":false,"decision":true}`), kind: authzen.KindAnswer},
		"two decisions, one escaped":   {answer: says(`{"decision":false,"decisio\u006e":true}`), kind: authzen.KindAnswer},
		"another member twice":         {answer: says(`{"context":{},"decision":true,"context":{}}`), kind: authzen.KindAnswer},
		"an array":                     {answer: says(`[{"decision":true}]`), kind: authzen.KindAnswer},
		"a bare boolean":               {answer: says(`true`), kind: authzen.KindAnswer},
		"something behind":             {answer: says(`{"decision":true}{"decision":false}`), kind: authzen.KindAnswer},
		"cut off":                      {answer: says(`{"decision":true`), kind: authzen.KindAnswer},
		"not UTF-8":                    {answer: says("{\"decision\":true,\"\xff\":1}"), kind: authzen.KindAnswer},
		"a byte order mark":            {answer: says("\xef\xbb\xbf{\"decision\":true}"), kind: authzen.KindAnswer},
		"nothing":                      {answer: says(""), kind: authzen.KindAnswer},
		"deeply nested":                {answer: says(`{"decision":true,"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`), kind: authzen.KindAnswer},
		"HTML":                         {answer: typed("text/html", "<html>"+secret), kind: authzen.KindAnswer},
		"JSON that says it is text":    {answer: typed("text/plain", `{"decision":true}`), kind: authzen.KindAnswer},
		"JSON that says nothing":       {answer: typed("", `{"decision":true}`), kind: authzen.KindAnswer},
		"HTML that says it is JSON":    {answer: says("<html>" + secret), kind: authzen.KindAnswer},
		"huge":                         {answer: says(`{"decision":true,"a":"` + strings.Repeat("x", 64<<10) + `"}`), kind: authzen.KindAnswer},
		"compressed without a request": {answer: encoded, kind: authzen.KindAnswer},
		"201":                          {answer: status(201), kind: authzen.KindStatus, status: 201},
		"a redirect":                   {answer: status(307), kind: authzen.KindStatus, status: 307},
		"a permanent redirect":         {answer: status(308), kind: authzen.KindStatus, status: 308},
		"not found, as a GET":          {answer: status(303), kind: authzen.KindStatus, status: 303},
		"unauthenticated":              {answer: status(401), kind: authzen.KindStatus, status: 401},
		"forbidden":                    {answer: status(403), kind: authzen.KindStatus, status: 403},
		"its own fault":                {answer: status(500), kind: authzen.KindStatus, status: 500},
		"overloaded":                   {answer: status(503), kind: authzen.KindStatus, status: 503},
		"hanging up":                   {answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, kind: authzen.KindUnreachable},
		"no HTTP":                      {answer: raw(secret + "\r\n\r\n"), kind: authzen.KindUnreachable},
		"hanging up in the answer":     {answer: raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"decision\":"), kind: authzen.KindUnreachable},
		"a huge header":                {answer: raw("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat(secret, 10_000) + "\r\n\r\n"), kind: authzen.KindUnreachable},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			p := startPDP(t, tc.answer)
			client := p.client(t, func(c *authzen.Config) {
				c.Timeout = 10 * time.Second
				c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			decision, err := client.Evaluate(t.Context(), question())
			if decision != tc.decision || (err == nil) != (tc.kind == "") {
				t.Fatalf("decision %t, %v", decision, err)
			}
			if holdsSecret(log.String()) || log.Len() == 0 {
				t.Errorf("log %q", log.String())
			}
			r, _ := p.last()
			if tc.kind == "" {
				return
			}
			e, ok := errors.AsType[*authzen.Error](err)
			if !ok || !errors.Is(err, tc.kind) || e.Status != tc.status || e.RequestID != r.Header.Get("X-Request-ID") {
				t.Errorf("error %#v, want %q", err, tc.kind)
			}
			if holdsSecret(err.Error()) {
				t.Errorf("the answer is in the error: %v", err)
			}
			if r.URL.Path != "/access/v1/evaluation" {
				t.Errorf("asked at %s", r.URL)
			}
		})
	}
}

// encoded answers in an encoding that was not asked for.
func encoded(w http.ResponseWriter, r *http.Request) {
	if got := r.Header.Get("Accept-Encoding"); got != "identity" {
		panic(got)
	}
	w.Header().Set("Content-Encoding", "gzip")
	says("\x1f\x8b\x08\x00")(w, r)
}

// raw answers with bytes, and hangs up.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

// Covers VER-19.
func TestSlowPDPIsNotWaitedFor(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request, released chan struct{}){
		"silent": func(_ http.ResponseWriter, _ *http.Request, released chan struct{}) { <-released },
		"one byte and no more": func(w http.ResponseWriter, _ *http.Request, released chan struct{}) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
			<-released
		},
	} {
		t.Run(name, func(t *testing.T) {
			released, began := make(chan struct{}), make(chan struct{}, 10)
			p := startPDP(t, func(w http.ResponseWriter, r *http.Request) {
				began <- struct{}{}
				answer(w, r, released)
			})
			defer close(released)
			client := p.client(t, func(c *authzen.Config) { c.Timeout = 50 * time.Millisecond })
			_, err := client.Evaluate(t.Context(), question())
			if !errors.Is(err, authzen.KindUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			<-began
			client = p.client(t, func(c *authzen.Config) { c.Timeout = time.Hour })
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-began; cancel() }()
			if _, err = client.Evaluate(ctx, question()); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestPDPThatIsNotThere(t *testing.T) {
	p := startPDP(t, says(`{"decision":true}`))
	client := p.client(t)
	p.Close()
	if _, err := client.Evaluate(t.Context(), question()); !errors.Is(err, authzen.KindUnreachable) {
		t.Errorf("error %v", err)
	}
}

// Covers VER-19.
func TestPDPMustBeTheOneThatIsTrusted(t *testing.T) {
	p := startPDP(t, says(`{"decision":true}`))
	client := p.client(t, func(c *authzen.Config) { c.TLS = nil })
	_, err := client.Evaluate(t.Context(), question())
	if !errors.Is(err, authzen.KindUnreachable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
	if r, _ := p.last(); r != nil {
		t.Error("it was asked nevertheless")
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"after a decision": says(`{"decision":true}`),
		"after an error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
		},
	} {
		for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
			t.Run(name+" by "+proto, func(t *testing.T) {
				p := startPDP(t, answer, func(s *httptest.Server) { s.EnableHTTP2 = http2 })
				client := p.client(t)
				for range 20 {
					_, _ = client.Evaluate(t.Context(), question())
				}
				if r, _ := p.last(); r.Proto[:6] != proto[:6] {
					t.Errorf("protocol %s", r.Proto)
				}
				if n := p.connections.Load(); n != 1 {
					t.Errorf("%d connections for 20 evaluations", n)
				}
			})
		}
	}
}

func TestKeptConnectionThatTurnsOutClosedCostsNothing(t *testing.T) {
	p := startPDP(t, says(`{"decision":true}`))
	client := p.client(t)
	for range 5 {
		if _, err := client.Evaluate(t.Context(), question()); err != nil {
			t.Fatal(err)
		}
		p.CloseClientConnections()
	}
}

func TestEvaluationsDoNotWaitForEachOther(t *testing.T) {
	const callers = 20
	var all sync.WaitGroup
	all.Add(callers)
	p := startPDP(t, func(w http.ResponseWriter, r *http.Request) {
		all.Done()
		all.Wait() // answers none before it has all
		says(`{"decision":true}`)(w, r)
	})
	client := p.client(t, func(c *authzen.Config) { c.Timeout = 30 * time.Second })
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			if ok, err := client.Evaluate(t.Context(), question()); !ok || err != nil {
				t.Errorf("%t, %v", ok, err)
			}
		})
	}
	group.Wait()
}

func TestIncompleteQuestionIsNotAsked(t *testing.T) {
	p := startPDP(t, says(`{"decision":true}`))
	client := p.client(t)
	for want, change := range map[string]func(*authzen.Request){
		"subject.type is required":            func(r *authzen.Request) { r.Subject.Type = "" },
		"subject.id is required":              func(r *authzen.Request) { r.Subject.ID = "" },
		"action.name is required":             func(r *authzen.Request) { r.Action.Name = "" },
		"resource.type is required":           func(r *authzen.Request) { r.Resource.Type = "" },
		"resource.id is required":             func(r *authzen.Request) { r.Resource.ID = "" },
		"subject.id is not UTF-8":             func(r *authzen.Request) { r.Subject.ID = secret + "\xff" },
		"context cannot be marshalled":        func(r *authzen.Request) { r.Context = map[string]any{"a": make(chan int)} },
		"properties or context cannot be mar": func(r *authzen.Request) { r.Action.Properties = map[string]any{secret: failing{}} },
	} {
		r := question()
		change(&r)
		_, err := client.Evaluate(t.Context(), r)
		if !errors.Is(err, authzen.KindRequest) || !strings.Contains(err.Error(), want) || holdsSecret(err.Error()) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if r, _ := p.last(); r != nil {
		t.Error("it was asked")
	}
}

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, errors.New(secret) }

// Covers VER-19.
func TestRotatedBearerTokenIsUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	p := startPDP(t, says(`{"decision":true}`))
	client := p.client(t, func(c *authzen.Config) {
		c.BearerToken = func(context.Context) (string, error) {
			text, err := os.ReadFile(path)
			return strings.TrimSpace(string(text)), err
		}
	})
	for _, token := range []string{"first", "second.part-2_~+/=="} {
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Evaluate(t.Context(), question()); err != nil {
			t.Fatal(err)
		}
		if r, _ := p.last(); r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("Authorization %q", r.Header.Get("Authorization"))
		}
	}
	asked := len(p.requests)
	for name, content := range map[string]string{
		"empty":         "\n",
		"a header":      secret + "\r\nX-Evil: 1",
		"two words":     "Bearer " + secret,
		"only padding":  "==",
		"much too long": strings.Repeat("x", 9000),
		"not ASCII":     secret + "ü",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := client.Evaluate(t.Context(), question())
		if !errors.Is(err, authzen.KindCredential) || holdsSecret(err.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Evaluate(t.Context(), question()); !errors.Is(err, authzen.KindCredential) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if len(p.requests) != asked {
		t.Error("it was asked without a token")
	}
}

// FuzzAnswer holds the client to encoding/json: what it takes for a decision is one.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{`{"decision":true}`, `{"decision":false,"a":[{}]}`, `{"decision":"true"}`, `{}`, `[]`, ` {"decision" : true } `, `{"decision":true,"decision":false}`} {
		f.Add([]byte(text))
	}
	var text []byte
	client, err := authzen.New(authzen.Config{
		URL: "https://pdp.test/", Logger: slog.New(slog.DiscardHandler), MaxResponse: 4096,
		Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(text)),
			}, nil
		}),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		text = answer
		decision, err := client.Evaluate(t.Context(), question())
		if err != nil {
			if decision || !errors.Is(err, authzen.KindAnswer) {
				t.Errorf("%t, %v", decision, err)
			}
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(answer, &want); err != nil || string(want["decision"]) != fmt.Sprint(decision) {
			t.Errorf("decision %t from %q (%v)", decision, answer, err)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
