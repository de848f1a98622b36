package subject

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// assertionType is the client_assertion_type of private_key_jwt (RFC 7523 section
	// 2.2).
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// assertionLifetime is how long an assertion could be used again, were it stolen.
	assertionLifetime = time.Minute
)

// clientAuth authenticates the token service to an issuer.
type clientAuth interface {
	// apply adds what authenticates to the form or the header of a request.
	apply(form url.Values, header http.Header, now time.Time) error
}

// clientAuth returns how c authenticates, which it was checked for.
func (c IntrospectionConfig) clientAuth(issuer string) (clientAuth, error) {
	if c.PrivateKey == nil {
		return clientSecret{id: c.ClientID, secret: string(c.ClientSecret)}, nil
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	if c.KeyID != "" {
		options.WithHeader("kid", c.KeyID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(algorithmsOf(c.PrivateKey.Public())[0]),
		Key:       cryptosigner.Opaque(c.PrivateKey),
	}, options)
	if err != nil {
		return nil, fmt.Errorf("subject: issuer %q: Introspection.PrivateKey: %w", issuer, err)
	}
	return clientAssertion{id: c.ClientID, issuer: issuer, signer: signer}, nil
}

// clientSecret is client_secret_basic (RFC 6749 section 2.3.1), where both parts are
// form-encoded first.
type clientSecret struct{ id, secret string }

func (s clientSecret) apply(_ url.Values, header http.Header, _ time.Time) error {
	request := http.Request{Header: header}
	request.SetBasicAuth(url.QueryEscape(s.id), url.QueryEscape(s.secret))
	return nil
}

// clientAssertion is private_key_jwt. Its audience is the issuer, which is the same
// wherever the question goes, so that one issuer cannot use it at another one.
type clientAssertion struct {
	id, issuer string
	signer     jose.Signer
}

func (a clientAssertion) apply(form url.Values, _ http.Header, now time.Time) error {
	assertion, err := jwt.Signed(a.signer).Claims(jwt.Claims{
		Issuer:   a.id,
		Subject:  a.id,
		Audience: jwt.Audience{a.issuer},
		ID:       rand.Text(),
		IssuedAt: jwt.NewNumericDate(now),
		Expiry:   jwt.NewNumericDate(now.Add(assertionLifetime)),
	}).Serialize()
	if err != nil {
		return fmt.Errorf("signing a client assertion: %w", err)
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return nil
}
