package outbound_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/outbound"
)

// secret is in everything that must not get into an error.
const secret = "s3cret"

// serve serves answer over TLS and returns a client that trusts it.
func serve(t *testing.T, answer http.HandlerFunc, options ...func(*outbound.Config)) (*outbound.Client, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(answer)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	cfg := outbound.Config{Timeout: 10 * time.Second, MaxConns: 10, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	for _, option := range options {
		option(&cfg)
	}
	client := outbound.New(cfg)
	t.Cleanup(client.Close)
	return client, server.URL
}

func ask(ctx context.Context, t *testing.T, client *outbound.Client, url string) ([]byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	return client.Do(req, outbound.Expect{MaxBody: 100, Type: outbound.IsJSON})
}

func typed(header, value, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set(header, value)
		_, _ = io.WriteString(w, text)
	}
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

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/"+secret)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, secret)
	}
}

// Covers TTS-36.
func TestWhatIsNotWantedIsAnErrorWithoutIt(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		kind   outbound.Kind // empty: no error
		status int
	}{
		"JSON":                     {typed("X-A", secret, secret), "", 0},
		"JSON with a charset":      {typed("Content-Type", "Application/JSON; charset=utf-8", secret), "", 0},
		"what is just short":       {typed("X-A", secret, strings.Repeat("x", 100)), "", 0},
		"what is just too long":    {typed("X-A", secret, strings.Repeat("x", 101)), outbound.KindTooLong, 0},
		"an encoding of no change": {typed("Content-Encoding", "identity", secret), "", 0},
		"a compressed answer":      {typed("Content-Encoding", "gzip", secret), outbound.KindType, 0},
		"an odd encoding":          {typed("Content-Encoding", secret, secret), outbound.KindType, 0},
		"another type":             {typed("Content-Type", "text/"+secret, secret), outbound.KindType, 0},
		"no type":                  {typed("Content-Type", "", secret), outbound.KindType, 0},
		"a malformed type":         {typed("Content-Type", "application/json; "+secret+"=\"", secret), outbound.KindType, 0},
		"another success":          {status(201), outbound.KindStatus, 201},
		"a redirect":               {status(302), outbound.KindStatus, 302},
		"a redirect of the body":   {status(307), outbound.KindStatus, 307},
		"a failure":                {status(500), outbound.KindStatus, 500},
		"a malformed status":       {raw("HTTP/1.1 " + secret + "\r\n\r\n"), outbound.KindUnreachable, 0},
		"a malformed version":      {raw(secret + "/1.1 200 OK\r\n\r\n"), outbound.KindUnreachable, 0},
		"a malformed header":       {raw("HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n"), outbound.KindUnreachable, 0},
		"a malformed length":       {raw("HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n"), outbound.KindUnreachable, 0},
		"a malformed encoding":     {raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n"), outbound.KindUnreachable, 0},
		"a malformed chunk":        {raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n"), outbound.KindUnreachable, 0},
		"a malformed redirect":     {raw("HTTP/1.1 302 Found\r\nLocation: https://a.test/%zz" + secret + "\r\n\r\n"), outbound.KindUnreachable, 0},
		"no HTTP":                  {raw(secret), outbound.KindUnreachable, 0},
		"nothing":                  {raw(""), outbound.KindUnreachable, 0},
		"a huge header":            {raw("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat(secret, 10_000) + "\r\n\r\n"), outbound.KindUnreachable, 0},
		"half an answer":           {raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n" + secret), outbound.KindUnreachable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			client, url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/" || r.Header.Get("Accept-Encoding") != "identity" {
					t.Errorf("asked for %s with %v", r.URL, r.Header)
				}
				test.answer(w, r)
			})
			body, err := ask(t.Context(), t, client, url+"/")
			if test.kind == "" {
				if err != nil || len(body) == 0 {
					t.Errorf("%q, %v", body, err)
				}
				return
			}
			e, ok := errors.AsType[*outbound.Error](err)
			if body != nil || !ok || !errors.Is(err, test.kind) || e.Status != test.status {
				t.Fatalf("%q, %v, want %s", body, err, test.kind)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the answer is in the error: %v", err)
			}
		})
	}
}

func TestAnExchangeEndsInTime(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"without an answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"within one": func(w http.ResponseWriter, r *http.Request) {
			typed("X-A", "", "{")(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"within an error": func(w http.ResponseWriter, r *http.Request) {
			status(500)(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			drained := func(r http.HandlerFunc) http.HandlerFunc {
				return func(w http.ResponseWriter, req *http.Request) {
					_, _ = io.Copy(io.Discard, req.Body) // or the server does not see the client go
					r(w, req)
				}
			}
			client, url := serve(t, drained(answer), func(c *outbound.Config) { c.Timeout = 50 * time.Millisecond })
			_, err := ask(t.Context(), t, client, url)
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, outbound.KindStatus) {
				t.Errorf("error %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := ask(ctx, t, client, url); !errors.Is(err, context.Canceled) || !errors.Is(err, outbound.KindUnreachable) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestWhoIsNotTrustedIsNotAsked(t *testing.T) {
	asked := func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }
	client, url := serve(t, asked, func(c *outbound.Config) { c.TLS = nil })
	_, err := ask(t.Context(), t, client, url)
	if !errors.Is(err, outbound.KindUnreachable) || err.Error() != "the certificate is signed by an unknown authority" {
		t.Errorf("error %v", err)
	}
	client, url = serve(t, asked, func(c *outbound.Config) { c.TLS.ServerName = "other.test" })
	if _, err := ask(t.Context(), t, client, url); err == nil || err.Error() != "the certificate is for another host" {
		t.Errorf("error %v", err)
	}
}

func TestAGivenTransportIsBoundedToo(t *testing.T) {
	server := httptest.NewTLSServer(typed("Content-Encoding", "gzip", secret))
	defer server.Close()
	client := outbound.New(outbound.Config{Timeout: 10 * time.Second, MaxConns: 1, Transport: server.Client().Transport})
	defer client.Close()
	if _, err := ask(t.Context(), t, client, server.URL); !errors.Is(err, outbound.KindType) {
		t.Errorf("error %v, want that it is compressed", err)
	}
}

func TestAClientWithoutBoundsIsAMistake(t *testing.T) {
	for _, cfg := range []outbound.Config{{}, {Timeout: time.Second}, {MaxConns: 1}, {Timeout: -1, MaxConns: 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%+v) made a client", cfg)
				}
			}()
			outbound.New(cfg)
		}()
	}
}
