package callchain

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/grpc-trat/grpc-trat/internal/svidleaf"
)

// leafPath is a leaf that can sign links, with a path from it to the bundle.
type leafPath struct {
	id   spiffeid.ID
	leaf *x509.Certificate
	// intermediates, in DER, are between leaf and bundle.
	intermediates [][]byte
	// notBefore and notAfter are when all certificates of the path are valid.
	notBefore, notAfter time.Time
}

func (p *leafPath) validAt(t time.Time) bool { return !t.Before(p.notBefore) && !t.After(p.notAfter) }

var (
	errKey         = errors.New("not a key on P-256")
	errOtherID     = errors.New("certificate of another workload")
	errOtherDomain = errors.New("certificate of another trust domain")
	errTooLong     = errors.New("certificate is too long")
)

// conveyed is the certificates that came with a chain: in the chain, and by its connection.
type conveyed struct {
	intermediates [][]byte
	// peer is the leaf of the connection, nil without one.
	peer              *x509.Certificate
	peerIntermediates []*x509.Certificate
	// known is what pool has returned for poolOf.
	known  *x509.CertPool
	poolOf *trust
}

// intermediatesUnder returns the intermediates that lead to an authority of t.
func (c *conveyed) intermediatesUnder(t *trust) []*x509.Certificate {
	sent := slices.Clone(c.peerIntermediates)
	for _, der := range c.intermediates {
		if cert, err := x509.ParseCertificate(der); err == nil {
			sent = append(sent, cert)
		}
	}
	return svidleaf.Intermediates(t.authorities, sent)
}

// pool returns what leads from leaves to the authorities of t.
func (c *conveyed) pool(t *trust) *x509.CertPool {
	if c.poolOf != t {
		c.poolOf, c.known = t, x509.NewCertPool()
		for _, cert := range c.intermediatesUnder(t) {
			c.known.AddCert(cert)
		}
	}
	return c.known
}

// parse returns the certificate of a link.
func (c *conveyed) parse(der []byte) (*x509.Certificate, error) {
	if c.peer != nil && sameBytes(c.peer.Raw, der) {
		return c.peer, nil
	}
	return x509.ParseCertificate(der)
}

// sameBytes reports whether a and b are the same bytes in the same place.
func sameBytes(a, b []byte) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

// path returns the path of the leaf of l, which is valid at the given time.
func (t *trust) path(l *signedLink, c *conveyed, at time.Time) (*leafPath, error) {
	p, ok := t.leaves.get(l.leafHash)
	if !ok || !p.validAt(at) {
		var err error
		if p, err = t.findPath(l.leaf, c, at); err != nil {
			return nil, err
		}
		t.leaves.put(l.leafHash, p, p.notAfter.Unix())
	}
	if p.id != l.issuer {
		return nil, errOtherID
	}
	return p, nil
}

// findPath checks a leaf: the cheap first.
func (t *trust) findPath(der []byte, c *conveyed, at time.Time) (*leafPath, error) {
	if len(der) > maxCertificateSize {
		return nil, errTooLong
	}
	leaf, err := c.parse(der)
	if err != nil {
		return nil, err
	}
	id, check, cause := svidleaf.Check(leaf)
	if check != nil {
		return nil, errors.Join(check, cause)
	}
	if !id.MemberOf(t.domain) {
		return nil, errOtherDomain
	}
	if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return nil, errKey
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots:         t.pool,
		Intermediates: c.pool(t),
		CurrentTime:   at,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, err
	}
	best := newLeafPath(id, chains[0])
	for _, chain := range chains[1:] {
		if p := newLeafPath(id, chain); p.notAfter.After(best.notAfter) {
			best = p
		}
	}
	return best, nil
}

// newLeafPath returns the path that chain is, from its leaf to an authority.
func newLeafPath(id spiffeid.ID, chain []*x509.Certificate) *leafPath {
	p := &leafPath{id: id, leaf: chain[0], notBefore: chain[0].NotBefore, notAfter: chain[0].NotAfter}
	for i, cert := range chain {
		if cert.NotBefore.After(p.notBefore) {
			p.notBefore = cert.NotBefore
		}
		if cert.NotAfter.Before(p.notAfter) {
			p.notAfter = cert.NotAfter
		}
		if i > 0 && i < len(chain)-1 {
			p.intermediates = append(p.intermediates, cert.Raw)
		}
	}
	return p
}
