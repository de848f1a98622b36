package devauthority

import (
	"fmt"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Source is a workload's X.509-SVID and bundles without a socket in between. It
// implements x509svid.Source and x509bundle.Source and follows every change of its
// Authority at once. It is safe for concurrent use and needs no closing.
type Source struct {
	authority *Authority
	id        spiffeid.ID
}

var (
	_ x509svid.Source   = (*Source)(nil)
	_ x509bundle.Source = (*Source)(nil)
)

// Source returns the source of the workload id.
func (a *Authority) Source(id spiffeid.ID) *Source { return &Source{authority: a, id: id} }

// GetX509SVID implements x509svid.Source.
func (s *Source) GetX509SVID() (*x509svid.SVID, error) { return s.authority.X509SVID(s.id) }

// GetX509BundleForTrustDomain implements x509bundle.Source, for the authority's own
// trust domain and those federated.
func (s *Source) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	a := s.authority
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, errClosed
	}
	if td == a.trustDomain {
		return a.bundle, nil
	}
	if b, ok := a.federated[td]; ok {
		return b, nil
	}
	return nil, fmt.Errorf("devauthority: no bundle for trust domain %q", td.Name())
}

// Updated returns a channel that is closed at the next change at the authority.
func (s *Source) Updated() <-chan struct{} {
	s.authority.mu.Lock()
	defer s.authority.mu.Unlock()
	return s.authority.changed
}
