package subject

import (
	"context"
	"errors"
	"slices"

	"github.com/grpc-trat/grpc-trat/trat"
)

var _ Verifier = (*TransactionToken)(nil)

// TokenVerifier decides whether a TraT is to be trusted; *trat.Verifier is one. Safe
// for concurrent use.
type TokenVerifier interface {
	// Verify returns the verified TraT, or an *trat.Error.
	Verify(raw string) (*trat.Token, error)
}

// TransactionToken takes a TraT of this token service as subject token: the input of a
// replacement (draft section 13.15). The principal is the transaction's: its sub as it
// is, its scope, which is known, and the token itself in Principal.Transaction. What
// may be replaced, and by whom, is for the policy to say.
//
// A TraT that has expired is refused without any leeway, or replacement would be a way
// to keep one alive.
type TransactionToken struct {
	verifier TokenVerifier
}

// NewTransactionToken returns a verifier of TraTs by means of verifier, which must go
// by the token service's own keys, issuer and trust domain. It is required.
func NewTransactionToken(verifier TokenVerifier) (*TransactionToken, error) {
	if v, ok := verifier.(*trat.Verifier); verifier == nil || ok && v == nil {
		return nil, errors.New("subject: transaction tokens need a verifier")
	}
	return &TransactionToken{verifier: verifier}, nil
}

// Type returns trat.TokenType.
func (v *TransactionToken) Type() string { return trat.TokenType }

// Verify implements Verifier. It does no I/O. Its reasons include KEYS_UNAVAILABLE;
// those of a TraT that arrives with a call are turned into those of a subject token.
func (v *TransactionToken) Verify(_ context.Context, in Input) (*Principal, error) {
	token, err := v.verifier.Verify(in.Token)
	if err != nil {
		return nil, transactionError(err)
	}
	if err := notExpired(token.Expiry(), in.Now, 0); err != nil {
		return nil, err
	}
	if token.Issuer() == "" {
		return nil, invalid("iss", "is missing")
	}
	return &Principal{
		Issuer:      token.Issuer(),
		Subject:     token.Subject(),
		Scopes:      slices.Collect(token.Scope().Tokens()),
		ScopeKnown:  true,
		Expiry:      token.Expiry(),
		Transaction: token,
	}, nil
}

// transactionError is what err, of a TokenVerifier, means for a subject token: the
// mTLS peer and its call are not at fault.
func transactionError(err error) error {
	reason, ok := trat.ReasonOf(err)
	if !ok {
		return trat.Errorf(trat.ReasonInternal, "", "subject: the verifier of transaction tokens broke its contract (%T)", err)
	}
	var field string
	var cause error
	if e, ok := errors.AsType[*trat.Error](err); ok {
		field, cause = e.Field, e.Err
	}
	switch reason {
	case trat.ReasonKeysUnavailable, trat.ReasonInternal:
	case trat.ReasonTxnTokenExpired:
		reason = trat.ReasonSubjectTokenExpired
	default:
		if reason = trat.ReasonSubjectTokenInvalid; field == "" {
			field = "subject_token"
		}
	}
	return &trat.Error{Reason: reason, Field: field, Err: cause}
}
