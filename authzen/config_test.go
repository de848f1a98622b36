package authzen_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/authzen"
)

func TestNewReportsAllProblems(t *testing.T) {
	_, err := authzen.New(authzen.Config{
		URL: "http://pdp.test/", Timeout: -1, MaxResponse: -1,
		TLS: &tls.Config{InsecureSkipVerify: true}, Transport: http.DefaultTransport,
	})
	for _, want := range []string{
		"URL: is not https", "Logger: required", "Timeout: negative", "MaxResponse: negative",
		"TLS: does not verify the PDP", "TLS: has no effect on Transport",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestURLsThatAreRefused(t *testing.T) {
	tests := map[string]struct {
		want     string
		loopback bool
	}{
		"":                                  {want: "required"},
		"://" + secret:                      {want: "not a URL"},
		"pdp.test/evaluation":               {want: "has no host"},
		"https:pdp.test":                    {want: "has no host"},
		"https://u:" + secret + "@pdp.test": {want: "has a user"},
		"https://pdp.test/?a=" + secret:     {want: "has a query"},
		"https://pdp.test/?":                {want: "has a query"},
		"https://pdp.test/#f":               {want: "has a fragment"},
		"http://pdp.test/":                  {want: "is not https", loopback: true},
		"http://127.0.0.1.pdp.test/":        {want: "is not https", loopback: true},
		"http://10.0.0.1/":                  {want: "is not https", loopback: true},
		"ftp://127.0.0.1/":                  {want: "is not https", loopback: true},
		"http://127.0.0.1/":                 {want: "InsecureLoopbackHTTP must be true"},
		"http://[::1]:80/":                  {loopback: true},
		"http://localhost:80/":              {loopback: true},
		"https://pdp.test/a":                {},
	}
	for url, tc := range tests {
		_, err := authzen.New(authzen.Config{URL: url, Logger: slog.New(slog.DiscardHandler), InsecureLoopbackHTTP: tc.loopback})
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", url, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || holdsSecret(err.Error())):
			t.Errorf("%s: error %v, want %q", url, err, tc.want)
		}
	}
}

func TestPlainHTTPOnThisHostIsAChoice(t *testing.T) {
	s := httptest.NewServer(says(`{"decision":true}`))
	defer s.Close()
	client, err := authzen.New(authzen.Config{URL: s.URL, Logger: slog.New(slog.DiscardHandler), InsecureLoopbackHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if ok, err := client.Evaluate(t.Context(), question()); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
}

// A workload's own verification, as SPIFFE's configurations have it, is one.
func TestOwnVerificationIsOne(t *testing.T) {
	p := startPDP(t, says(`{"decision":true}`))
	verified := 0
	config := &tls.Config{InsecureSkipVerify: true, VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error {
		verified++
		return nil
	}}
	client := p.client(t, func(c *authzen.Config) { c.TLS = config })
	if ok, err := client.Evaluate(t.Context(), question()); !ok || err != nil || verified != 1 {
		t.Errorf("%t, %v, verified %d times", ok, err, verified)
	}
	if config.MinVersion != 0 {
		t.Error("the caller's configuration was changed")
	}
}

func TestOldTLSIsNotSpoken(t *testing.T) {
	p := startPDP(t, says(`{"decision":true}`), func(s *httptest.Server) {
		s.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	})
	client := p.client(t, func(c *authzen.Config) { c.TLS.MinVersion = tls.VersionTLS10 })
	if _, err := client.Evaluate(t.Context(), question()); err == nil {
		t.Error("no error")
	}
}

func TestTransportIsUsed(t *testing.T) {
	client, err := authzen.New(authzen.Config{
		URL: "https://pdp.test/", Logger: slog.New(slog.DiscardHandler),
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(`{"decision":true}`)), Request: r,
			}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := client.Evaluate(t.Context(), question()); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
}
