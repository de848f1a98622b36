package devauthority

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net/url"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Draft is an SVID before it is signed.
type Draft struct {
	ID       spiffeid.ID
	Template *x509.Certificate
	Key      crypto.Signer // nil: a new P-256 key
}

// Flaw makes an SVID differ from what a sound authority would issue.
type Flaw func(*Draft) error

// Valid sets the validity period.
func Valid(notBefore, notAfter time.Time) Flaw {
	return func(d *Draft) error {
		d.Template.NotBefore, d.Template.NotAfter = notBefore, notAfter
		return nil
	}
}

// URISANs sets the URI SANs: none, several, or some that are not SPIFFE IDs.
func URISANs(uris ...string) Flaw {
	return func(d *Draft) error {
		d.Template.URIs = nil
		for _, s := range uris {
			u, err := url.Parse(s)
			if err != nil {
				return err
			}
			d.Template.URIs = append(d.Template.URIs, u)
		}
		return nil
	}
}

// Claiming issues in the name of another ID, of whatever trust domain, with or without
// a path.
func Claiming(id spiffeid.ID) Flaw {
	return func(d *Draft) error {
		d.ID = id
		d.Template.URIs = []*url.URL{id.URL()}
		return nil
	}
}

// CA sets the CA flag.
func CA() Flaw {
	return func(d *Draft) error {
		d.Template.IsCA = true
		return nil
	}
}

// KeyUsage sets the key usage.
func KeyUsage(usage x509.KeyUsage) Flaw {
	return func(d *Draft) error {
		d.Template.KeyUsage = usage
		return nil
	}
}

// RSA gives the SVID an RSA key.
func RSA() Flaw {
	return func(d *Draft) error {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return fmt.Errorf("RSA key: %w", err)
		}
		d.Key = key
		return nil
	}
}

// Misissue gives the workload id an SVID with flaws, from now on; without flaws it
// gives it a sound one again.
func (a *Authority) Misissue(id spiffeid.ID, flaws ...Flaw) {
	a.change(func() { a.identities[id] = &identity{flaws: flaws} })
}

// Conduct is how the endpoints treat those who ask.
type Conduct int

// Ways to treat those who ask.
const (
	// Answer: as the Workload API should.
	Answer Conduct = iota
	// Silence: accept calls and never answer them.
	Silence
	// NoIdentity: PERMISSION_DENIED, as SPIRE answers a workload without a registration
	// entry.
	NoIdentity
	// Cancel: CANCELLED, as an agent answers that is shutting down.
	Cancel
	// Garbage: answers that no client can parse.
	Garbage
	// NoBundle: X.509-SVIDs whose bundle has no authority in it.
	NoBundle
)

// SetConduct sets how the endpoints treat calls from now on, also those that are
// waiting for news.
func (a *Authority) SetConduct(c Conduct) { a.change(func() { a.conduct = c }) }

// DropStreams ends every open call with UNAVAILABLE; new calls are answered.
func (a *Authority) DropStreams() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.dropped)
	a.dropped = make(chan struct{})
}
