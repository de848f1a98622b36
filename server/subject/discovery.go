package subject

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4/json"
)

// metadataURL is where the issuer says where its keys are: OpenID Connect
// Discovery section 4, which appends to the issuer's path, or RFC 8414 section 3,
// which inserts before it.
func (c IssuerConfig) metadataURL() (string, error) {
	if !c.OAuthMetadata {
		return strings.TrimSuffix(c.Issuer, "/") + "/.well-known/openid-configuration", nil
	}
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return "", err
	}
	return u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.EscapedPath(), "/"), nil
}

// discover returns the URL of the issuer's key set. The document must be about this
// issuer (OpenID Connect Discovery section 4.3, RFC 8414 section 3.3): otherwise
// another issuer's keys could be passed off as this one's.
func (c IssuerConfig) discover(ctx context.Context, f fetcher) (string, error) {
	location, err := c.metadataURL()
	if err != nil {
		return "", err
	}
	text, err := f.get(ctx, location)
	if err != nil {
		return "", err
	}
	// This decoder refuses duplicate members and compares names exactly.
	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &metadata); err != nil {
		return "", fmt.Errorf("%s: not a metadata document", location)
	}
	if metadata.Issuer != c.Issuer {
		return "", fmt.Errorf("%s: is about another issuer", location)
	}
	if metadata.JWKSURI == "" {
		return "", errors.New("the metadata has no jwks_uri")
	}
	if err := c.checkURL(metadata.JWKSURI); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	return metadata.JWKSURI, nil
}
