package policy

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/grpc-trat/grpc-trat/trat"
)

const maxKeySize = 64

// hasScope says whether subject tokens of this type may have a scope of their own.
// Of a type that is not known here they may.
func hasScope(subjectTokenType string) bool {
	return subjectTokenType != trat.TokenTypeIDToken && hasIssuer(subjectTokenType)
}

// hasIssuer says whether subject tokens of this type have an issuer other than the
// requester.
func hasIssuer(subjectTokenType string) bool {
	switch subjectTokenType {
	case trat.TokenTypeSelfSigned, trat.TokenTypeUnsignedJSON, trat.TokenType:
		return false
	}
	return true
}

// standardTypes is what the names of standard token types begin with (RFC 8693 section 3).
const standardTypes = "urn:ietf:params:oauth:token-type:"

// checkType refuses what can be no subject token type. A standard name that is unknown here
// is a misspelt one, unless the service accepts it: it may have a verifier of its own.
func (r *reader) checkType(uri string) error {
	switch u, err := url.Parse(uri); {
	case err != nil || !u.IsAbs():
		return errors.New("want an absolute URI")
	case uri == trat.TokenTypeRefreshToken:
		return errors.New("a refresh token is never a subject token")
	case uri == trat.TokenTypeSAML1 || uri == trat.TokenTypeSAML2:
		return errors.New("a SAML assertion is not supported as a subject token")
	case strings.HasPrefix(uri, standardTypes) && !slices.Contains(known, uri) && !r.accepts(uri):
		return fmt.Errorf("no such token type; there are %s", strings.ReplaceAll(strings.Join(known, ", "), standardTypes, ""))
	}
	return nil
}

// accepts says whether there is a service that accepts the type.
func (r *reader) accepts(uri string) bool {
	if r.service == nil {
		return false
	}
	_, ok := r.service.SubjectTokens[uri]
	return ok
}

func checkIssuer(issuer string) error {
	if u, err := url.Parse(issuer); err != nil || u.Scheme == "" || u.Host == "" {
		return errors.New("want a URL, exactly as in the claim iss")
	}
	return nil
}

func checkScope(token string) error {
	if strings.Contains(token, " ") {
		return errors.New("want one scope, not several")
	}
	if _, err := trat.ParseScope(token); err != nil {
		return errors.New("want a scope as in RFC 6749 section 3.3")
	}
	return nil
}

func checkKey(key string) error {
	if key == "" || len(key) > maxKeySize {
		return fmt.Errorf("want a key of 1 to %d bytes", maxKeySize)
	}
	return nil
}
