package httptoken_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/httptoken"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// writeSVID leaves the files that `spire-agent api fetch x509 -write` does.
func writeSVID(t *testing.T, svid *x509svid.SVID, bundle []*x509.Certificate) (dir string) {
	t.Helper()
	dir = t.TempDir()
	certificates, key, err := svid.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var authorities bytes.Buffer
	for _, cert := range bundle {
		if err := pem.Encode(&authorities, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string][]byte{"svid.0.pem": certificates, "svid.0.key": key, "bundle.0.pem": authorities.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fileClient is a client that knows nothing of SPIFFE: files, a host name, and TLS as it
// comes.
func fileClient(t *testing.T, dir, address string) *http.Client {
	t.Helper()
	authorities, err := os.ReadFile(filepath.Join(dir, "bundle.0.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authorities) {
		t.Fatal("no certificates in the bundle")
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "svid.0.pem"), filepath.Join(dir, "svid.0.key"))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true, // offers h2 and http/1.1, as most clients do
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// What docs/http.md says of clients that know only host names.
//
// Covers TTS-02, SEC-01.
func TestClientThatKnowsOnlyFilesAndAHostNameExchanges(t *testing.T) {
	f := newFixtureAt(t, time.Now()) // for the client's clock
	// The subject is for those to whom a certificate with the subject of its issuer is
	// self-signed, as it is to OpenSSL.
	named, err := f.Authority.X509SVID(tts, func(d *devauthority.Draft) error {
		d.Template.DNSNames = []string{"tts.shop.test"}
		d.Template.Subject = pkix.Name{Organization: []string{"tts"}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	creds, err := spiffecreds.NewServer(named, f.Authority.Source(tts), spiffeid.MatchMemberOf(trustDomain),
		spiffecreds.WithHTTP1(), spiffecreds.WithClock(f.Clock.Now), spiffecreds.WithLogger(f.Logger))
	if err != nil {
		t.Fatal(err)
	}
	own, err := f.Authority.X509SVID(gateway)
	if err != nil {
		t.Fatal(err)
	}
	address := f.serveHTTP(t, func(c *httptoken.ServerConfig) { c.Credentials = creds })
	client := fileClient(t, writeSVID(t, own, f.Authority.Bundle().X509Authorities()), address)
	answer := post(t, client, encode(goodRequest()))
	if answer.status != http.StatusOK {
		t.Fatalf("status %d, %s", answer.status, answer.text)
	}
	token := f.VerifyWith(t, get(t, client, "/jwks").text, answer.body.AccessToken)
	if got := token.Claims().RequestingWorkload; got != gateway.String() {
		t.Errorf("req_wl is %s", got)
	}
}
