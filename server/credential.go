package server

import (
	"regexp"
	"strings"

	"github.com/grpc-trat/grpc-trat/internal/token68"
	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

// minSegment is the shortest part of a subject token that is looked for in the claims:
// shorter ones are found in honest text by chance.
const minSegment = 16

// jwt matches a compact JWS or the beginning of a compact JWE: a JSON object's first
// bytes in base64url, a dot, another part and a dot.
var jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{12,}\.[A-Za-z0-9_-]*\.`)

// refuseCredentials keeps bearer credentials out of the token (draft section 13.4), and
// from whoever is asked about it: the subject token, any part of it, and whatever looks
// like a JWT. A caller that puts one into its context is told which parameter to clean;
// nothing is cut out silently.
func refuseCredentials(subjectToken, subject string, g policy.Grant) error {
	parts := credentialParts(subjectToken)
	if holdsCredential(subject, parts) {
		return trat.Errorf(trat.ReasonSubjectTokenInvalid, fieldSubjectToken, "its subject holds a credential")
	}
	for _, in := range []struct {
		field  string
		object trat.Object
	}{
		{fieldRequestDetails, g.TransactionContext},
		{fieldRequestContext, g.RequestContext},
	} {
		found, err := objectHoldsCredential(in.object, parts)
		if err != nil {
			return err
		}
		if found {
			return trat.Errorf(trat.ReasonParameterInvalid, in.field, "it holds a credential")
		}
	}
	return nil
}

// credentialParts are the texts that must not appear: the token and its dot-separated
// segments. A subject that is no token68 (RFC 9110 section 11.2), as unsigned JSON,
// is no bearer credential and has none.
func credentialParts(token string) []string {
	if len(token) < minSegment || !token68.Is(token) {
		return nil
	}
	parts := []string{token}
	for segment := range strings.SplitSeq(token, ".") {
		if len(segment) >= minSegment && segment != token {
			parts = append(parts, segment)
		}
	}
	return parts
}

func holdsCredential(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return strings.Contains(text, "eyJ") && jwt.MatchString(text)
}

// objectHoldsCredential looks at the object's JSON text, where a part cannot hide
// across quotes, and which has every digit of numbers, and, when the text has escapes,
// at the decoded strings too.
func objectHoldsCredential(o trat.Object, parts []string) (bool, error) {
	if o.IsZero() {
		return false, nil
	}
	text := o.JSON()
	if holdsCredential(text, parts) {
		return true, nil
	}
	if !strings.Contains(text, `\`) {
		return false, nil
	}
	var decoded map[string]any
	if err := o.Decode(&decoded); err != nil {
		return false, trat.Errorf(trat.ReasonInternal, "", "decode a checked object: %v", err)
	}
	return valueHoldsCredential(decoded, parts), nil
}

func valueHoldsCredential(v any, parts []string) bool {
	switch v := v.(type) {
	case string:
		return holdsCredential(v, parts)
	case []any:
		for _, element := range v {
			if valueHoldsCredential(element, parts) {
				return true
			}
		}
	case map[string]any:
		for name, value := range v {
			if holdsCredential(name, parts) || valueHoldsCredential(value, parts) {
				return true
			}
		}
	}
	return false
}
