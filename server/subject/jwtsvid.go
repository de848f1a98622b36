package subject

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"

	"github.com/grpc-trat/grpc-trat/trat"
)

// SelfSignedOption tunes a SelfSigned.
type SelfSignedOption interface{ apply(*SelfSigned) error }

type selfSignedOption func(*SelfSigned) error

func (o selfSignedOption) apply(v *SelfSigned) error { return o(v) }

// JWTSVIDUse is how often one JWT-SVID is accepted. The zero value is no choice, and
// refused.
type JWTSVIDUse int

const (
	// OneUse accepts a JWT-SVID once. A Workload API may hand one out again and again for
	// half of its life, as SPIRE's does: so often can a workload start a transaction then.
	// What is gained is that a workload which lends its connection to others, as a proxy
	// does, cannot be made to use one twice.
	OneUse JWTSVIDUse = iota + 1
	// Reusable accepts a JWT-SVID until it expires. Whoever steals one gains nothing: its
	// sub must be the peer of the mutual TLS connection, so that the thief needs the key of
	// that workload's X.509-SVID too, with which it could sign any number of subject tokens.
	Reusable
)

// WithJWTSVIDs also accepts the requester's own JWT-SVID (JWT-SVID specification), for
// a transaction that the workload starts on nobody's behalf but its own. bundles, which
// is required, answers at once and is safe for concurrent use; it must have the bundle
// of the requester's trust domain. The rules:
//
//   - typ is JWT or JOSE, or absent; alg is ES256, EdDSA, PS256 or RS256; kid names a
//     JWT authority of the requester's trust domain.
//   - sub is the requester's SPIFFE ID. So another workload's is of no use.
//   - aud is the token service alone.
//   - exp has not passed by more than DefaultSkew, and is at most 5 minutes, and that
//     skew, from now. iat and nbf, if there, are not ahead by more than it.
//   - With OneUse, its signed part was never seen before.
//
// The subject is the workload itself, self:trust-domain/path without a third part.
//
// use is required. It does not bound what a workload signs itself, which is always good
// once.
func WithJWTSVIDs(bundles jwtbundle.Source, use JWTSVIDUse) SelfSignedOption {
	return selfSignedOption(func(v *SelfSigned) error {
		var problems []error
		if bundles == nil {
			problems = append(problems, errors.New("subject: JWT-SVIDs need a source of bundles"))
		}
		if use != OneUse && use != Reusable {
			problems = append(problems, errors.New("subject: JWT-SVIDs are for OneUse or Reusable"))
		}
		v.bundles, v.reusable = bundles, use == Reusable
		return errors.Join(problems...)
	})
}

// isJWTSVID says whether a token has a typ that JWT-SVIDs have.
func isJWTSVID(j *jws) bool { return j.hasType(plainType, "JOSE", "") }

func (v *SelfSigned) verifySVID(ctx context.Context, in Input, j *jws) (*Principal, error) {
	r := claimReader{claims: j.claims}
	sub := r.text("sub", maxSPIFFEID)
	audience := r.audience()
	exp, iat := r.date("exp"), r.optionalDate("iat")
	r.valid(exp, iat, in.Now, DefaultSkew, DefaultSkew)
	switch {
	case r.err != nil:
		return nil, r.err
	case sub != in.Requester.String():
		return nil, invalid("sub", "is not the requester")
	case len(audience) != 1 || audience[0] != v.audience:
		return nil, invalid("aud", "is not the token service alone")
	case exp.Sub(in.Now) > selfSignedLifetime+DefaultSkew:
		return nil, invalid("exp", "is more than %s from now", selfSignedLifetime+DefaultSkew)
	case j.kid == "":
		return nil, invalid("kid", "is missing")
	}
	subject := workloadNamespace(namespaceSelfSigned, in.Requester)
	if len(subject) > maxSubject {
		return nil, invalid("sub", "longer than %d bytes as a subject", maxSubject)
	}
	bundle, err := v.bundles.GetJWTBundleForTrustDomain(in.Requester.TrustDomain())
	if err != nil {
		return nil, trat.Errorf(trat.ReasonDependencyUnavailable, "", "JWT bundle of %q: %w", in.Requester.TrustDomain(), err)
	}
	key, ok := bundle.FindJWTAuthority(j.kid)
	switch {
	case !ok:
		return nil, invalid("kid", "is not a JWT authority of the trust domain")
	case !slices.Contains(algorithmsOf(key), j.alg):
		return nil, invalid("alg", "is not that of the key")
	}
	if err := j.verify(key); err != nil {
		return nil, err
	}
	if !v.reusable {
		if err := v.markSeen(ctx, in, "subject_token", j.signedPart(), exp.Add(DefaultSkew)); err != nil {
			return nil, err
		}
	}
	return &Principal{Issuer: in.Requester.String(), Subject: subject, Expiry: exp, Claims: j.claims}, nil
}

// signedPart is the hash of what the signature is over. It identifies a JWT: an ECDSA
// signature has a second spelling that anyone can compute, and a jti need not be there.
func (j *jws) signedPart() string {
	hash := sha256.Sum256([]byte(j.signingInput))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}
