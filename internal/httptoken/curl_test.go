package httptoken_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/internal/devauthority"
	"github.com/grpc-trat/grpc-trat/internal/httptoken"
	"github.com/grpc-trat/grpc-trat/spiffecreds"
	"github.com/grpc-trat/grpc-trat/trat"
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

// The example of docs/http.md, with a client that is none of ours.
//
// Covers TTS-02, SEC-01.
func TestCurlExchanges(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	f := newFixtureAt(t, time.Now())
	// The DNS name is for curl, which compares no SPIFFE IDs; the subject for OpenSSL, to
	// which a certificate with the subject of its issuer is self-signed.
	named, err := f.authority.X509SVID(tts, func(d *devauthority.Draft) error {
		d.Template.DNSNames = []string{"tts.shop.test"}
		d.Template.Subject = pkix.Name{Organization: []string{"tts"}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	creds, err := spiffecreds.NewServer(named, f.authority.Source(tts), spiffeid.MatchMemberOf(trustDomain),
		spiffecreds.WithHTTP1(), spiffecreds.WithClock(f.clock.Now), spiffecreds.WithLogger(f.logger))
	if err != nil {
		t.Fatal(err)
	}
	address := f.serveHTTP(t, func(c *httptoken.ServerConfig) { c.Credentials = creds })
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	own, err := f.authority.X509SVID(gateway)
	if err != nil {
		t.Fatal(err)
	}
	dir := writeSVID(t, own, f.authority.Bundle().X509Authorities())
	run := func(path string, more ...string) []byte {
		t.Helper()
		args := []string{
			"--silent", "--show-error", "--fail-with-body", "--max-time", "20", "--noproxy", "*",
			"--cacert", "bundle.0.pem", "--cert", "svid.0.pem", "--key", "svid.0.key",
			"--connect-to", "tts.shop.test:443:127.0.0.1:" + port, "https://tts.shop.test" + path,
		}
		cmd := exec.CommandContext(t.Context(), curl, slices.Concat(args, more)...)
		cmd.Dir = dir
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("curl: %v\n%s%s\n%s", err, stdout.Bytes(), stderr.Bytes(), f.logs)
		}
		return stdout.Bytes()
	}
	request := goodRequest()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	text := run("/token",
		"--data-urlencode", "grant_type="+trat.GrantType,
		"--data-urlencode", "requested_token_type="+trat.TokenType,
		"--data-urlencode", "audience="+request.GetAudience(),
		"--data-urlencode", "scope="+request.GetScope(),
		"--data-urlencode", "subject_token_type="+request.GetSubjectTokenType(),
		"--data-urlencode", "subject_token="+request.GetSubjectToken(),
		"--data-urlencode", "request_details="+request.GetRequestDetails())
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	token := f.verify(t, string(run("/jwks")), answer.AccessToken)
	if got := token.Claims().RequestingWorkload; got != gateway.String() {
		t.Errorf("req_wl is %s", got)
	}
	if !bytes.Contains(run("/.well-known/oauth-authorization-server"), []byte(`"issuer":"`+issuer+`"`)) {
		t.Error("the metadata is of another issuer")
	}
}
