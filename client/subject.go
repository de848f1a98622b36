package client

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/trat"
)

// SubjectTokenType is the URI that says what a subject token is (RFC 8693 section
// 3). A token service may know more than the ones here.
type SubjectTokenType string

// Subject token types (RFC 8693 section 3; draft section 11.2).
const (
	// AccessToken is an OAuth 2.0 access token, a JWT of RFC 9068.
	AccessToken SubjectTokenType = trat.TokenTypeAccessToken
	// IDToken is an OpenID Connect ID token.
	IDToken SubjectTokenType = trat.TokenTypeIDToken
	// JWT is a JWT of another kind, by agreement with the token service.
	JWT SubjectTokenType = trat.TokenTypeJWT
	// SelfSigned is a JWT that the workload signed itself, see SignSubject.
	SelfSigned SubjectTokenType = trat.TokenTypeSelfSigned
	// UnsignedJSON is a JSON object with a member "sub". It needs an explicit grant
	// of impersonation at the token service.
	UnsignedJSON SubjectTokenType = trat.TokenTypeUnsignedJSON
	// TransactionToken is a TraT that is to be replaced, see Client.Replace.
	TransactionToken SubjectTokenType = trat.TokenType
)

const (
	// DefaultSubjectLifetime is how long a self-signed subject token lives unless
	// its Subject says otherwise.
	DefaultSubjectLifetime = 60 * time.Second
	// MaxSubjectLifetime is how long it may live at most.
	MaxSubjectLifetime = 5 * time.Minute
)

// selfSignedAlgorithms has at most one for each key.
var selfSignedAlgorithms = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256} // RFC 7518, RFC 8037

// registered are the claims that SignSubject sets.
var registered = []string{"iss", "sub", "aud", "iat", "nbf", "exp", "jti"}

// Subject is what a self-signed subject token says.
type Subject struct {
	// Name is the "sub": who the transaction is for, in the workload's own terms.
	// Required.
	Name string
	// Claims are further claims, in a namespace of the workload's own; iss, sub,
	// aud, iat, nbf, exp and jti cannot be among them. Optional.
	Claims trat.Object
	// Lifetime defaults to DefaultSubjectLifetime, and is a whole number of seconds
	// up to MaxSubjectLifetime.
	Lifetime time.Duration
}

func (s Subject) validate() error {
	var problems []error
	if s.Name == "" {
		problems = append(problems, trat.Errorf(trat.ReasonParameterMissing, "sub", ""))
	}
	for _, name := range registered {
		if _, ok := s.Claims.Raw(name); ok {
			problems = append(problems, trat.Errorf(trat.ReasonParameterInvalid, name, "set by SignSubject"))
		}
	}
	if s.Lifetime < 0 || s.Lifetime > MaxSubjectLifetime || s.Lifetime%time.Second != 0 {
		problems = append(problems, trat.Errorf(trat.ReasonParameterInvalid, "exp", "lifetime not whole seconds up to %s", MaxSubjectLifetime))
	}
	return errors.Join(problems...)
}

// SignSubject makes a self-signed subject token (draft section 11.2.1) for one
// Exchange of type SelfSigned: the workload itself vouches for the subject, where
// no inbound credential names one. It is made for this Client's token service, has
// an id of its own, since it is good for a single use, and is signed with the key
// of the X.509-SVID that the workload has shown to the token service, by which that
// knows it for the workload's own. Keys on P-256, Ed25519 and RSA keys can sign
// (ES256, EdDSA, PS256).
//
// A problem of s is PARAMETER_MISSING or PARAMETER_INVALID, an SVID that cannot be
// had or cannot sign DEPENDENCY_UNAVAILABLE.
func (c *Client) SignSubject(s Subject) (string, error) {
	if err := s.validate(); err != nil {
		return "", fmt.Errorf("client: self-signed subject: %w", err)
	}
	svid, err := c.shownSVID()
	if err == nil {
		var token string
		if token, err = signSubject(svid, c.cfg.Issuer, s, c.clock()); err == nil {
			return token, nil
		}
	}
	return "", fmt.Errorf("client: self-signed subject: %w", &trat.Error{Reason: trat.ReasonDependencyUnavailable, Err: err})
}

// shownSVID is the SVID of the connection, which the source may have rotated away
// since; without a connection the one that the next will be made with. The ID and the
// key are taken together.
func (c *Client) shownSVID() (*x509svid.SVID, error) {
	if svid := c.transport.own.shown(); svid != nil {
		return svid, nil
	}
	return c.cfg.SVIDs.GetX509SVID()
}

func signSubject(svid *x509svid.SVID, audience string, s Subject, now time.Time) (string, error) {
	key := cryptosigner.Opaque(svid.PrivateKey)
	i := slices.IndexFunc(selfSignedAlgorithms, func(alg jose.SignatureAlgorithm) bool {
		return slices.Contains(key.Algs(), alg)
	})
	if i < 0 {
		return "", errors.New("the SVID's key cannot sign with an algorithm that token services accept")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: selfSignedAlgorithms[i], Key: key},
		(&jose.SignerOptions{}).WithType(trat.SubjectType))
	if err != nil {
		return "", err
	}

	lifetime := s.Lifetime
	if lifetime == 0 {
		lifetime = DefaultSubjectLifetime
	}
	claims := make(map[string]json.RawMessage)
	for name, value := range s.Claims.Members() {
		claims[name] = json.RawMessage(value)
	}
	maps.Copy(claims, map[string]json.RawMessage{
		"iss": text(svid.ID.String()),
		"sub": text(s.Name),
		"aud": text(audience),
		"iat": seconds(now),
		"exp": seconds(now.Add(lifetime)),
		"jti": text(rand.Text()), // at least 128 bits
	})
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func text(s string) json.RawMessage {
	quoted, _ := json.Marshal(s) //nolint:errchkjson // a string always encodes
	return quoted
}

func seconds(t time.Time) json.RawMessage {
	return fmt.Appendf(nil, "%d", t.Unix())
}
