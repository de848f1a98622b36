package trat

import (
	"slices"
	"time"
)

// Verifier decides whether a TraT is to be trusted (draft section 12.2). It is
// immutable but for its cache, and safe for concurrent use.
type Verifier struct {
	trustDomain, issuer string
	keys                KeySet
	algorithms          []Algorithm
	leeway, maxLifetime time.Duration
	clock               Clock
	cacheSize           int
	cache               *cache // nil when off
	allowMissingIssuer  bool
}

// TrustDomain returns the audience that tokens must have.
func (v *Verifier) TrustDomain() string { return v.trustDomain }

// Leeway returns how far clocks may differ, see WithLeeway. Guards allow the links of call
// chains as much.
func (v *Verifier) Leeway() time.Duration { return v.leeway }

// Issuer returns the issuer that tokens must have.
func (v *Verifier) Issuer() string { return v.issuer }

// Verify returns the Token whose compact form is raw, or an *Error:
//
//   - ReasonTxnTokenMissing: raw is empty
//   - ReasonTxnTokenMalformed: size, segments, base64url, JSON, a required claim
//     absent, or a header parameter or claim of the wrong type
//   - ReasonTxnTokenInvalid: typ, alg, forbidden header parameters, iss, iat, nbf,
//     lifetime, req_wl_chain, rpl_cnt, txn_iat and chn that contradict each other, unknown
//     kid, signature
//   - ReasonTxnTokenAudience: aud is not the trust domain
//   - ReasonTxnTokenExpired: at or past exp plus leeway
//   - ReasonKeysUnavailable: the key set is absent or stale
//
// Field names the claim or header parameter. The checks run in the order size,
// shape, header, claims, aud, iss, times, key, signature: nothing but a token that
// names a current key of the pinned issuer costs a signature operation.
//
// A token that this Verifier has accepted before is answered from a cache, after
// its times and its key were checked again.
func (v *Verifier) Verify(raw string) (*Token, error) {
	segments, err := splitCompact(raw)
	if err != nil {
		return nil, err
	}
	now := v.clock()
	if v.cache == nil {
		return v.verifyFresh(raw, segments, now)
	}
	e := v.cache.get(segments)
	if e == nil {
		return v.verifyFresh(raw, segments, now)
	}
	if err := v.checkTimes(&e.payload, now); err != nil {
		return nil, err
	}
	key, err := v.key(e.key.id, e.key.alg)
	if err != nil {
		return nil, err
	}
	if !key.same(e.key) { // another key goes by this kid now
		return v.verifyFresh(raw, segments, now)
	}
	return newToken(raw, e), nil
}

// verifyFresh makes every check.
func (v *Verifier) verifyFresh(raw string, segments compact, now time.Time) (*Token, error) {
	var buf signatureBuffer
	d, err := segments.decode(&buf)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(d.header)
	if err != nil {
		return nil, err
	}
	if err := h.checkType(); err != nil {
		return nil, err
	}
	if !slices.Contains(v.algorithms, h.alg) {
		return nil, invalid("alg", errNotAllowed)
	}
	if !h.alg.fits(d.signature) {
		return nil, errSignature
	}
	p, err := parsePayload(d.payload)
	if err != nil {
		return nil, err
	}
	if err := v.checkClaims(p, now); err != nil {
		return nil, err
	}
	key, err := v.key(h.kid, h.alg)
	if err != nil {
		return nil, err
	}
	if !key.verify(d.signingInput, d.signature) {
		return nil, errSignature
	}
	e := newVerified(raw, segments, p, key)
	if v.cache != nil {
		v.cache.put(segments, e)
	}
	return newToken(raw, e), nil
}

// checkClaims checks aud, iss, times and the history of a replacement.
func (v *Verifier) checkClaims(p *payload, now time.Time) error {
	if p.claims.Audience != v.trustDomain {
		return &Error{Reason: ReasonTxnTokenAudience, Field: "aud"}
	}
	if iss := p.claims.Issuer; iss != v.issuer && (iss != "" || !v.allowMissingIssuer) {
		return invalid("iss", errNotAllowed)
	}
	if err := v.checkTimes(p, now); err != nil {
		return err
	}
	if claim, err := p.claims.checkReplacement(); err != nil {
		return invalid(claim, err)
	}
	return nil
}

// checkTimes compares whole seconds: claims have no others, and the seconds of a
// time are its floor, so that nothing is accepted late.
func (v *Verifier) checkTimes(p *payload, now time.Time) error {
	earliest, latest := now.Add(-v.leeway).Unix(), now.Add(v.leeway).Unix()
	lifetime, longest := p.exp-p.iat, int64((v.maxLifetime+v.leeway)/time.Second)
	switch {
	case lifetime <= 0 || lifetime > longest:
		return invalid("exp", errRange)
	case earliest >= p.exp:
		return &Error{Reason: ReasonTxnTokenExpired, Field: "exp"}
	case p.iat > latest:
		return invalid("iat", errFuture)
	case p.nbf > latest:
		return invalid("nbf", errFuture)
	}
	return nil
}

// key finds the key and holds the token's algorithm to it.
func (v *Verifier) key(kid string, alg Algorithm) (*Key, error) {
	if kid == "" {
		return nil, invalid("kid", errAbsent)
	}
	key, err := v.keys.Key(kid)
	switch {
	case err != nil:
		if _, ok := ReasonOf(err); !ok {
			err = &Error{Reason: ReasonKeysUnavailable, Err: err}
		}
		return nil, err
	case key == nil || key.public == nil || key.id != kid:
		return nil, errUnknownKey
	case key.alg != alg:
		return nil, invalid("alg", errKeyMismatch)
	}
	return key, nil
}
