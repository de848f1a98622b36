package subject

import (
	"errors"
	"regexp"
	"strings"
	"unicode"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

const (
	namespaceSelfSigned = "self"
	namespaceUnsigned   = "unsigned"

	// maxSub is the longest "sub" of a subject token, in bytes (OpenID Connect Core
	// section 2).
	maxSub = 255
	// maxSubject is the longest subject of a TraT.
	maxSubject = 512
)

var prefixPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// checkPrefix says whether prefix can be the namespace of an issuer.
func checkPrefix(prefix string) error {
	if !prefixPattern.MatchString(prefix) {
		return errors.New("want 1 to 32 of a-z, 0-9 and '-'")
	}
	if prefix == namespaceSelfSigned || prefix == namespaceUnsigned {
		return errors.New("is reserved")
	}
	return nil
}

// workloadNamespace is the namespace of subjects that workload id names itself.
func workloadNamespace(kind string, id spiffeid.ID) string {
	return kind + ":" + strings.TrimPrefix(id.String(), "spiffe://")
}

// qualify returns the subject in the trust domain for sub in a namespace. It is
// injective: no namespace is another one followed by a colon and more.
func qualify(namespace, sub string) (string, error) {
	switch {
	case sub == "":
		return "", invalid("sub", "empty")
	case len(sub) > maxSub:
		return "", invalid("sub", "longer than %d bytes", maxSub)
	case strings.ContainsFunc(sub, unicode.IsControl):
		return "", invalid("sub", "holds a control character")
	}
	subject := namespace + ":" + sub
	if len(subject) > maxSubject {
		return "", invalid("sub", "longer than %d bytes with its namespace", maxSubject)
	}
	return subject, nil
}
