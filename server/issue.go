package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	tratv1 "github.com/grpc-trat/grpc-trat/gen/trat/v1"
	"github.com/grpc-trat/grpc-trat/trat"
)

// issue prepares the claims, signs exactly what was prepared and returns the token
// only if it reads back as that.
func (s *Server) issue(ctx context.Context, a *attempt) (*tratv1.ExchangeResponse, error) {
	now := s.clock() // later than when the request was taken up, if others had to be asked
	claims, err := s.claims(a, now)
	if err != nil {
		return nil, err
	}
	prepared, err := trat.Prepare(claims)
	if err != nil {
		return nil, err
	}
	signer, err := s.keys.Signer()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil { // nobody waits: no token without a holder
		return nil, err
	}
	token, err := signer.Sign(prepared)
	if err != nil {
		return nil, err
	}
	if err := reread(token, claims, signer.Key()); err != nil {
		return nil, err
	}
	a.token, a.digest, a.claims = token, sha256.Sum256([]byte(token)), claims
	return respond(token, claims.Scope.String(), claims.Expiry, now), nil
}

// respond makes the answer of draft section 11.4.
func respond(token, scope string, expiry, now time.Time) *tratv1.ExchangeResponse {
	return &tratv1.ExchangeResponse{
		AccessToken:     token,
		IssuedTokenType: trat.TokenType,
		TokenType:       tokenTypeNotApplicable,
		ExpiresIn:       int64(expiry.Sub(now) / time.Second),
		Scope:           scope,
	}
}

// claims are those of draft section 9.2. Every one is chosen here or granted by
// policy; none is copied from the request.
func (s *Server) claims(a *attempt, now time.Time) (trat.Claims, error) {
	iat := now.Truncate(time.Second)
	claims := trat.Claims{
		Issuer:             s.issuer,
		Subject:            a.principal.Subject,
		Audience:           s.trustDomain.Name(),
		Scope:              a.grant.Scope,
		RequestingWorkload: a.requester.ID.String(),
		IssuedAt:           iat,
		Expiry:             iat.Add(a.grant.Lifetime),
		TransactionContext: a.grant.TransactionContext,
		RequestContext:     a.grant.RequestContext,
	}
	if a.principal.Transaction != nil {
		return s.replacement(a, claims, now)
	}
	claims.TransactionID = newTransactionID()
	if end := a.principal.Expiry; !a.grant.AllowOutlive && !end.IsZero() && end.Before(claims.Expiry) {
		claims.Expiry = end.Truncate(time.Second)
		if claims.Expiry.Sub(now) < time.Second {
			return trat.Claims{}, trat.Errorf(trat.ReasonSubjectTokenExpired, fieldSubjectToken, "it leaves less than a second")
		}
	}
	return claims, nil
}

// newTransactionID returns 128 random bits in 22 characters (draft section 13.2, RFC
// 8417 section 2.2: unique).
func newTransactionID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// reread is the last look at a token before it leaves: whatever went wrong between
// the decision and the bytes, a token that says something else stays here.
func reread(token string, want trat.Claims, key *trat.Key) error {
	got, err := trat.ParseUnverified(token)
	if err != nil {
		return trat.Errorf(trat.ReasonInternal, "", "the signed token does not read back: %v", err)
	}
	if !sameClaims(got.Claims(), want) {
		return trat.Errorf(trat.ReasonInternal, "", "the signed token has other claims than prepared")
	}
	if got.KeyID() != key.ID() || got.Algorithm() != key.Algorithm() {
		return trat.Errorf(trat.ReasonInternal, "", "the signed token names another key")
	}
	return nil
}

// sameClaims compares every field, present and future: times as instants, the rest
// by ==.
func sameClaims(a, b trat.Claims) bool {
	if !a.IssuedAt.Equal(b.IssuedAt) || !a.Expiry.Equal(b.Expiry) || !a.TransactionStart.Equal(b.TransactionStart) {
		return false
	}
	a.IssuedAt, b.IssuedAt = time.Time{}, time.Time{}
	a.Expiry, b.Expiry = time.Time{}, time.Time{}
	a.TransactionStart, b.TransactionStart = time.Time{}, time.Time{}
	return a == b
}
