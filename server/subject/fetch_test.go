package subject_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// serveBytes serves bytes over plain TCP: of a request for metadata or keys, those that
// documents returns, and of a question about a token, those that answer returns. It returns
// the URL.
func serveBytes(t *testing.T, documents, answer func(token string) string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_ = r.ParseForm()
				text := documents(secret)
				if r.Method == http.MethodPost {
					text = answer(r.PostForm.Get("token"))
				}
				_, _ = conn.Write([]byte(text))
			}
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	return "http://" + listener.Addr().String()
}

// Covers TTS-36.
func TestBytesThatAreNoHTTPDoNotGetIntoErrorsOrLogs(t *testing.T) {
	for name, format := range map[string]string{
		"as a status":            "HTTP/1.1 %s\r\n\r\n",
		"as a status code":       "HTTP/1.1 %.3s OK\r\n%[1]s\r\n",
		"as a version":           "%s 200 OK\r\n\r\n",
		"as a header":            "HTTP/1.1 200 OK\r\n%s\r\n\r\n",
		"as a length":            "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
		"as a transfer encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n",
		"as a chunk":             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
		"as a type":              "HTTP/1.1 200 OK\r\nContent-Type: text/%s\r\nContent-Length: 2\r\n\r\n{}",
		"as an encoding":         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\nContent-Length: 2\r\n\r\n{}",
		"as a redirect":          "HTTP/1.1 302 Found\r\nLocation: https://evil.test/%%zz%s\r\n\r\n",
		"as JSON":                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"%s",
		"as all there is":        "%s",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bytes := func(token string) string { return fmt.Sprintf(format, token) }
			cfg := opaqueConfig()
			cfg.Issuer = serveBytes(t, bytes, bytes)
			cfg.Introspection.Endpoint = cfg.Issuer + "/introspect"
			cfg.Introspection.Timeout = subject.MaxIntrospectionTimeout
			cfg.InsecureLoopbackHTTP = true
			logger, text := logged()
			issuers := startWith(t, subject.IssuersConfig{
				Issuers: []subject.IssuerConfig{cfg}, Clock: func() time.Time { return now }, Logger: logger,
			})
			r := both(t, issuers)
			p, err := verifyAccess(t, r, opaqueToken)
			wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
			key := signingKey{kid: "1", alg: "ES256", private: newECKey()}
			p, err = verifyAccess(t, r, key.jwt("at+jwt", edit(accessClaims(now), members{"iss": cfg.Issuer}), nil))
			wantError(t, p, err, trat.ReasonDependencyUnavailable, "")
			wantError(t, nil, issuers.Ready(), trat.ReasonDependencyUnavailable, "")
			_ = issuers.Close()
			if said := text.String(); said == "" || strings.Contains(said, secret) || strings.Contains(said, opaqueToken[:3]) {
				t.Errorf("the log says %s", said)
			}
		})
	}
}
