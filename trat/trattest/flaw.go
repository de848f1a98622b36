package trattest

import (
	"slices"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Flaw is one way in which a token can be bad, in a word.
type Flaw string

// Empty is the empty string: no token.
const Empty Flaw = "empty"

// Tokens that are not one well-formed TraT.
const (
	// Garbage is text that is no JWS.
	Garbage Flaw = "garbage"
	// TwoSegments has no signature segment.
	TwoSegments Flaw = "two segments"
	// FourSegments has an extra segment.
	FourSegments Flaw = "four segments"
	// Unsigned has alg "none" and an empty signature.
	Unsigned Flaw = "unsigned"
	// PaddedBase64 has a segment with padding.
	PaddedBase64 Flaw = "padded base64"
	// LooseBase64 has a signature segment whose unused bits are not zero: the same
	// bytes in another spelling.
	LooseBase64 Flaw = "loose base64"
	// Whitespace has a space at the end.
	Whitespace Flaw = "whitespace"
	// SchemePrefix begins with "Bearer ".
	SchemePrefix Flaw = "scheme prefix"
	// TwoTokens is two good tokens with a comma between them.
	TwoTokens Flaw = "two tokens"
	// Oversize is longer than trat.MaxSize.
	Oversize Flaw = "oversize"
	// DuplicateClaim has aud twice.
	DuplicateClaim Flaw = "duplicate claim"
	// DuplicateHeader has alg twice.
	DuplicateHeader Flaw = "duplicate header"
	// TrailingData has text behind the JSON of its payload.
	TrailingData Flaw = "trailing data"
	// InvalidUTF8 has a byte in its payload that is not UTF-8.
	InvalidUTF8 Flaw = "invalid UTF-8"
	// DeepClaims nests deeper than trat.MaxDepth.
	DeepClaims Flaw = "deep claims"
)

// Tokens without a claim that each TraT has, or with one of the wrong type or number.
const (
	MissingIssuedAt      Flaw = "missing iat"
	MissingExpiry        Flaw = "missing exp"
	MissingAudience      Flaw = "missing aud"
	MissingTransactionID Flaw = "missing txn"
	MissingSubject       Flaw = "missing sub"
	MissingScope         Flaw = "missing scope"
	MissingRequester     Flaw = "missing req_wl"
	// EmptySubject has "" as sub.
	EmptySubject Flaw = "empty sub"
	// TextExpiry has a string as exp.
	TextExpiry Flaw = "text exp"
	// ListScope has an array as scope.
	ListScope Flaw = "list scope"
	// ListRequester has an array as req_wl, as early revisions of the draft had.
	ListRequester Flaw = "list req_wl"
	// TwoAudiences is for this trust domain and another.
	TwoAudiences Flaw = "two aud"
)

// Well-formed tokens that nobody may trust.
const (
	// Forged is signed by a stranger's key under the kid of the real one.
	Forged Flaw = "forged"
	// Altered is a good token with a changed claim under the old signature.
	Altered Flaw = "altered"
	// UnknownKey is well signed by a key that is not in the key set.
	UnknownKey Flaw = "unknown key"
	// NoKeyID has no kid.
	NoKeyID Flaw = "no kid"
	// NoAlgorithm has alg "none" above a signature.
	NoAlgorithm Flaw = "alg none"
	// SymmetricAlgorithm has alg HS256, with the public key as the secret.
	SymmetricAlgorithm Flaw = "alg HS256"
	// OtherAlgorithm names an algorithm that the key is not for.
	OtherAlgorithm Flaw = "alg RS256"
	// NoType has no typ.
	NoType Flaw = "no typ"
	// JWTType has the general typ of JWTs.
	JWTType Flaw = "typ JWT"
	// AccessTokenType has the typ of OAuth access tokens.
	AccessTokenType Flaw = "typ at+jwt"
	// KeyURL brings the address of its own key: header jku.
	KeyURL Flaw = "header jku"
	// OwnKey brings its own key: header jwk.
	OwnKey Flaw = "header jwk"
	// OwnCertificate brings its own certificate: header x5c.
	OwnCertificate Flaw = "header x5c"
	// CriticalHeader has a critical extension that nobody knows: header crit.
	CriticalHeader Flaw = "header crit"
	// WrongIssuer is from another token service.
	WrongIssuer Flaw = "wrong iss"
	// MissingIssuer says of no token service that it issued it.
	MissingIssuer Flaw = "missing iss"
	// FutureIssuedAt was issued two minutes from now.
	FutureIssuedAt Flaw = "future iat"
	// NotYetValid has an nbf two minutes from now.
	NotYetValid Flaw = "future nbf"
	// LongLived lives for a day.
	LongLived Flaw = "long lived"
	// ExpiryBeforeIssue has an exp before its iat.
	ExpiryBeforeIssue Flaw = "exp before iat"
)

// Tokens for another time or place.
const (
	// Expired is past exp and any leeway.
	Expired Flaw = "expired"
	// WrongAudience is for another trust domain.
	WrongAudience Flaw = "wrong aud"
	// SuffixedAudience is for a trust domain whose name begins with this one's.
	SuffixedAudience Flaw = "suffixed aud"
)

// Flaws returns every Flaw, from malformed to misplaced.
func Flaws() []Flaw {
	flaws := make([]Flaw, len(flawed))
	for i, f := range flawed {
		flaws[i] = f.flaw
	}
	return flaws
}

// Reason is what a verifier of the Domain must answer for a token with this flaw;
// "" for a word that is no Flaw.
func (f Flaw) Reason() trat.Reason {
	i := slices.IndexFunc(flawed, func(x flawedToken) bool { return x.flaw == f })
	if i < 0 {
		return ""
	}
	return flawed[i].reason
}

// BrokenToken is a token with one flaw.
type BrokenToken struct {
	// Flaw says what is wrong, and names a subtest.
	Flaw Flaw
	// Raw is the token as it would be sent.
	Raw string
	// Reason is what a verifier must answer.
	Reason trat.Reason
}

// Broken returns a token like that of Raw with one flaw.
func (d *Domain) Broken(f Flaw, opts ...TokenOption) string {
	d.tb.Helper()
	i := slices.IndexFunc(flawed, func(x flawedToken) bool { return x.flaw == f })
	if i < 0 {
		d.tb.Fatalf("trattest: no flaw %q", string(f))
	}
	raw, err := flawed[i].make(d.forge(opts))
	if err != nil {
		d.tb.Fatalf("trattest: %s: %v", f, err)
	}
	return raw
}

// BrokenTokens returns one token for each Flaw, in the order of Flaws.
func (d *Domain) BrokenTokens(opts ...TokenOption) []BrokenToken {
	d.tb.Helper()
	tokens := make([]BrokenToken, len(flawed))
	for i, f := range flawed {
		tokens[i] = BrokenToken{Flaw: f.flaw, Raw: d.Broken(f.flaw, opts...), Reason: f.reason}
	}
	return tokens
}
