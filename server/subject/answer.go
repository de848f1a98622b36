package subject

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// errOddAnswer is an answer in JSON that says something which is not acceptable: a name
// with half a character, a number without bounds. It may be one token's, and no other's.
var errOddAnswer = errors.New("the answer is not an acceptable JSON object")

// parseAnswer reads an answer to introspection (RFC 7662 section 2.2) strictly: a JSON
// object without duplicate members, in which active is true or false.
func parseAnswer(text []byte) (trat.Object, error) {
	answer, err := trat.ParseObject(string(text))
	switch {
	case err != nil && json.Valid(text):
		return trat.Object{}, errOddAnswer
	case err != nil:
		return trat.Object{}, errors.New("the answer is not JSON")
	}
	if _, ok := answer.Bool("active"); !ok {
		return trat.Object{}, errors.New("the answer does not say whether the token is active")
	}
	return answer, nil
}

// opaquePrincipal holds what an answer says of an active token to the rules for a JWT.
// iss, iat and nbf need not be there (RFC 7662 section 2.2); what is there must be good.
func (c IssuerConfig) opaquePrincipal(answer trat.Object, now time.Time) (*Principal, error) {
	r := claimReader{claims: answer}
	if iss := r.optionalText("iss", maxClaim); iss != "" && iss != c.Issuer {
		r.fail("iss", "is not the issuer that was asked")
	}
	r.recipient(c.Audience)
	r.text("client_id", maxClaim)
	r.hints(noAccess)
	sub := r.text("sub", maxSub)
	exp, iat := r.date("exp"), r.optionalDate("iat")
	r.valid(exp, iat, now, c.skew(), c.skew())
	scopes, known := r.scope()
	if r.err != nil {
		return nil, r.err
	}
	subject, err := qualify(c.Prefix, sub)
	if err != nil {
		return nil, err
	}
	return &Principal{Issuer: c.Issuer, Subject: subject, Scopes: scopes, ScopeKnown: known, Expiry: exp, Claims: answer}, nil
}

// confirm compares the principal of a verified JWT with the answer about it. The answer
// may leave away what the token says, or narrow it, but not say otherwise.
func (c IssuerConfig) confirm(answer trat.Object, p *Principal, now time.Time) error {
	r := claimReader{claims: answer}
	r.hints(noAccess)
	for _, name := range []string{"iss", "sub", "client_id"} {
		signed, _ := p.Claims.Text(name)
		if said := r.optionalText(name, maxClaim); said != "" && said != signed {
			r.fail(name, "is another one in the answer to introspection")
		}
	}
	if r.has("aud") {
		r.recipient(c.Audience)
	}
	exp := r.optionalDate("exp")
	if exp.IsZero() || exp.After(p.Expiry) {
		exp = p.Expiry
	}
	scopes, known := r.scope()
	r.valid(exp, time.Time{}, now, c.skew(), c.skew())
	if r.err != nil {
		return r.err
	}
	p.Expiry = exp
	if known {
		p.narrow(scopes)
	}
	return nil
}

// narrow leaves of p's scope what is in scopes; if p has no scope, that is its scope.
func (p *Principal) narrow(scopes []string) {
	if p.ScopeKnown {
		granted := make(map[string]bool, len(scopes))
		for _, token := range scopes {
			granted[token] = true
		}
		scopes = slices.DeleteFunc(slices.Clone(p.Scopes), func(token string) bool { return !granted[token] })
	}
	p.Scopes, p.ScopeKnown = scopes, true
}
