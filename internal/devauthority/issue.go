package devauthority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

const (
	caLifetime = 365 * 24 * time.Hour
	// backdate is for peers whose clock is a little behind.
	backdate = 10 * time.Second
)

// organization shows in every certificate that it is worth nothing outside.
var organization = pkix.Name{Organization: []string{"grpc-trat development authority"}}

// authority is the name of CAs. It differs from that of SVIDs: OpenSSL takes a certificate
// whose issuer has its own name for a self-signed one.
var authority = pkix.Name{Organization: organization.Organization, CommonName: "authority"}

// signer is a CA certificate with its key.
type signer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newSigner(td spiffeid.TrustDomain, now time.Time) (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("devauthority: CA key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               authority,
		URIs:                  []*url.URL{td.ID().URL()},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &signer{cert: cert, key: key}, nil
}

// bundleWith returns this CA's certificate, and those of bundle if that is not nil.
func (s *signer) bundleWith(bundle *x509bundle.Bundle) []*x509.Certificate {
	certs := []*x509.Certificate{s.cert}
	if bundle != nil {
		certs = append(certs, bundle.X509Authorities()...)
	}
	return certs
}

// issue makes an SVID. The lock is held.
func (a *Authority) issue(id spiffeid.ID, flaws []Flaw) (*x509svid.SVID, error) {
	if !id.MemberOf(a.trustDomain) {
		return nil, fmt.Errorf("devauthority: %s is not in trust domain %q", id, a.trustDomain.Name())
	}
	if id.Path() == "" {
		return nil, fmt.Errorf("devauthority: %s has no path", id)
	}
	now := a.now()
	draft := &Draft{
		ID: id,
		Template: &x509.Certificate{
			SerialNumber:          newSerial(),
			Subject:               organization,
			URIs:                  []*url.URL{id.URL()},
			DNSNames:              a.dnsNames[id],
			NotBefore:             now.Add(-backdate),
			NotAfter:              now.Add(a.lifetime),
			KeyUsage:              x509.KeyUsageDigitalSignature,
			ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			BasicConstraintsValid: true,
		},
	}
	for _, flaw := range flaws {
		if err := flaw(draft); err != nil {
			return nil, fmt.Errorf("devauthority: flaw: %w", err)
		}
	}
	if draft.Key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("devauthority: SVID key: %w", err)
		}
		draft.Key = key
	}
	cert, err := sign(draft.Template, a.ca.cert, draft.Key.Public(), a.ca.key)
	if err != nil {
		return nil, err
	}
	return &x509svid.SVID{ID: draft.ID, Certificates: []*x509.Certificate{cert}, PrivateKey: draft.Key}, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("devauthority: certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("devauthority: certificate: %w", err)
	}
	return cert, nil
}

// newSerial returns a random serial number of 127 bits; crypto/rand does not fail.
func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] &= 0x7f
	b[15] |= 1 // never zero
	return new(big.Int).SetBytes(b[:])
}
