package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/grpc-trat/grpc-trat/client"
	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/trattest"
)

// serverTLS are the credentials of a server outside SPIFFE.
func serverTLS(t *testing.T, cfg *tls.Config) credentials.TransportCredentials {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"tts.shop.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	return credentials.NewTLS(cfg)
}

// Covers SEC-01, SEC-02, SEC-13, KEY-03.
func TestNothingIsSentToAServerThatIsNotThePinnedOne(t *testing.T) {
	d := trattest.New(t, "shop.test")
	twin := trattest.New(t, "shop.test") // same names, another authority
	svid := d.SVID("tts")
	for name, creds := range map[string]credentials.TransportCredentials{
		"a valid SVID of another workload": d.ServerCredentials("evil", d.Members()),
		"an ID that the pinned one begins": d.ServerCredentials("tts/evil", d.Members()),
		"the pinned ID of another CA":      twin.ServerCredentials("tts", twin.Members()),
		"a certificate without SPIFFE ID":  serverTLS(t, &tls.Config{MinVersion: tls.VersionTLS13}),
		"the pinned SVID over TLS 1.2": credentials.NewTLS(&tls.Config{
			MaxVersion:   tls.VersionTLS12,
			ClientAuth:   tls.RequireAnyClientCert,
			Certificates: []tls.Certificate{{Certificate: [][]byte{svid.Certificates[0].Raw}, PrivateKey: svid.PrivateKey}},
		}),
		"plaintext": insecure.NewCredentials(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startTTSAs(t, d, creds)
			c, log := f.connect(t)
			_, err := c.Exchange(timeout(t), request())
			if got := status.Code(err); got != codes.Unavailable {
				t.Errorf("code = %s (%v), want %s", got, err, codes.Unavailable)
			}
			if reason, _ := trat.ReasonOf(err); reason != trat.ReasonDependencyUnavailable {
				t.Errorf("reason = %s, want %s", reason, trat.ReasonDependencyUnavailable)
			}
			// The watch tries again and again, and gets no further.
			log.wait(6, watchTrouble, "cannot be opened")
			if log.lines("level=ERROR") != 1 {
				t.Errorf("not one alarm:\n%s", log)
			}
			if n := f.rpcs.Load(); n != 0 {
				t.Errorf("%d calls reached the server", n)
			}
			if c.Ready() == nil {
				t.Error("ready with the keys of a stranger")
			}
		})
	}
}

func TestAWrongServerIsNamedBesideTheWantedOne(t *testing.T) {
	d := trattest.New(t, "shop.test")
	f := startTTSAs(t, d, d.ServerCredentials("evil", d.Members()))
	c, _ := f.connect(t)
	_, err := c.Exchange(timeout(t), request())
	for _, id := range []string{"spiffe://shop.test/evil", "want spiffe://shop.test/tts"} {
		if n := strings.Count(fmt.Sprint(err), id); n != 1 {
			t.Errorf("%q is there %d times: %v", id, n, err)
		}
	}
}

// Covers SEC-02, SEC-04.
func TestDialOptionsCannotLiftThePin(t *testing.T) {
	d := trattest.New(t, "shop.test")
	for name, test := range map[string]struct {
		server  credentials.TransportCredentials
		options []grpc.DialOption
	}{
		"credentials for anybody": {
			d.ServerCredentials("evil", d.Members()),
			[]grpc.DialOption{grpc.WithTransportCredentials(d.ClientCredentials("gateway", d.Members()))},
		},
		"no credentials": {
			insecure.NewCredentials(),
			[]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := startTTSAs(t, d, test.server)
			c, _ := f.connect(t, client.WithDialOptions(test.options...))
			if _, err := c.Exchange(timeout(t), request()); status.Code(err) != codes.Unavailable {
				t.Errorf("error = %v", err)
			}
			if n := f.rpcs.Load(); n != 0 {
				t.Errorf("%d calls reached the server", n)
			}
		})
	}
}

// A connection outlives the certificate it was made with.
func TestNothingIsSentAfterTheServersCertificateExpired(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	before := f.rpcs.Load()
	f.domain.Advance(48 * time.Hour)
	_, err := c.Exchange(timeout(t), request())
	if reason, _ := trat.ReasonOf(err); reason != trat.ReasonDependencyUnavailable || status.Code(err) != codes.Unavailable {
		t.Errorf("error = %v", err)
	}
	if f.rpcs.Load() != before {
		t.Error("the request was sent")
	}
}

// Covers SEC-13.
func TestExchangeFailsClosedWithoutTokenService(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	c, _ := f.ready(t)
	f.stop()
	token, err := c.Exchange(timeout(t), request())
	if token != nil || status.Code(err) != codes.Unavailable {
		t.Errorf("Exchange = %v, %v", token, err)
	}
	if reason, _ := trat.ReasonOf(err); reason != trat.ReasonDependencyUnavailable {
		t.Errorf("reason = %s, want %s", reason, trat.ReasonDependencyUnavailable)
	}
	// What was issued before still verifies, with the last good keys.
	if _, err := c.Verifier().Verify(f.domain.Raw()); err != nil {
		t.Error(err)
	}
}

// The server of this test does not bound the age of connections.
func TestConnectionEndsWithTheCertificateItWasMadeWith(t *testing.T) {
	f := startTTS(t, trattest.New(t, "shop.test"))
	end := f.domain.SVID("tts").Certificates[0].NotAfter
	if own := f.domain.SVID("gateway").Certificates[0].NotAfter; own.Before(end) {
		end = own
	}
	offset := time.Until(end) - 500*time.Millisecond
	_, log := f.connect(t, client.WithClock(func() time.Time { return time.Now().Add(offset) }))
	log.wait(1, "txn_token.keys.refreshed")
	log.wait(1, watchTrouble)
	eventually(t, "nobody watches", func() bool { return f.watching() == 0 })
}
