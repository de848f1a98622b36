package subject

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/grpc-trat/grpc-trat/trat"
)

var _ Verifier = (*AccessToken)(nil)

// AccessToken verifies OAuth 2.0 access tokens that are JWTs (RFC 9068): typ
// at+jwt, the required claims iss, exp, aud, sub, client_id, iat and jti, the
// recipient IssuerConfig.Audience in aud, and the issuer's signature. A JWT of any
// other type, an ID token or a refresh token among them, is refused by its typ.
//
// The scope is the claim "scope" (RFC 9068 section 2.2.3); without it the scope is
// unknown. An empty one is known to be none.
type AccessToken struct {
	issuers *Issuers
}

// NewAccessToken returns a verifier of the access tokens of those issuers that
// have an Audience; there must be one.
func NewAccessToken(issuers *Issuers) (*AccessToken, error) {
	if !issuers.any(func(c IssuerConfig) bool { return c.Audience != "" }) {
		return nil, errors.New("subject: access tokens need an issuer with Audience")
	}
	return &AccessToken{issuers: issuers}, nil
}

// Type returns trat.TokenTypeAccessToken.
func (v *AccessToken) Type() string { return trat.TokenTypeAccessToken }

// Verify implements Verifier. It may wait up to 5 s for the issuer's keys.
func (v *AccessToken) Verify(ctx context.Context, in Input) (*Principal, error) {
	var (
		scopes []string
		known  bool
	)
	p, err := v.issuers.verify(ctx, in, []string{"at+jwt", "application/at+jwt"}, func(issuer IssuerConfig, r *claimReader) {
		switch audience := r.audience(); {
		case issuer.Audience == "":
			r.fail("iss", "is not an issuer of access tokens")
		case !slices.Contains(audience, issuer.Audience):
			r.fail("aud", "does not contain the intended recipient")
		}
		r.text("client_id", maxClaim)
		r.text("jti", maxClaim)
		scopes, known = r.scope()
	})
	if err != nil {
		return nil, err
	}
	p.Scopes, p.ScopeKnown = scopes, known
	return p, nil
}

// scope reads the claim "scope" (RFC 8693 section 4.2) and says whether it is
// there.
func (r *claimReader) scope() (scopes []string, known bool) {
	if r.err != nil || !r.has("scope") {
		return nil, false
	}
	text, ok := r.claims.Text("scope")
	if !ok {
		r.fail("scope", "is not text")
		return nil, false
	}
	if text == "" {
		return nil, true
	}
	for token := range strings.SplitSeq(text, " ") {
		// One at a time: an access token may have more of them than a TraT.
		if _, err := trat.ParseScope(token); err != nil {
			r.fail("scope", "is malformed")
			return nil, false
		}
		scopes = append(scopes, token)
	}
	return scopes, true
}
