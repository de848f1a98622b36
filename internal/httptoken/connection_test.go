package httptoken_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/httptoken"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// rawTLS presents svid, whatever it is, and accepts anybody.
func rawTLS(svid *x509svid.SVID) *tls.Config {
	cert := tls.Certificate{Certificate: [][]byte{svid.Certificates[0].Raw}, PrivateKey: svid.PrivateKey}
	return &tls.Config{
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil },
		InsecureSkipVerify:   true,
		NextProtos:           []string{"http/1.1"},
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

const metadataRequest = "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: tts.shop.test\r\n\r\n"

// answerOver sends bytes over conn and returns the status line of the answer.
func answerOver(conn net.Conn, bytes string) (string, error) {
	if _, err := io.WriteString(conn, bytes); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}

// Covers SEC-01, TTS-17.
func TestOnlyMembersWithTLS13Connect(t *testing.T) {
	f := newFixture(t)
	address := f.serveHTTP(t)
	svid := func(a *devauthority.Authority, id spiffeid.ID, flaws ...devauthority.Flaw) *x509svid.SVID {
		t.Helper()
		s, err := a.X509SVID(id, flaws...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	authority := func(td string) *devauthority.Authority {
		t.Helper()
		a, err := devauthority.New(spiffeid.RequireTrustDomainFromString(td), devauthority.WithClock(f.Clock.Now))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Close() })
		return a
	}
	federated, impostor := authority("other.test"), authority("shop.test")
	if err := f.Authority.Federate(federated.Bundle()); err != nil {
		t.Fatal(err)
	}
	own := svid(f.Authority, gateway)
	past := f.Clock.Now().Add(-time.Hour)
	change := func(weaken func(*tls.Config)) *tls.Config {
		cfg := rawTLS(own)
		weaken(cfg)
		return cfg
	}
	for name, tc := range map[string]struct {
		cfg      *tls.Config
		accepted bool
	}{
		"a member": {rawTLS(own), true},
		"TLS 1.2":  {change(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), false},
		"no certificate": {change(func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
		}), false},
		"no ALPN":                {change(func(c *tls.Config) { c.NextProtos = nil }), false},
		"HTTP/2":                 {change(func(c *tls.Config) { c.NextProtos = []string{"h2"} }), false},
		"another trust domain":   {rawTLS(svid(federated, spiffeid.RequireFromString("spiffe://other.test/gateway"))), false},
		"an impostor's CA":       {rawTLS(svid(impostor, gateway)), false},
		"an expired certificate": {rawTLS(svid(f.Authority, gateway, devauthority.Valid(past.Add(-time.Hour), past))), false},
	} {
		t.Run(name, func(t *testing.T) {
			line, err := answerOver(tls.Client(dial(t, address), tc.cfg), metadataRequest)
			if accepted := strings.HasPrefix(line, "HTTP/1.1 200"); accepted != tc.accepted || (err == nil) != tc.accepted {
				t.Errorf("got %q, %v", line, err)
			}
		})
	}
	t.Run("no TLS", func(t *testing.T) {
		if line, err := answerOver(dial(t, address), metadataRequest); err == nil && strings.HasPrefix(line, "HTTP/") {
			t.Errorf("got %q", line)
		}
	})
	if spans := f.spans.GetSpans(); len(spans) != 1 {
		t.Errorf("%d requests arrived", len(spans))
	}
}

func TestSlowHandshakesHoldUpNobody(t *testing.T) {
	const most = 4
	f := newFixture(t)
	address := f.serveHTTP(t, func(c *httptoken.ServerConfig) {
		c.Credentials = f.ServerCredentials(t, spiffecreds.WithHTTP1(), spiffecreds.WithMaxHandshakes(most))
	})
	const silent = most + 2
	closed := make(chan error, silent)
	for range silent {
		conn := dial(t, address)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			closed <- err
		}()
	}
	client := f.client(t, address, gateway)
	if answer := get(t, client, "/jwks"); answer.status != http.StatusOK {
		t.Fatalf("status %d", answer.status)
	}
	// There were two silent ones too many, and one made room for the client. Which ones is
	// for the scheduler: they began at about the same time.
	for range silent + 1 - most {
		if err := <-closed; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a silent connection is still open: %v", err)
		}
	}
	select {
	case err := <-closed:
		t.Errorf("more made room than had to: %v", err)
	default:
	}
}

func TestSlowRequestsEnd(t *testing.T) {
	const short = 50 * time.Millisecond
	f := newFixture(t)
	for name, tc := range map[string]struct {
		sent       string
		read, idle time.Duration
		want       string // beginning of the answer; empty: none
	}{
		"nothing":         {"", short, patience, ""},
		"half a header":   {"POST /token HTTP/1.1\r\nHost: tts.shop.test\r\nX: ", short, patience, ""},
		"half a body":     {formHead + "Content-Length: 100\r\n\r\nscope=", 2 * time.Second, patience, "HTTP/1.1 408"},
		"nothing further": {metadataRequest, patience, short, "HTTP/1.1 200"},
	} {
		t.Run(name, func(t *testing.T) {
			address := f.serveHTTP(t, func(c *httptoken.ServerConfig) { c.ReadTimeout, c.IdleTimeout = tc.read, tc.idle })
			conn := f.dialRaw(t, address, gateway)
			if _, err := io.WriteString(conn, tc.sent); err != nil && tc.want != "" {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn)
			if errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(string(answer), tc.want) || (tc.want == "") != (len(answer) == 0) {
				t.Errorf("got %q, %v", answer, err)
			}
		})
	}
}

const formHead = "POST /token HTTP/1.1\r\nHost: tts.shop.test\r\nContent-Type: application/x-www-form-urlencoded\r\n"

// What two parsers could split in two ways is refused, and the connection with it.
func TestRequestsWithTwoLengthsEndTheConnection(t *testing.T) {
	f := newFixture(t)
	// What is left of a request is waited for as long.
	address := f.serveHTTP(t, func(c *httptoken.ServerConfig) { c.ReadTimeout = 2 * time.Second })
	const smuggled = "GET /jwks HTTP/1.1\r\nHost: tts.shop.test\r\n\r\n"
	for name, sent := range map[string]string{
		"a length and chunks":           formHead + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"chunks and a length":           formHead + "Transfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n0\r\n\r\n" + smuggled,
		"chunks":                        formHead + "Transfer-Encoding: chunked\r\n\r\n7\r\nscope=a\r\n0\r\n\r\n" + smuggled,
		"two encodings":                 formHead + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled,
		"an obfuscated encoding":        formHead + "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled,
		"two lengths":                   formHead + "Content-Length: 5\r\nContent-Length: 7\r\n\r\nscope=a" + smuggled,
		"a list of lengths":             formHead + "Content-Length: 5, 7\r\n\r\nscope=a" + smuggled,
		"a signed length":               formHead + "Content-Length: +7\r\n\r\nscope=a" + smuggled,
		"a negative length":             formHead + "Content-Length: -1\r\n\r\n" + smuggled,
		"a space before the colon":      formHead + "Content-Length : 7\r\n\r\nscope=a" + smuggled,
		"a folded header":               formHead + "Content-Length: 7\r\n Transfer-Encoding: chunked\r\n\r\nscope=a" + smuggled,
		"a length too large to be read": formHead + "Content-Length: 65537\r\n\r\nscope=a" + smuggled,
		"a header too large to be read": formHead + "X: " + strings.Repeat("x", 32<<10) + "\r\n\r\n" + smuggled,
		"an HTTP/2 preface":             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + smuggled,
		"another expectation":           formHead + "Expect: a-token\r\nContent-Length: 7\r\n\r\nscope=a" + smuggled,
		"no Host":                       "GET /jwks HTTP/1.1\r\n\r\n" + smuggled,
	} {
		t.Run(name, func(t *testing.T) {
			conn := f.dialRaw(t, address, gateway)
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(conn)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("the connection is open after %q", text)
			}
			if n := strings.Count(string(text), "HTTP/1.1 "); n != 1 || strings.Contains(string(text), `"keys"`) {
				t.Errorf("%d answers: %q", n, text)
			}
			if !strings.HasPrefix(string(text), "HTTP/1.1 4") && !strings.HasPrefix(string(text), "HTTP/1.1 5") {
				t.Errorf("got %q", text)
			}
		})
	}
	for _, record := range f.Records.Take() {
		if record.Issued() {
			t.Errorf("record %+v", record)
		}
	}
}

func TestOldConnectionsEnd(t *testing.T) {
	t.Run("with their next answer", func(t *testing.T) {
		f := newFixture(t)
		conn := f.dialRaw(t, f.serveHTTP(t, func(c *httptoken.ServerConfig) { c.MaxConnectionAge = 10 * time.Millisecond }), gateway)
		reader := bufio.NewReader(conn)
		for last := false; !last; {
			if _, err := io.WriteString(conn, metadataRequest); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer := read(t, response); answer.status != http.StatusOK {
				t.Errorf("status %d", answer.status)
			}
			last = response.Close
		}
		if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v after the last answer", rest, err)
		}
	})
	t.Run("whatever they do", func(t *testing.T) {
		f := newFixture(t)
		conn := f.dialRaw(t, f.serveHTTP(t, func(c *httptoken.ServerConfig) {
			c.MaxConnectionAge, c.AgeGrace = time.Nanosecond, 20*time.Millisecond
		}), gateway)
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("an idle connection is still open: %v", err)
		}
	})
	t.Run("young ones do not", func(t *testing.T) {
		f := newFixture(t)
		conn := f.dialRaw(t, f.serveHTTP(t), gateway)
		reader := bufio.NewReader(conn)
		for range 3 {
			if _, err := io.WriteString(conn, metadataRequest); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer := read(t, response); answer.status != http.StatusOK || response.Close {
				t.Errorf("status %d, closes %t", answer.status, response.Close)
			}
		}
	})
}

// Covers SEC-02.
func TestClientThatPinsTheServiceSendsNothingToAnother(t *testing.T) {
	f := newFixture(t)
	source := f.Authority.Source(stranger)
	creds, err := spiffecreds.NewServer(source, source, spiffeid.MatchMemberOf(trustDomain), spiffecreds.WithHTTP1(),
		spiffecreds.WithClock(f.Clock.Now), spiffecreds.WithLogger(f.Logger))
	if err != nil {
		t.Fatal(err)
	}
	address := f.serveHTTP(t, func(c *httptoken.ServerConfig) { c.Credentials = creds })
	request := badForm{}.request(t)
	if response, err := f.client(t, address, gateway).Do(request); err == nil {
		response.Body.Close()
		t.Error("the request was sent")
	}
	if spans := f.spans.GetSpans(); len(spans) != 0 {
		t.Errorf("%d requests arrived", len(spans))
	}
}
