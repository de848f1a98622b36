package trat

import (
	"strconv"
	"strings"
	"time"
)

// maxNumericDate is the last second of the year 9999.
const maxNumericDate = 253402300799

// payload is what a TraT says. All its strings are parts of one decoded text or
// copies of their own, so that it is immutable.
type payload struct {
	claims        Claims
	iat, exp, nbf int64 // seconds since 1970; nbf is 0 when absent
}

// requiredClaims are those of draft section 9.2.
var requiredClaims = [...]string{"iat", "aud", "exp", "txn", "sub", "scope", "req_wl"}

// parsePayload reads the claims set. Every claim that is known here must have its
// type; unknown ones are ignored (draft section 9.2).
func parsePayload(src string) (*payload, error) {
	p := &payload{}
	s, err := newJSONScanner(src, MaxDepth)
	if err != nil {
		return nil, malformed("payload", err)
	}
	members, err := s.object()
	if err != nil {
		return nil, malformed("payload", err)
	}
	seen := 0
	for {
		name, ok, err := members.next()
		if err != nil {
			return nil, malformed("payload", err)
		}
		if !ok {
			break
		}
		v, err := s.value()
		if err != nil {
			return nil, malformed("payload", err)
		}
		if err := p.set(name, v, s.spaced); err != nil {
			return nil, malformed(name, err)
		}
		for i, required := range requiredClaims {
			if name == required {
				seen |= 1 << i
			}
		}
	}
	if err := s.end(); err != nil {
		return nil, malformed("payload", err)
	}
	for i, required := range requiredClaims {
		if seen&(1<<i) == 0 {
			return nil, malformed(required, errAbsent)
		}
	}
	p.claims.IssuedAt = time.Unix(p.iat, 0).UTC()
	p.claims.Expiry = time.Unix(p.exp, 0).UTC()
	return p, nil
}

// set takes one claim. The name of an unknown one never reaches an error.
func (p *payload) set(name string, v jsonValue, spaced bool) (err error) {
	c := &p.claims
	switch name {
	case "iss":
		c.Issuer, err = claimText(v, maxIssuerSize)
	case "sub":
		c.Subject, err = claimText(v, maxSubjectSize)
	case "aud":
		c.Audience, err = claimAudience(v)
	case "txn":
		c.TransactionID, err = claimText(v, maxTxnSize)
	case "req_wl":
		c.RequestingWorkload, err = claimWorkload(v)
	case "req_wl_chain":
		c.RequestingWorkloadChain, err = claimChain(v)
	case "rpl_cnt":
		c.ReplacementCount, err = claimCount(v)
	case "txn_iat":
		c.TransactionStart, err = claimTime(v)
	case "chn":
		c.CallChainHash, err = claimHash(v)
	case "scope":
		c.Scope, err = claimScope(v)
	case "iat":
		p.iat, err = claimDate(v, false)
	case "exp":
		p.exp, err = claimDate(v, false)
	case "nbf":
		p.nbf, err = claimDate(v, true)
	case "tctx":
		c.TransactionContext, err = claimObject(v, spaced)
	case "rctx":
		c.RequestContext, err = claimObject(v, spaced)
	}
	return err
}

// claimText reads a string claim.
func claimText(v jsonValue, limit int) (string, error) {
	if v.kind != jsonString {
		return "", errWrongType
	}
	return v.text, checkText(v.text, limit)
}

// checkText holds a string claim to its bounds. Control characters have no place
// in an identifier and could forge lines of a log.
func checkText(text string, limit int) error {
	switch {
	case text == "":
		return errEmpty
	case len(text) > limit:
		return errTooLong
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] == 0x7f {
			return errCharacter
		}
	}
	return nil
}

// claimAudience reads aud: one string, alone or in an array (draft section 9.2, RFC
// 7519 section 4.1.3).
func claimAudience(v jsonValue) (string, error) {
	if v.kind == jsonArray {
		count := 0
		for v = range elements(v.raw) {
			count++
		}
		if count != 1 {
			return "", errWrongType
		}
	}
	return claimText(v, maxAudienceSize)
}

// claimWorkload reads req_wl, which names one workload. Lists, which earlier
// revisions of the draft allowed, are refused in either form.
func claimWorkload(v jsonValue) (string, error) {
	text, err := claimText(v, maxWorkloadSize)
	if err != nil {
		return "", err
	}
	return text, checkWorkload(text)
}

func checkWorkload(text string) error {
	if strings.ContainsAny(text, ", ") {
		return errCharacter
	}
	return nil
}

// claimScope reads scope. The error of ParseScope is dropped for its reason: to a
// verifier a bad scope is a malformed token.
func claimScope(v jsonValue) (Scope, error) {
	if v.kind != jsonString {
		return Scope{}, errWrongType
	}
	scope, err := ParseScope(v.text)
	switch {
	case err == nil:
		return scope, nil
	case v.text == "":
		return Scope{}, errEmpty
	case len(v.text) > MaxScopeSize:
		return Scope{}, errTooLong
	}
	return Scope{}, errCharacter
}

// claimHash reads chn, a SHA-256 in base64url. All zeros are what is absent here, and no hash
// of anything.
func claimHash(v jsonValue) (hash [digestSize]byte, err error) {
	if v.kind != jsonString {
		return hash, errWrongType
	}
	if len(v.text) != encoding.EncodedLen(len(hash)) {
		return hash, errRange
	}
	n, err := encoding.Decode(hash[:], []byte(v.text))
	switch {
	case err != nil || n != len(hash): // the decoder skips line breaks
		return hash, errCharacter
	case hash == [digestSize]byte{}:
		return hash, errEmpty
	}
	return hash, nil
}

// claimObject reads tctx or rctx.
func claimObject(v jsonValue, spaced bool) (Object, error) {
	if v.kind != jsonObject {
		return Object{}, errWrongType
	}
	return compactObject(v.raw, spaced)
}

// claimDate reads a NumericDate (RFC 7519 section 2) of the years 1970 to 9999. A
// fraction is legal there; it is dropped, or, where the date is a beginning, rounded
// up, so that it never lengthens a token's life. Exponents and signs are refused.
func claimDate(v jsonValue, up bool) (int64, error) {
	if v.kind != jsonNumber {
		return 0, errWrongType
	}
	whole, fraction, _ := strings.Cut(v.raw, ".")
	if strings.ContainsAny(fraction, "eE") {
		return 0, errRange
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 || n > maxNumericDate || v.raw[0] == '-' {
		return 0, errRange
	}
	if up && strings.Trim(fraction, "0") != "" {
		n++
	}
	return n, nil
}

// claimTime reads a NumericDate that bounds nothing.
func claimTime(v jsonValue) (time.Time, error) {
	n, err := claimDate(v, false)
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(n, 0).UTC(), nil
}

// claimCount reads rpl_cnt, which is absent rather than 0.
func claimCount(v jsonValue) (int, error) {
	if v.kind != jsonNumber {
		return 0, errWrongType
	}
	n, err := strconv.Atoi(v.raw)
	if err != nil || n < 1 || n >= MaxWorkloadChain {
		return 0, errRange
	}
	return n, nil
}
