package subject

import "strings"

// hintNames are the members by which issuers say what a token is: the token_type of
// RFC 7662, and the claims that providers add.
var hintNames = []string{"token_type", "token_use", "typ"}

// kinds are words that those members have for some kinds of token, in lower case.
type kinds map[string]bool

var (
	// noAccess are no access tokens.
	noAccess = kinds{
		"refresh":       true,
		"refresh_token": true,
		"rt+jwt":        true,
		"offline":       true, // a refresh token that outlives its session
		"id":            true,
		"id_token":      true,
		"logout":        true,
		"logout_token":  true,
	}
	// noID are no ID tokens.
	noID = kinds{
		"refresh":       true,
		"refresh_token": true,
		"rt+jwt":        true,
		"offline":       true,
		"access":        true,
		"access_token":  true,
		"at+jwt":        true,
		"bearer":        true,
		"dpop":          true,
		"logout":        true,
		"logout_token":  true,
	}
)

// hints fails on what its issuer calls a token of other kinds. Without a hint there is
// nothing to fail on: the audience tells most of them apart.
func (r *claimReader) hints(others kinds) {
	for _, name := range hintNames {
		if others[strings.ToLower(r.optionalText(name, maxClaim))] {
			r.fail(name, "is that of another kind of token")
		}
	}
}
