//go:build integration

package integration

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// tokenPolicy is a policy of Cerbos about the issuance of TraTs: for users of one issuer,
// but one of them, and for one workload and its scopes. The role is the type of the AuthZEN
// subject.
const tokenPolicy = `apiVersion: api.cerbos.dev/v1
resourcePolicy:
  version: default
  resource: txn_token
  rules:
    - actions: [exchange]
      roles: [subject]
      effect: EFFECT_ALLOW
      condition:
        match:
          all:
            of:
              - expr: R.id == "shop.test"
              - expr: R.attr.requester == "spiffe://shop.test/gateway"
              - expr: R.attr.scope in ["order.create", "order.read"]
              - expr: P.attr.issuer == %q
              - expr: P.attr.token_type == "urn:ietf:params:oauth:token-type:access_token"
    - actions: [exchange]
      roles: [subject]
      effect: EFFECT_DENY
      condition:
        match:
          expr: P.id == "login:mallory"
`

// callPolicy is a policy of Cerbos about calls: who may make an order that one workload asked
// for and calls for. It knows what the properties of the resource say.
const callPolicy = `apiVersion: api.cerbos.dev/v1
resourcePolicy:
  version: default
  resource: grpc_service
  rules:
    - actions: [/grpc.testing.TestService/UnaryCall]
      roles: [subject]
      effect: EFFECT_ALLOW
      condition:
        match:
          all:
            of:
              - expr: R.id == "grpc.testing.TestService"
              - expr: R.attr.scope == "order.create"
              - expr: R.attr.req_wl == "spiffe://shop.test/gateway"
              - expr: R.attr.peer == "spiffe://shop.test/gateway"
              - expr: P.attr.token_type == "urn:ietf:params:oauth:token-type:txn_token"
    - actions: ["*"]
      roles: [subject]
      effect: EFFECT_DENY
      condition:
        match:
          expr: P.id == "login:mallory"
`

// cerbos is a running Cerbos.
type cerbos struct {
	process *process
	url     string // where it is asked
	ca      string // file with the certificate that it proves itself by
}

// startCerbos runs Cerbos with callPolicy, and with tokenPolicy for that issuer, over TLS.
func startCerbos(t *testing.T, issuer string) *cerbos {
	t.Helper()
	dir := t.TempDir()
	policies := filepath.Join(dir, "policies")
	if err := os.Mkdir(policies, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, policies, "txn_token.yaml", fmt.Sprintf(tokenPolicy, issuer))
	write(t, policies, "grpc_service.yaml", callPolicy)
	certificate, key := writeServerCertificate(t, dir)
	address := "127.0.0.1:" + freePort(t)
	config := write(t, dir, "cerbos.yaml", fmt.Sprintf(`
server:
  httpListenAddr: %q
  grpcListenAddr: "unix:%s"
  tls: {cert: %q, key: %q}
  cors: {disabled: true}
storage:
  driver: disk
  disk: {directory: %q}
telemetry: {disabled: true}
`, address, filepath.Join(shortDir(t), "grpc.sock"), certificate, key, policies))
	c := &cerbos{url: "https://" + address + "/access/v1/evaluation", ca: certificate}
	c.process = start(t, command{
		name: "cerbos", program: filepath.Join(component(t, "cerbos"), "cerbos"),
		args: []string{"server", "--config", config},
	})
	transport := &http.Transport{TLSClientConfig: c.clientTLS(t)}
	defer transport.CloseIdleConnections()
	c.process.waitReady(t, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/_cerbos/health", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		_, err = read(resp)
		return err
	})
	return c
}

// clientTLS trusts this Cerbos and nobody else.
func (c *cerbos) clientTLS(t *testing.T) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(c.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}
}

// stop ends Cerbos before the test does.
func (c *cerbos) stop(t *testing.T) {
	t.Helper()
	c.process.mayEnd = true
	if err := c.process.stop(); err != nil {
		t.Fatal(err)
	}
}

// writeServerCertificate makes a certificate for 127.0.0.1 that is its own authority, and
// returns the files.
func writeServerCertificate(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private := newKey(t)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "PDP"},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, "tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		write(t, dir, "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
}
