package subject

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/grpc-trat/grpc-trat/trat"
)

var _ Verifier = (*JWT)(nil)

// JWT verifies JWTs of configured issuers that are neither access tokens of RFC 9068
// nor ID tokens: older access tokens, or what a partner's service vouches for. iss,
// sub, aud, exp and iat are there, aud contains IssuerConfig.JWTAudience, and the typ
// is one of IssuerConfig.JWTTypes.
//
// Without a typ of their own these look like ID tokens, logout tokens and refresh
// tokens of the same issuer. What keeps those out is the audience, which is never
// IssuerConfig.ClientID, and that a JWT is refused which has the claim events or is
// named a refresh or ID token by its claims token_type, token_use or typ. An ID token
// that an issuer makes out to several audiences at once is told apart by none of this:
// give such an issuer a JWTAudience that no client has.
//
// The scope is the claim "scope", as in access tokens; without it the scope is unknown.
type JWT struct {
	issuers *Issuers
}

// NewJWT returns a verifier of the JWTs of those issuers that have a JWTAudience; there
// must be one.
func NewJWT(issuers *Issuers) (*JWT, error) {
	if !issuers.any(func(c IssuerConfig) bool { return c.JWTAudience != "" }) {
		return nil, errors.New("subject: JWTs need an issuer with JWTAudience")
	}
	return &JWT{issuers: issuers}, nil
}

// Type returns trat.TokenTypeJWT.
func (v *JWT) Type() string { return trat.TokenTypeJWT }

// Verify implements Verifier. It may wait up to 5 s for the issuer's keys.
func (v *JWT) Verify(ctx context.Context, in Input) (*Principal, error) {
	var (
		scopes []string
		known  bool
	)
	p, err := v.issuers.verify(ctx, in, IssuerConfig.jwtTypes, func(issuer IssuerConfig, r *claimReader) {
		if issuer.JWTAudience == "" {
			r.fail("iss", "is not an issuer of such JWTs")
		}
		r.recipient(issuer.JWTAudience)
		if r.has("events") {
			r.fail("events", "is not a claim of a subject token")
		}
		r.hints(noAccess)
		scopes, known = r.scope()
	})
	if err != nil {
		return nil, err
	}
	p.Scopes, p.ScopeKnown = scopes, known
	return p, nil
}

const plainType = "JWT"

// jwtTypes are the typ of the issuer's other JWTs.
func (c IssuerConfig) jwtTypes() []string {
	if len(c.JWTTypes) == 0 {
		return []string{plainType, ""}
	}
	var types []string
	for _, name := range c.JWTTypes {
		types = append(types, name, "application/"+name)
		if strings.EqualFold(name, plainType) {
			types = append(types, "")
		}
	}
	return types
}

// takenTypes are those of tokens that are something else.
var takenTypes = []string{"at+jwt", "rt+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", trat.Type, trat.SubjectType}

// checkJWT calls bad for what is wrong with JWTAudience and JWTTypes.
func (c IssuerConfig) checkJWT(bad func(field string, err error)) {
	const field = "JWTTypes"
	switch {
	case c.JWTAudience != "" && c.JWTAudience == c.ClientID:
		bad("JWTAudience", errors.New("is the client ID: an ID token could pass for such a JWT"))
	case c.JWTAudience == "" && len(c.JWTTypes) > 0:
		bad(field, errors.New("are those of other JWTs, which are refused without an audience of theirs"))
	}
	for _, name := range c.JWTTypes {
		switch {
		case name == "" || len(name) > maxKeyID || strings.ContainsFunc(name, notTypeChar):
			bad(field, fmt.Errorf("%q: want a media type without \"application/\"", name))
		case slices.ContainsFunc(takenTypes, func(taken string) bool { return strings.EqualFold(name, taken) }):
			bad(field, fmt.Errorf("%q is the type of something else", name))
		}
	}
}

// notTypeChar says whether r cannot be in the name of a media type (RFC 6838 section
// 4.2).
func notTypeChar(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&-^_.+", r)
}
