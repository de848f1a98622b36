package subject

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Bounds and defaults of IntrospectionConfig.
const (
	// DefaultIntrospectionTimeout is how long an answer may take where nothing else is
	// configured.
	DefaultIntrospectionTimeout = time.Second
	// MaxIntrospectionTimeout is the most that may be configured.
	MaxIntrospectionTimeout = fetchTimeout
	// DefaultCacheTTL is how long a revocation may stay unseen where nothing else is
	// configured.
	DefaultCacheTTL = 10 * time.Second
	// MaxCacheTTL is the most that may be configured.
	MaxCacheTTL = time.Minute
	// NoCache as IntrospectionConfig.CacheTTL asks about each token each time.
	NoCache time.Duration = -1
)

// IntrospectionConfig is how an issuer is asked whether an access token is active, and
// what it is good for (RFC 7662). It prints without its credential.
type IntrospectionConfig struct {
	// Endpoint is the https URL to ask at. Empty means the introspection_endpoint of
	// the issuer's metadata, which must then be there: without it, no token of the
	// issuer is accepted.
	Endpoint string
	// ClientID is whom the token service is to the issuer. Required.
	ClientID string
	// ClientSecret authenticates by client_secret_basic (RFC 6749 section 2.3.1). It
	// travels with each question, so that PrivateKey is the better choice.
	ClientSecret []byte
	// PrivateKey authenticates by private_key_jwt (RFC 7523 section 2.2), with an
	// assertion for the issuer that lives one minute. P-256 signs with ES256, Ed25519
	// with EdDSA, RSA with RS256. Either this or ClientSecret is required, not both.
	PrivateKey crypto.Signer
	// KeyID is the kid of PrivateKey at the issuer. Empty: the assertion has none.
	KeyID string
	// Timeout bounds one question and its answer, and before that the wait for its turn
	// while many others are asked; 0 means DefaultIntrospectionTimeout, at most
	// MaxIntrospectionTimeout.
	Timeout time.Duration
	// CacheTTL is how long the answer that a token is active is used again, though not
	// past the token's exp: so long a revocation may stay unseen. 0 means
	// DefaultCacheTTL, NoCache none, at most MaxCacheTTL. No other answer is kept.
	CacheTTL time.Duration
	// JWTs has the issuer asked about its access tokens that are JWTs too, after they
	// were verified: a revoked one is refused, at the price of a question.
	JWTs bool
	// NoOpaque has the issuer asked about JWTs only, and its opaque tokens refused.
	// Then JWTs must be true, and there is nothing to say of requesters.
	NoOpaque bool
	// Requesters are the workloads whose opaque tokens are this issuer's, each a
	// spiffecreds.Pattern. An opaque token does not say whose it is, and it is shown to one
	// issuer only: if several have opaque tokens, no workload may be of two. Required,
	// unless AllRequesters or NoOpaque is true.
	Requesters []string
	// AllRequesters has the opaque tokens of all workloads for this issuer's, in place of
	// Requesters. No other issuer can have opaque tokens then.
	AllRequesters bool
}

// String names client and endpoint. It does not print the credential.
func (c IntrospectionConfig) String() string {
	return fmt.Sprintf("subject.IntrospectionConfig(%q at %q)", c.ClientID, c.Endpoint)
}

// Format prints what String returns, whatever the verb.
func (c IntrospectionConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue returns what String returns.
func (c IntrospectionConfig) LogValue() slog.Value { return slog.StringValue(c.String()) }

func (c IntrospectionConfig) timeout() time.Duration {
	if c.Timeout == 0 {
		return DefaultIntrospectionTimeout
	}
	return c.Timeout
}

func (c IntrospectionConfig) cacheTTL() time.Duration {
	if c.CacheTTL == 0 {
		return DefaultCacheTTL
	}
	return c.CacheTTL
}

// MarshalText returns what String returns: as JSON, too, it has no credential.
func (c IntrospectionConfig) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// checkIntrospection calls bad for each field of c.Introspection that is wrong.
func (c IssuerConfig) checkIntrospection(bad func(field string, err error)) {
	i := c.Introspection
	if i == nil {
		return
	}
	add := func(wrong bool, field, says string, args ...any) {
		if wrong {
			bad("Introspection."+field, fmt.Errorf(says, args...))
		}
	}
	if c.Audience == "" {
		bad("Audience", errors.New("is required for access tokens, which introspection is about"))
	}
	if i.Endpoint != "" {
		if err := c.checkURL(i.Endpoint); err != nil {
			bad("Introspection.Endpoint", err)
		}
	}
	add(i.ClientID == "", "ClientID", "is required")
	add(len(i.ClientID) > maxClaim, "ClientID", "longer than %d bytes", maxClaim)
	add(i.PrivateKey != nil && len(algorithmsOf(i.PrivateKey.Public())) == 0,
		"PrivateKey", "want P-256, Ed25519 or RSA of %d to %d bits", minRSABits, maxRSABits)
	add(len(i.ClientSecret) > maxClaim, "ClientSecret", "longer than %d bytes", maxClaim)
	add(len(i.KeyID) > maxKeyID, "KeyID", "longer than %d bytes", maxKeyID)
	add(i.Timeout < 0 || i.Timeout > MaxIntrospectionTimeout, "Timeout", "want 0 to %s", MaxIntrospectionTimeout)
	add(i.CacheTTL < 0 && i.CacheTTL != NoCache || i.CacheTTL > MaxCacheTTL, "CacheTTL", "want 0 to %s", MaxCacheTTL)
	add(i.NoOpaque && !i.JWTs, "JWTs", "must be true where opaque tokens are refused: otherwise the issuer is asked about nothing")
}

// checkCredential calls bad for what is wrong with having the credential that it has.
func (c *IntrospectionConfig) checkCredential(bad func(field string, err error)) {
	switch hasKey, hasSecret := c.PrivateKey != nil, len(c.ClientSecret) > 0; {
	case hasKey && hasSecret:
		bad("Introspection.ClientSecret", errors.New("is there beside a private key: one of them authenticates"))
	case !hasKey && !hasSecret:
		bad("Introspection.PrivateKey", errors.New("is required, or else a client secret"))
	}
	if c.KeyID != "" && c.PrivateKey == nil {
		bad("Introspection.KeyID", errors.New("is that of a private key, which is not there"))
	}
}

// opaque says whether the issuer is asked about opaque tokens.
func (c IssuerConfig) opaque() bool { return c.Introspection != nil && !c.Introspection.NoOpaque }
