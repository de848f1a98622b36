package subject

import (
	"context"
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

// endpoints are what an issuer's metadata point to.
type endpoints struct {
	keys          string
	introspection string // "" if it is not needed
}

// discover returns where the issuer's key set is, and where it is asked about tokens
// if the metadata has to say so. The document must be about this issuer (OpenID Connect
// Discovery section 4.3, RFC 8414 section 3.3): otherwise another issuer's keys could be
// passed off as this one's.
func (c IssuerConfig) discover(ctx context.Context, f fetcher) (endpoints, error) {
	location, err := c.metadataURL()
	if err != nil {
		return endpoints{}, err
	}
	text, err := f.get(ctx, location)
	if err != nil {
		return endpoints{}, err
	}
	// This decoder refuses duplicate members and compares names exactly.
	var metadata struct {
		Issuer        string `json:"issuer"`
		JWKSURI       string `json:"jwks_uri"`
		Introspection string `json:"introspection_endpoint"`
	}
	if err := json.Unmarshal(text, &metadata); err != nil {
		return endpoints{}, fmt.Errorf("%s: not a metadata document", location)
	}
	if metadata.Issuer != c.Issuer {
		return endpoints{}, fmt.Errorf("%s: is about another issuer", location)
	}
	found := endpoints{keys: metadata.JWKSURI}
	if err := c.checkEndpoint("jwks_uri", found.keys); err != nil {
		return endpoints{}, err
	}
	if c.Introspection != nil && c.Introspection.Endpoint == "" {
		found.introspection = metadata.Introspection
		if err := c.checkEndpoint("introspection_endpoint", found.introspection); err != nil {
			return endpoints{}, err
		}
	}
	return found, nil
}

func (c IssuerConfig) checkEndpoint(name, text string) error {
	if text == "" {
		return fmt.Errorf("the metadata has no %s", name)
	}
	if err := c.checkURL(text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
