package subject

import "strings"

// hintNames are the members by which issuers say what a token is: the token_type of
// RFC 7662, and the claims that providers add.
var hintNames = []string{"token_type", "token_use", "typ"}

// otherKinds are what those say of a token that is no access token.
var otherKinds = map[string]bool{
	"refresh":       true,
	"refresh_token": true,
	"rt+jwt":        true,
	"offline":       true, // a refresh token that outlives its session
	"id":            true,
	"id_token":      true,
	"logout":        true,
	"logout_token":  true,
}

// hints fails on what its issuer calls a refresh, ID or logout token. Without a hint
// there is nothing to fail on: the audience is what such tokens do not have.
func (r *claimReader) hints() {
	for _, name := range hintNames {
		if otherKinds[strings.ToLower(r.optionalText(name, maxClaim))] {
			r.fail(name, "is that of another kind of token")
		}
	}
}
