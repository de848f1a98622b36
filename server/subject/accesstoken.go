package subject

import (
	"context"
	"errors"
	"strings"

	"github.com/grpc-trat/grpc-trat/internal/token68"
	"github.com/grpc-trat/grpc-trat/trat"
)

var _ Verifier = (*AccessToken)(nil)

// AccessToken verifies OAuth 2.0 access tokens.
//
// Those that are JWTs are verified by RFC 9068: typ at+jwt, the required claims iss,
// exp, aud, sub, client_id, iat and jti, the recipient IssuerConfig.Audience in aud, and
// the issuer's signature. A JWT of any other type, an ID token or a refresh token among
// them, is refused by its typ, and by its claims token_type, token_use or typ. Where IntrospectionConfig.JWTs says so, the issuer is
// asked besides whether the token is still good, and its scope is what both say.
//
// Those that are not JWTs are opaque: the issuer is asked (RFC 7662), the one that
// IntrospectionConfig.Requesters leads to. Its answer is held to the same rules: aud,
// exp, sub and client_id are there, aud contains IssuerConfig.Audience, and iss, if
// there, is the issuer. A token that the answer calls a refresh or ID token by its
// token_type, token_use or typ is refused; where it does not, it is aud that an access
// token has and those have not. What has the form of a JWT never counts as opaque, so
// that nothing which fails as a JWT gets a second chance.
//
// An issuer that is down, slow or talks nonsense costs its tokens, not the check: they
// are refused with DEPENDENCY_UNAVAILABLE, after five failures in a row at once and
// without a question, until one question each 5 s gets through again.
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

// Verify implements Verifier. It may wait up to 5 s for the issuer's keys, and twice
// IntrospectionConfig.Timeout for its answer: for its turn and for itself.
func (v *AccessToken) Verify(ctx context.Context, in Input) (*Principal, error) {
	if len(v.issuers.routes) > 0 && !looksLikeJWT(in.Token) {
		return v.opaque(ctx, in)
	}
	p, err := v.jwt(ctx, in)
	if err != nil {
		return nil, err
	}
	issuer := v.issuers.byName[p.Issuer]
	if issuer.introspector == nil || !issuer.issuer.Introspection.JWTs {
		return p, nil
	}
	if err := issuer.introspector.confirm(ctx, in, p); err != nil {
		return nil, err
	}
	return p, nil
}

func (v *AccessToken) opaque(ctx context.Context, in Input) (*Principal, error) {
	if !token68.Is(in.Token) { // nothing else is sent to an issuer
		return nil, invalid("subject_token", "is not an access token")
	}
	to := v.issuers.route(in.Requester)
	if to == nil {
		return nil, invalid("subject_token", "is not a JWT, and no issuer has opaque tokens of the requester")
	}
	return to.principal(ctx, in)
}

func (v *AccessToken) jwt(ctx context.Context, in Input) (*Principal, error) {
	var (
		scopes []string
		known  bool
	)
	p, err := v.issuers.verify(ctx, in, accessTokenTypes, func(issuer IssuerConfig, r *claimReader) {
		if issuer.Audience == "" {
			r.fail("iss", "is not an issuer of access tokens")
		}
		r.recipient(issuer.Audience)
		r.text("client_id", maxClaim)
		r.text("jti", maxClaim)
		r.hints(noAccess)
		scopes, known = r.scope()
	})
	if err != nil {
		return nil, err
	}
	p.Scopes, p.ScopeKnown = scopes, known
	return p, nil
}

func accessTokenTypes(IssuerConfig) []string { return []string{"at+jwt", "application/at+jwt"} }

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
