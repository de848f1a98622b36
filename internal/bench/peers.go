package main

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/grpc-trat/grpc-trat/trat"
)

// The peers make the checks of a TraT as far as their libraries go: typ, alg, key by
// kid, signature, aud, iss, exp, iat, lifetime, required claims with their types. What
// trat does beyond that (duplicate members, depth, canonical base64, bounds, scope
// syntax) they are spared.

var errClaims = errors.New("claims are not those of a TraT")

// claimSet is a TraT's private claims for encoding/json.
type claimSet struct {
	Txn   string          `json:"txn"`
	Scope string          `json:"scope"`
	ReqWL string          `json:"req_wl"`
	Tctx  json.RawMessage `json:"tctx"`
	Rctx  json.RawMessage `json:"rctx"`
}

func (c claimSet) check(sub string, iat, exp time.Time) error {
	if c.Txn == "" || c.Scope == "" || c.ReqWL == "" || sub == "" || exp.Sub(iat) > trat.MaxLifetime+trat.DefaultLeeway {
		return errClaims
	}
	return nil
}

func isTraT(typ any) bool {
	s, _ := typ.(string)
	return strings.EqualFold(s, trat.Type)
}

// newPeers returns one subject per library, each of which verifies the same tokens.
func newPeers(t *tokens) ([]subject, error) {
	peers := []subject{
		{"golang-jwt/jwt v5", golangJWT(t)},
		{"go-jose v4 jwt", goJOSE(t)},
		{"lestrrat-go/jwx v3", jwx(t)},
	}
	for _, p := range peers {
		if err := p.do(0); err != nil {
			return nil, err
		}
	}
	return peers, nil
}

func golangJWT(t *tokens) func(int) error {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(t.claims.Audience), jwt.WithIssuer(t.claims.Issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(trat.DefaultLeeway),
		jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return t.now }))
	type claims struct {
		jwt.RegisteredClaims
		claimSet
	}
	keyFunc := func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		if !isTraT(token.Header["typ"]) || kid != t.signer.Key().ID() {
			return nil, errClaims
		}
		return &t.key.PublicKey, nil
	}
	return func(i int) error {
		var c claims
		if _, err := parser.ParseWithClaims(t.raw[i%freshTokens], &c, keyFunc); err != nil {
			return err
		}
		return c.check(c.Subject, c.IssuedAt.Time, c.ExpiresAt.Time)
	}
}

func goJOSE(t *tokens) func(int) error {
	expected := josejwt.Expected{Issuer: t.claims.Issuer, AnyAudience: josejwt.Audience{t.claims.Audience}, Time: t.now}
	return func(i int) error {
		token, err := josejwt.ParseSigned(t.raw[i%freshTokens], []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			return err
		}
		header := token.Headers[0]
		if !isTraT(header.ExtraHeaders[jose.HeaderType]) || header.KeyID != t.signer.Key().ID() {
			return errClaims
		}
		var c struct {
			josejwt.Claims
			claimSet
		}
		if err := token.Claims(&t.key.PublicKey, &c); err != nil {
			return err
		}
		if err := c.ValidateWithLeeway(expected, trat.DefaultLeeway); err != nil {
			return err
		}
		if c.IssuedAt == nil || c.Expiry == nil {
			return errClaims
		}
		return c.check(c.Subject, c.IssuedAt.Time(), c.Expiry.Time())
	}
}

func jwx(t *tokens) func(int) error {
	clock := jwxjwt.ClockFunc(func() time.Time { return t.now })
	return func(i int) error {
		message := jws.NewMessage()
		payload, err := jws.Verify([]byte(t.raw[i%freshTokens]), jws.WithKey(jwa.ES256(), &t.key.PublicKey), jws.WithMessage(message))
		if err != nil {
			return err
		}
		header := message.Signatures()[0].ProtectedHeaders()
		typ, _ := header.Type()
		kid, _ := header.KeyID()
		if !isTraT(typ) || kid != t.signer.Key().ID() {
			return errClaims
		}
		token, err := jwxjwt.Parse(payload, jwxjwt.WithVerify(false), jwxjwt.WithValidate(true),
			jwxjwt.WithIssuer(t.claims.Issuer), jwxjwt.WithAudience(t.claims.Audience),
			jwxjwt.WithAcceptableSkew(trat.DefaultLeeway), jwxjwt.WithClock(clock),
			jwxjwt.WithRequiredClaim("exp"), jwxjwt.WithRequiredClaim("iat"))
		if err != nil {
			return err
		}
		var c claimSet
		if err := errors.Join(token.Get("txn", &c.Txn), token.Get("scope", &c.Scope), token.Get("req_wl", &c.ReqWL)); err != nil {
			return err
		}
		sub, _ := token.Subject()
		iat, _ := token.IssuedAt()
		exp, _ := token.Expiration()
		return c.check(sub, iat, exp)
	}
}
