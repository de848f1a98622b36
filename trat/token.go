package trat

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Token is a verified TraT. Only a Verifier makes one that holds anything. It is
// immutable and safe for concurrent use; on a nil or zero Token every accessor
// returns zero values.
//
// It prints as its Fingerprint through every fmt verb, log/slog and encoding/json.
type Token struct {
	// open returns the compact form and the rest. They are behind a func because
	// neither fmt, which prints unexported fields and cannot call their methods, nor any
	// other printer that works by reflection looks inside one.
	open func() (raw string, v *verified)
}

// verified is what a verification found out: all that the cache keeps, and no
// credential.
type verified struct {
	payload
	key             *Key
	signingInput    string
	signatureDigest [digestSize]byte // SHA-256 of the signature segment
	digest          [digestSize]byte // SHA-256 of the compact form
}

func newVerified(raw string, token compact, p *payload, key *Key) *verified {
	return &verified{
		payload:         *p,
		key:             key,
		signingInput:    strings.Clone(token.signingInput), // which would keep raw alive
		signatureDigest: sum256(token.signature),
		digest:          sum256(raw),
	}
}

// is reports whether v is the outcome of verifying token.
func (v *verified) is(token compact) bool {
	return v.signingInput == token.signingInput && v.signatureDigest == sum256(token.signature)
}

func newToken(raw string, v *verified) *Token {
	return &Token{open: func() (string, *verified) { return raw, v }}
}

func (t *Token) verified() bool { return t != nil && t.open != nil }

// noToken is what zero Tokens hold.
var noToken = &verified{key: &Key{}}

func (t *Token) get() *verified {
	if !t.verified() {
		return noToken
	}
	_, v := t.open()
	return v
}

// Claims returns the claims.
func (t *Token) Claims() Claims { return t.get().claims }

// Issuer returns iss: the pinned issuer, or "" from a Verifier that allows its
// absence.
func (t *Token) Issuer() string { return t.get().claims.Issuer }

// Subject returns sub, the principal of the transaction.
func (t *Token) Subject() string { return t.get().claims.Subject }

// Audience returns aud, the trust domain's name.
func (t *Token) Audience() string { return t.get().claims.Audience }

// TransactionID returns txn.
func (t *Token) TransactionID() string { return t.get().claims.TransactionID }

// Scope returns scope, the purpose of the transaction.
func (t *Token) Scope() Scope { return t.get().claims.Scope }

// RequestingWorkload returns req_wl, the workload that asked for the token.
func (t *Token) RequestingWorkload() string { return t.get().claims.RequestingWorkload }

// RequestingWorkloadChain returns req_wl_chain, the workloads that asked for the tokens
// of the transaction up to this one; zero unless it replaces one.
func (t *Token) RequestingWorkloadChain() WorkloadChain {
	return t.get().claims.RequestingWorkloadChain
}

// ReplacementCount returns rpl_cnt, how many tokens were replaced up to this one.
func (t *Token) ReplacementCount() int { return t.get().claims.ReplacementCount }

// TransactionStart returns txn_iat, when the transaction's first token was issued; zero
// unless the token replaces one.
func (t *Token) TransactionStart() time.Time { return t.get().claims.TransactionStart }

// CallChainHash returns chn, the hash of the last link by which the replaced token had come
// to RequestingWorkload; zero unless the token replaces one that had come with a chain.
func (t *Token) CallChainHash() [32]byte { return t.get().claims.CallChainHash }

// IssuedAt returns iat.
func (t *Token) IssuedAt() time.Time { return t.get().claims.IssuedAt }

// Expiry returns exp.
func (t *Token) Expiry() time.Time { return t.get().claims.Expiry }

// TransactionContext returns tctx; zero when the token has none.
func (t *Token) TransactionContext() Object { return t.get().claims.TransactionContext }

// RequestContext returns rctx; zero when the token has none.
func (t *Token) RequestContext() Object { return t.get().claims.RequestContext }

// KeyID returns the kid of the key that verified the token.
func (t *Token) KeyID() string { return t.get().key.id }

// Size returns the length of the compact form in bytes.
func (t *Token) Size() int { return len(t.UnsafeRaw()) }

// Fingerprint returns the SHA-256 of the compact form in base64url, 43 characters:
// what may be logged in the token's place (draft section 15.2). It identifies
// bytes, not a transaction: an ECDSA signature has a second valid spelling that
// anyone can compute from the first. Transactions are identified by txn.
func (t *Token) Fingerprint() string {
	if !t.verified() {
		return ""
	}
	return encoding.EncodeToString(t.get().digest[:])
}

// Digest returns the SHA-256 of the compact form, which Fingerprint spells; zero for a zero
// Token.
func (t *Token) Digest() [32]byte { return t.get().digest }

// UnsafeRaw returns the compact form, a bearer credential, for the transports that
// propagate it. It must not reach a log, an error or a store.
func (t *Token) UnsafeRaw() string {
	if !t.verified() {
		return ""
	}
	raw, _ := t.open()
	return raw
}

// The methods below have value receivers, so that a Token that was copied out of
// its pointer does not print either.

// String returns the Fingerprint.
func (t Token) String() string { return t.Fingerprint() }

// GoString returns the Fingerprint.
func (t Token) GoString() string { return t.Fingerprint() }

// Format prints the Fingerprint, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.Fingerprint()) }

// LogValue returns the Fingerprint.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.Fingerprint()) }

// MarshalText returns the Fingerprint.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.Fingerprint()), nil }

// MarshalJSON returns the Fingerprint as a JSON string.
func (t Token) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, t.Fingerprint()), nil }
