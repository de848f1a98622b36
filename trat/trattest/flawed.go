package trattest

import (
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// flawedToken makes a token with a flaw from one without.
type flawedToken struct {
	flaw   Flaw
	reason trat.Reason
	make   func(f *forgery) (string, error)
}

// flawed has every Flaw once.
var flawed = []flawedToken{
	{Empty, trat.ReasonTxnTokenMissing, func(*forgery) (string, error) { return "", nil }},
	{Garbage, trat.ReasonTxnTokenMalformed, func(*forgery) (string, error) { return "no-token-at-all", nil }},
	{TwoSegments, trat.ReasonTxnTokenMalformed, spelled(func(good string) string {
		return good[:strings.LastIndexByte(good, '.')]
	})},
	{FourSegments, trat.ReasonTxnTokenMalformed, spelled(func(good string) string { return good + ".AA" })},
	{Unsigned, trat.ReasonTxnTokenMalformed, func(f *forgery) (string, error) {
		set(&f.header, "alg", quote("none"))
		return f.input(object(f.payload)) + ".", nil
	}},
	{PaddedBase64, trat.ReasonTxnTokenMalformed, spelled(func(good string) string { return good + "==" })},
	{LooseBase64, trat.ReasonTxnTokenMalformed, spelled(loosen)},
	{Whitespace, trat.ReasonTxnTokenMalformed, spelled(func(good string) string { return good + " " })},
	{SchemePrefix, trat.ReasonTxnTokenMalformed, spelled(func(good string) string { return "Bearer " + good })},
	{TwoTokens, trat.ReasonTxnTokenMalformed, spelled(func(good string) string { return good + "," + good })},
	{Oversize, trat.ReasonTxnTokenMalformed, claimed("pad", quote(strings.Repeat("x", trat.MaxSize)))},
	{DuplicateClaim, trat.ReasonTxnTokenMalformed, func(f *forgery) (string, error) {
		f.payload = append([]member{{"aud", quote("other.test")}}, f.payload...)
		return f.sign()
	}},
	{DuplicateHeader, trat.ReasonTxnTokenMalformed, func(f *forgery) (string, error) {
		f.header = append([]member{{"alg", quote("none")}}, f.header...)
		return f.sign()
	}},
	{TrailingData, trat.ReasonTxnTokenMalformed, func(f *forgery) (string, error) {
		return f.signText(object(f.payload) + "{}")
	}},
	{InvalidUTF8, trat.ReasonTxnTokenMalformed, claimed("note", "\"\xff\"")},
	{DeepClaims, trat.ReasonTxnTokenMalformed, claimed("deep",
		strings.Repeat("[", trat.MaxDepth+1)+strings.Repeat("]", trat.MaxDepth+1))},

	{MissingIssuedAt, trat.ReasonTxnTokenMalformed, without("iat")},
	{MissingExpiry, trat.ReasonTxnTokenMalformed, without("exp")},
	{MissingAudience, trat.ReasonTxnTokenMalformed, without("aud")},
	{MissingTransactionID, trat.ReasonTxnTokenMalformed, without("txn")},
	{MissingSubject, trat.ReasonTxnTokenMalformed, without("sub")},
	{MissingScope, trat.ReasonTxnTokenMalformed, without("scope")},
	{MissingRequester, trat.ReasonTxnTokenMalformed, without("req_wl")},
	{EmptySubject, trat.ReasonTxnTokenMalformed, claimed("sub", `""`)},
	{TextExpiry, trat.ReasonTxnTokenMalformed, func(f *forgery) (string, error) {
		set(&f.payload, "exp", quote(unix(f.now.Add(trat.DefaultLifetime))))
		return f.sign()
	}},
	{ListScope, trat.ReasonTxnTokenMalformed, claimed("scope", `["test"]`)},
	{ListRequester, trat.ReasonTxnTokenMalformed, func(f *forgery) (string, error) {
		set(&f.payload, "req_wl", "["+quote("spiffe://"+f.domain+"/gateway")+"]")
		return f.sign()
	}},
	{TwoAudiences, trat.ReasonTxnTokenMalformed, func(f *forgery) (string, error) {
		set(&f.payload, "aud", "["+quote(f.domain)+","+quote("other.test")+"]")
		return f.sign()
	}},

	{Forged, trat.ReasonTxnTokenInvalid, func(f *forgery) (string, error) {
		if _, err := f.ownKey(); err != nil {
			return "", err
		}
		return f.sign()
	}},
	{Altered, trat.ReasonTxnTokenInvalid, func(f *forgery) (string, error) {
		set(&f.payload, "sub", quote("somebody-else"))
		signature := f.good[strings.LastIndexByte(f.good, '.'):]
		return f.input(object(f.payload)) + signature, nil
	}},
	{UnknownKey, trat.ReasonTxnTokenInvalid, func(f *forgery) (string, error) {
		key, err := f.ownKey()
		if err != nil {
			return "", err
		}
		set(&f.header, "kid", quote(key.ID()))
		return f.sign()
	}},
	{NoKeyID, trat.ReasonTxnTokenInvalid, headed("kid", "")},
	{NoAlgorithm, trat.ReasonTxnTokenInvalid, headed("alg", quote("none"))},
	{SymmetricAlgorithm, trat.ReasonTxnTokenInvalid, func(f *forgery) (string, error) {
		set(&f.header, "alg", quote("HS256"))
		return f.signWithPublicKey()
	}},
	{OtherAlgorithm, trat.ReasonTxnTokenInvalid, headed("alg", quote(string(trat.RS256)))},
	{NoType, trat.ReasonTxnTokenInvalid, headed("typ", "")},
	{JWTType, trat.ReasonTxnTokenInvalid, headed("typ", quote("JWT"))},
	{AccessTokenType, trat.ReasonTxnTokenInvalid, headed("typ", quote("at+jwt"))},
	{KeyURL, trat.ReasonTxnTokenInvalid, func(f *forgery) (string, error) {
		key, err := f.ownKey()
		if err != nil {
			return "", err
		}
		set(&f.header, "kid", quote(key.ID()))
		set(&f.header, "jku", quote("https://keys.attacker.test/jwks"))
		return f.sign()
	}},
	{OwnKey, trat.ReasonTxnTokenInvalid, func(f *forgery) (string, error) {
		key, err := f.ownKey()
		if err != nil {
			return "", err
		}
		text, err := jwk(key)
		if err != nil {
			return "", err
		}
		set(&f.header, "jwk", text)
		return f.sign()
	}},
	{OwnCertificate, trat.ReasonTxnTokenInvalid, headed("x5c", `["AAAA"]`)},
	{CriticalHeader, trat.ReasonTxnTokenInvalid, func(f *forgery) (string, error) {
		set(&f.header, "crit", `["test"]`)
		set(&f.header, "test", `1`)
		return f.sign()
	}},
	{WrongIssuer, trat.ReasonTxnTokenInvalid, claimed("iss", quote("https://tts.attacker.test"))},
	{MissingIssuer, trat.ReasonTxnTokenInvalid, without("iss")},
	{FutureIssuedAt, trat.ReasonTxnTokenInvalid, shifted(2*time.Minute, trat.DefaultLifetime)},
	{NotYetValid, trat.ReasonTxnTokenInvalid, func(f *forgery) (string, error) {
		set(&f.payload, "nbf", unix(f.now.Add(2*time.Minute)))
		return f.sign()
	}},
	{LongLived, trat.ReasonTxnTokenInvalid, shifted(0, 24*time.Hour)},
	{ExpiryBeforeIssue, trat.ReasonTxnTokenInvalid, shifted(0, -time.Second)},

	{Expired, trat.ReasonTxnTokenExpired, shifted(-2*trat.MaxLeeway, trat.DefaultLifetime)},
	{WrongAudience, trat.ReasonTxnTokenAudience, claimed("aud", quote("other.test"))},
	{SuffixedAudience, trat.ReasonTxnTokenAudience, func(f *forgery) (string, error) {
		set(&f.payload, "aud", quote(f.domain+".attacker.test"))
		return f.sign()
	}},
}

// spelled changes how a good token is written.
func spelled(respell func(good string) string) func(*forgery) (string, error) {
	return func(f *forgery) (string, error) { return respell(f.good), nil }
}

// claimed sets a claim to the given JSON text.
func claimed(name, value string) func(*forgery) (string, error) {
	return func(f *forgery) (string, error) {
		set(&f.payload, name, value)
		return f.sign()
	}
}

// without leaves a claim out.
func without(name string) func(*forgery) (string, error) {
	return func(f *forgery) (string, error) {
		remove(&f.payload, name)
		return f.sign()
	}
}

// headed sets a header to the given JSON text, or leaves it out when that is empty.
func headed(name, value string) func(*forgery) (string, error) {
	return func(f *forgery) (string, error) {
		if value == "" {
			remove(&f.header, name)
		} else {
			set(&f.header, name, value)
		}
		return f.sign()
	}
}

// shifted moves iat away from now and puts exp a lifetime behind it.
func shifted(from time.Duration, lifetime time.Duration) func(*forgery) (string, error) {
	return func(f *forgery) (string, error) {
		iat := f.now.Add(from)
		set(&f.payload, "iat", unix(iat))
		set(&f.payload, "exp", unix(iat.Add(lifetime)))
		return f.sign()
	}
}

// loosen sets an unused bit of the last character. 64 bytes leave four such bits.
func loosen(good string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(good) - 1
	return good[:last] + string(alphabet[strings.IndexByte(alphabet, good[last])|1])
}
