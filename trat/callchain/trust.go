package callchain

import (
	"crypto/x509"
	"maps"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/sync/singleflight"

	"github.com/grpc-trat/grpc-trat/trat"
)

// trust is the bundle of a trust domain as it is now, and all that was verified by it. Any
// change of the bundle makes a new one: what was verified before counts for nothing.
type trust struct {
	domain      spiffeid.TrustDomain
	authorities []*x509.Certificate
	pool        *x509.CertPool
	// leaves has paths of certificates by the SHA-256 of the leaf.
	leaves *cache[*leafPath]
	// roots has the signatures of roots of groups by the root.
	roots *cache[rootSignature]
	// verifying has those that are being verified.
	verifying singleflight.Group
}

// trust returns what there is to trust in domain: KEYS_UNAVAILABLE, Field "bundle", when
// there is no bundle.
func (v *Verifier) trust(domain spiffeid.TrustDomain) (*trust, error) {
	bundle, err := v.bundles.GetX509BundleForTrustDomain(domain)
	if err != nil {
		return nil, &trat.Error{Reason: trat.ReasonKeysUnavailable, Field: FieldBundle, Err: err}
	}
	authorities := bundle.X509Authorities()
	if len(authorities) == 0 {
		return nil, trat.Errorf(trat.ReasonKeysUnavailable, FieldBundle, "it is empty")
	}
	if known := v.trusts.Load(); known != nil {
		if t := (*known)[domain]; t != nil && slices.EqualFunc(t.authorities, authorities, sameCertificate) {
			return t, nil
		}
	}
	t := &trust{
		domain:      domain,
		authorities: authorities,
		pool:        x509.NewCertPool(),
		leaves:      newCache[*leafPath](v.cacheSize),
		roots:       newCache[rootSignature](v.cacheSize),
	}
	for _, authority := range authorities {
		t.pool.AddCert(authority)
	}
	v.remember(t)
	return t, nil
}

// remember puts t in the place of what was known of its domain. There are as many domains
// as workloads of this process and of its audits are of.
func (v *Verifier) remember(t *trust) {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := map[spiffeid.TrustDomain]*trust{}
	if known := v.trusts.Load(); known != nil {
		next = maps.Clone(*known)
	}
	next[t.domain] = t
	v.trusts.Store(&next)
}

func sameCertificate(a, b *x509.Certificate) bool { return a == b || a.Equal(b) }

// rootSignature is a signature of the root of a group that was verified. Signature bytes are
// part of it: if any bytes went with a root that is known, a peer could have a link accepted
// that nobody can verify later.
type rootSignature struct {
	leafHash  [32]byte
	signature [signatureSize]byte
}

// verifySignature reports whether the leaf of s has signed the root of its group. A root
// that it has verifiably signed is remembered, unless nobody would ask again: a last link
// that was signed alone comes once, and a replay of it is to be no cheaper.
func (t *trust) verifySignature(s *signedLink, last bool) bool {
	root := s.root()
	if last && s.path.levels() == 0 {
		return s.verify(root)
	}
	signed := rootSignature{leafHash: s.leafHash, signature: s.signature}
	if known, ok := t.roots.get(root); ok && known == signed {
		return true
	}
	// The links of a group are sent at the same time and arrive at the same time: one of
	// them is verified, the others wait for it.
	flight := make([]byte, 0, len(root)+len(signed.leafHash)+len(signed.signature))
	flight = append(append(append(flight, root[:]...), signed.leafHash[:]...), signed.signature[:]...)
	valid, _, _ := t.verifying.Do(string(flight), func() (any, error) {
		if known, ok := t.roots.get(root); ok && known == signed { // since we looked
			return true, nil
		}
		valid := s.verify(root)
		if valid {
			t.roots.put(root, signed, s.issuedAt.UnixMilli())
		}
		return valid, nil
	})
	return valid == true
}

// verify reports whether the leaf of s has signed root.
func (s *signedLink) verify(root [32]byte) bool {
	return trat.VerifySignature(trat.ES256, s.link.leaf.PublicKey, string(rootStatement(s.leafHash, root)), s.signature[:])
}
