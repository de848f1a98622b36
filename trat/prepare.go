package trat

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Unsigned is a TraT that was checked and encoded and waits for its signature. One
// call of Signer.Sign redeems it. It prints as its txn.
type Unsigned struct {
	claims  Claims
	payload []byte
	used    atomic.Bool
}

// Prepare checks claims against every rule of issuing and encodes them:
//
//   - Issuer is an https URL, Audience a trust domain name
//   - Subject, TransactionID and RequestingWorkload are there, bounded, valid
//     UTF-8 without control characters; RequestingWorkload is one workload
//   - Scope is there (draft section 9.2.1)
//   - Expiry is after IssuedAt and at most MaxLifetime after it
//   - RequestingWorkloadChain, ReplacementCount and TransactionStart are all there or
//     none is, and fit each other; CallChainHash is there only with them
//
// Times are cut to whole seconds. Failures are an *Error: ReasonIssuanceDenied for
// an empty scope, ReasonTokenTooLarge when the payload alone passes MaxSize,
// ReasonInternal for the rest, because claims are the token service's own doing.
// Field is the claim.
func Prepare(c Claims) (*Unsigned, error) {
	c.IssuedAt = time.Unix(c.IssuedAt.Unix(), 0).UTC()
	c.Expiry = time.Unix(c.Expiry.Unix(), 0).UTC()
	if !c.TransactionStart.IsZero() {
		c.TransactionStart = time.Unix(c.TransactionStart.Unix(), 0).UTC()
	}
	for _, check := range []struct {
		claim string
		err   error
	}{
		{"iss", checkIssuer(c.Issuer)},
		{"aud", checkTrustDomain(c.Audience)},
		{"sub", checkIssuedText(c.Subject, maxSubjectSize)},
		{"txn", checkIssuedText(c.TransactionID, maxTxnSize)},
		{"req_wl", checkIssuedText(c.RequestingWorkload, maxWorkloadSize)},
		{"req_wl", checkWorkload(c.RequestingWorkload)},
		{"iat", outside(c.IssuedAt.Unix(), 0, maxNumericDate)},
		{"exp", outside(c.Expiry.Unix(), 0, maxNumericDate)},
		{"exp", outside(c.Expiry.Sub(c.IssuedAt), time.Second, MaxLifetime)},
	} {
		if check.err != nil {
			return nil, &Error{Reason: ReasonInternal, Field: check.claim, Err: check.err}
		}
	}
	if claim, err := c.checkReplacement(); err != nil {
		return nil, &Error{Reason: ReasonInternal, Field: claim, Err: err}
	}
	if c.Scope.IsZero() {
		return nil, &Error{Reason: ReasonIssuanceDenied, Field: "scope", Err: errEmpty}
	}
	payload := appendPayload(nil, c)
	if len(payload) > MaxSize {
		return nil, errTokenSize
	}
	return &Unsigned{claims: c, payload: payload}, nil
}

// checkIssuedText holds a claim to what a verifier asks and to valid UTF-8, which
// there is a property of the whole payload.
func checkIssuedText(text string, limit int) error {
	if !utf8.ValidString(text) {
		return errJSONUTF8
	}
	return checkText(text, limit)
}

// appendPayload appends the claims set, in a fixed order and without space.
func appendPayload(dst []byte, c Claims) []byte {
	dst = appendMember(append(dst, '{'), "iss", c.Issuer)
	dst = append(dst, `,"iat":`...)
	dst = strconv.AppendInt(dst, c.IssuedAt.Unix(), 10)
	dst = append(dst, `,"exp":`...)
	dst = strconv.AppendInt(dst, c.Expiry.Unix(), 10)
	dst = appendMember(append(dst, ','), "aud", c.Audience)
	dst = appendMember(append(dst, ','), "txn", c.TransactionID)
	dst = appendMember(append(dst, ','), "sub", c.Subject)
	dst = appendMember(append(dst, ','), "scope", c.Scope.text)
	dst = appendMember(append(dst, ','), "req_wl", c.RequestingWorkload)
	dst = appendReplacement(dst, c)
	dst = appendObject(dst, "tctx", c.TransactionContext)
	dst = appendObject(dst, "rctx", c.RequestContext)
	return append(dst, '}')
}

// appendReplacement appends the claims of a token that replaces another.
func appendReplacement(dst []byte, c Claims) []byte {
	if c.RequestingWorkloadChain.IsZero() {
		return dst
	}
	dst = append(dst, `,"req_wl_chain":`...)
	open := byte('[')
	for workload := range c.RequestingWorkloadChain.Workloads() {
		dst = appendText(append(dst, open), workload)
		open = ','
	}
	dst = append(dst, `],"rpl_cnt":`...)
	dst = strconv.AppendInt(dst, int64(c.ReplacementCount), 10)
	dst = append(dst, `,"txn_iat":`...)
	dst = strconv.AppendInt(dst, c.TransactionStart.Unix(), 10)
	if c.CallChainHash == [digestSize]byte{} {
		return dst
	}
	dst = append(dst, `,"chn":"`...)
	dst = encoding.AppendEncode(dst, c.CallChainHash[:])
	return append(dst, '"')
}

func appendObject(dst []byte, name string, o Object) []byte {
	if o.IsZero() {
		return dst
	}
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return append(dst, o.text...)
}

// appendMember appends "name":"value".
func appendMember(dst []byte, name, value string) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return appendText(dst, value)
}

// appendText appends "value", which is free of control characters.
func appendText(dst []byte, value string) []byte {
	dst = append(dst, '"')
	for i := range len(value) {
		if value[i] == '"' || value[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, value[i])
	}
	return append(dst, '"')
}

// Claims returns the claims as they will be signed.
func (u *Unsigned) Claims() Claims { return u.claims }

// String returns the type and the txn.
func (u *Unsigned) String() string {
	return fmt.Sprintf("trat.Unsigned(txn=%q)", u.claims.TransactionID)
}

// Format prints what String returns, whatever the verb.
func (u *Unsigned) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue returns the txn.
func (u *Unsigned) LogValue() slog.Value { return u.claims.LogValue() }
