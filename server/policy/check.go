package policy

import (
	"errors"
	"fmt"
	"net/url"
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

func checkType(uri string) error {
	switch u, err := url.Parse(uri); {
	case err != nil || !u.IsAbs():
		return errors.New("want an absolute URI")
	case uri == trat.TokenTypeRefreshToken:
		return errors.New("a refresh token is never a subject token")
	case uri == trat.TokenTypeSAML1 || uri == trat.TokenTypeSAML2:
		return errors.New("a SAML assertion is not supported as a subject token")
	}
	return nil
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
