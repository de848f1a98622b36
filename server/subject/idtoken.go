package subject

import (
	"context"
	"errors"
	"slices"

	"github.com/grpc-trat/grpc-trat/trat"
)

var _ Verifier = (*IDToken)(nil)

// IDToken verifies OpenID Connect ID tokens by the rules of OpenID Connect Core
// section 3.1.3.7: iss, sub, aud, exp and iat are there, aud contains
// IssuerConfig.ClientID, azp is that client if it is there, and must be there if
// aud names others too. The typ is JWT or absent.
//
// Older access tokens and logout tokens can look the same, and have the same
// issuer, and a client that is also a resource has one name for both. So a token with
// the claim scope, scp (which some providers have in its place), client_id or events
// is refused: no ID token has them. So is one that its claims token_type, token_use or typ
// name a refresh, access or logout token.
//
// The scope of a principal is never known: an ID token says who, not what for.
type IDToken struct {
	issuers *Issuers
}

// NewIDToken returns a verifier of the ID tokens of those issuers that have a
// ClientID; there must be one.
func NewIDToken(issuers *Issuers) (*IDToken, error) {
	if !issuers.any(func(c IssuerConfig) bool { return c.ClientID != "" }) {
		return nil, errors.New("subject: ID tokens need an issuer with ClientID")
	}
	return &IDToken{issuers: issuers}, nil
}

// Type returns trat.TokenTypeIDToken.
func (v *IDToken) Type() string { return trat.TokenTypeIDToken }

// Verify implements Verifier. It may wait up to 5 s for the issuer's keys.
func (v *IDToken) Verify(ctx context.Context, in Input) (*Principal, error) {
	return v.issuers.verify(ctx, in, idTokenTypes, func(issuer IssuerConfig, r *claimReader) {
		audience := r.audience()
		azp := r.optionalText("azp", maxClaim)
		switch {
		case issuer.ClientID == "":
			r.fail("iss", "is not an issuer of ID tokens")
		case !slices.Contains(audience, issuer.ClientID):
			r.fail("aud", "does not contain the client")
		case azp == "" && len(audience) > 1:
			r.fail("azp", "is missing, and aud names several")
		case azp != "" && azp != issuer.ClientID:
			r.fail("azp", "is not the client")
		}
		for _, name := range []string{"scope", "scp", "client_id", "events"} {
			if r.has(name) {
				r.fail(name, "is not a claim of an ID token")
			}
		}
		r.hints(noID)
	})
}

func idTokenTypes(IssuerConfig) []string { return []string{plainType, ""} }
