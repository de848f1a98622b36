package spiffecreds_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

// issuer is a CA of these tests, a root or one below another.
type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newIssuer(t *testing.T, parent *issuer, name string, curve elliptic.Curve) *issuer {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(curve, rand.Reader))
	made := &issuer{key: key}
	if parent == nil {
		parent = made
	}
	made.cert = certify(t, parent, key.Public(), &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return made
}

// svid is an X.509-SVID of id, with the certificates sent behind it.
func (i *issuer) svid(t *testing.T, id spiffeid.ID, behind ...*issuer) *svid {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	leaf := certify(t, i, key.Public(), &x509.Certificate{URIs: []*url.URL{id.URL()}, KeyUsage: x509.KeyUsageDigitalSignature})
	certs := []*x509.Certificate{leaf}
	for _, b := range behind {
		certs = append(certs, b.cert)
	}
	return &svid{ID: id, Certificates: certs, PrivateKey: key}
}

func certify(t *testing.T, parent *issuer, public crypto.PublicKey, template *x509.Certificate) *x509.Certificate {
	t.Helper()
	template.SerialNumber = must[*big.Int](t)(rand.Int(rand.Reader, big.NewInt(1<<62)))
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	above := parent.cert
	if above == nil {
		above = template
	}
	return must[*x509.Certificate](t)(x509.ParseCertificate(must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, above, public, parent.key))))
}

// Whoever has no SVID can send certificates too, with names that are all the same and keys
// that take long.
//
// Covers VER-16, VER-25.
func TestOnlyIntermediatesUnderTheBundleCount(t *testing.T) {
	root := newIssuer(t, nil, "root", elliptic.P256())
	upper := newIssuer(t, root, "upper", elliptic.P256())
	lower := newIssuer(t, upper, "lower", elliptic.P256())
	madeUp := []*issuer{newIssuer(t, nil, "lower", elliptic.P521())}
	for len(madeUp) < 6 {
		madeUp = append(madeUp, newIssuer(t, madeUp[len(madeUp)-1], "lower", elliptic.P521()))
	}
	td := gateway.TrustDomain()
	bundle := x509bundle.FromX509Authorities(td, []*x509.Certificate{root.cert})
	server := root.svid(t, orders)
	for name, tt := range map[string]struct {
		client *svid
		want   []*x509.Certificate
		ok     bool
	}{
		"two that lead to the bundle, in any order": {lower.svid(t, gateway, upper, lower), []*x509.Certificate{upper.cert, lower.cert}, true},
		"others between them":                       {lower.svid(t, gateway, lower, madeUp[0], madeUp[1], upper), []*x509.Certificate{upper.cert, lower.cert}, true},
		"made-up ones beside a leaf of the root":    {root.svid(t, gateway, madeUp...), nil, true},
		"a leaf of a made-up one":                   {madeUp[5].svid(t, gateway, madeUp...), nil, false},
		"more than anybody needs":                   {lower.svid(t, gateway, append(slices.Clone(madeUp), upper, lower)...), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, info, _, err := handshake(t,
				must[transportCredentials](t)(spiffecreds.NewClient(tt.client, bundle, spiffeid.MatchID(orders))),
				must[transportCredentials](t)(spiffecreds.NewServer(server, bundle, members)))
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, spiffecreds.ErrChain) {
				t.Fatalf("error %v", err)
			}
			if peer, _ := spiffecreds.PeerFromAuthInfo(info); !slices.EqualFunc(peer.Intermediates, tt.want, (*x509.Certificate).Equal) {
				t.Errorf("%d intermediates, want %d", len(peer.Intermediates), len(tt.want))
			}
		})
	}
}
