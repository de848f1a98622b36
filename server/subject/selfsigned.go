package subject

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/grpc-trat/grpc-trat/trat"
	"github.com/grpc-trat/grpc-trat/trat/replay"
)

const (
	// selfSignedWindow is how far "iat" may be from now.
	selfSignedWindow = 60 * time.Second
	// selfSignedLifetime is the longest time from "iat" to "exp".
	selfSignedLifetime = 5 * time.Minute
	// replayMargin is how much longer than its token a jti is remembered, for the
	// time between judging the token and marking its jti.
	replayMargin = 5 * time.Second

	maxJTI      = 128
	maxSPIFFEID = 2048 // SPIFFE-ID section 2.3
)

var _ Verifier = (*SelfSigned)(nil)

// SelfSigned verifies JWTs that the requester itself has signed (draft section
// 11.2.1), by these rules:
//
//   - typ is trat.SubjectType; alg is the one of the key: ES256, EdDSA, RS256 or
//     PS256. A kid is not looked at.
//   - iss is the requester's SPIFFE ID, and the key that of its X.509-SVID on this
//     connection. So a token is of no use to another workload.
//   - aud is the token service alone.
//   - iat is within 60 s of now; exp at most 5 minutes after iat, and has not
//     passed by more than DefaultSkew.
//   - jti, at most 128 bytes, was never seen before.
//
// The scope of a principal is never known. With the option WithJWTSVIDs it also accepts
// JWT-SVIDs, by rules of their own.
type SelfSigned struct {
	audience string
	seen     replay.Store
	bundles  jwtbundle.Source // nil: no JWT-SVIDs
	reusable bool             // of JWT-SVIDs
}

// NewSelfSigned returns a verifier for tokens whose aud is audience, the token
// service's own identifier. Both arguments are required. Each accepted token, but for a
// Reusable JWT-SVID, is marked in seen: with a store that replicas do not share, a token can be used
// once at each of them.
func NewSelfSigned(audience string, seen replay.Store, opts ...SelfSignedOption) (*SelfSigned, error) {
	v := &SelfSigned{audience: audience, seen: seen}
	var problems []error
	if audience == "" {
		problems = append(problems, errors.New("subject: self-signed tokens need an audience"))
	}
	if seen == nil {
		problems = append(problems, errors.New("subject: self-signed tokens need a replay store"))
	}
	for _, o := range opts {
		if o == nil {
			problems = append(problems, errors.New("subject: an option of self-signed tokens is nil"))
			continue
		}
		problems = append(problems, o.apply(v))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return v, nil
}

// Type returns trat.TokenTypeSelfSigned.
func (v *SelfSigned) Type() string { return trat.TokenTypeSelfSigned }

// Verify implements Verifier. Its reasons include SUBJECT_TOKEN_REPLAYED,
// RATE_LIMITED when the requester has used up its share of the replay store, and
// DEPENDENCY_UNAVAILABLE when the store fails or is full, or there is no JWT bundle.
func (v *SelfSigned) Verify(ctx context.Context, in Input) (*Principal, error) {
	if err := checkLeaf(in); err != nil {
		return nil, err
	}
	j, err := parseJWS(in.Token)
	if err != nil {
		return nil, err
	}
	switch {
	case j.hasType(trat.SubjectType):
		return v.verifyOwn(ctx, in, j)
	case v.bundles != nil && isJWTSVID(j):
		return v.verifySVID(ctx, in, j)
	}
	return nil, invalid("typ", "is not that of a self-signed subject token")
}

// verifyOwn verifies what the requester has signed with the key of its X.509-SVID.
func (v *SelfSigned) verifyOwn(ctx context.Context, in Input, j *jws) (*Principal, error) {
	if !slices.Contains(algorithmsOf(in.RequesterLeaf.PublicKey), j.alg) {
		return nil, invalid("alg", "is not that of the requester's key")
	}
	r := claimReader{claims: j.claims}
	v.checkIssuer(&r, in)
	sub := r.text("sub", maxSub)
	jti := r.text("jti", maxJTI)
	exp, iat := r.lifetime(in.Now, DefaultSkew, selfSignedWindow)
	switch {
	case iat.Before(in.Now.Add(-selfSignedWindow)):
		r.fail("iat", "is too long ago")
	case exp.Sub(iat) > selfSignedLifetime:
		r.fail("exp", "is more than %s after iat", selfSignedLifetime)
	}
	if r.err != nil {
		return nil, r.err
	}
	subject, err := qualify(workloadNamespace(namespaceSelfSigned, in.Requester), sub)
	if err != nil {
		return nil, err
	}
	if err := j.verify(in.RequesterLeaf.PublicKey); err != nil {
		return nil, err
	}
	// The token is good until the earlier of these, so no longer is its jti needed.
	until := iat.Add(selfSignedWindow)
	if end := exp.Add(DefaultSkew); end.Before(until) {
		until = end
	}
	// Last of all: only an entirely good token uses up its jti.
	if err := v.markSeen(ctx, in, "jti", jti, until); err != nil {
		return nil, err
	}
	return &Principal{Issuer: in.Requester.String(), Subject: subject, Expiry: exp, Claims: j.claims}, nil
}

// checkLeaf guards against a caller that mixes up its workloads.
func checkLeaf(in Input) error {
	if in.RequesterLeaf == nil {
		return trat.Errorf(trat.ReasonInternal, "", "subject: no certificate of the requester")
	}
	if id, err := x509svid.IDFromCert(in.RequesterLeaf); err != nil || id != in.Requester {
		return trat.Errorf(trat.ReasonInternal, "", "subject: the certificate is not the requester's")
	}
	return nil
}

func (v *SelfSigned) checkIssuer(r *claimReader, in Input) {
	iss := r.text("iss", maxSPIFFEID)
	audience := r.audience()
	switch {
	case r.err != nil:
	case iss != in.Requester.String():
		r.fail("iss", "is not the requester")
	case len(audience) != 1 || audience[0] != v.audience:
		r.fail("aud", "is not the token service alone")
	}
}

// markSeen uses up the token that id, found in the given field, identifies, and that is
// good until then.
func (v *SelfSigned) markSeen(ctx context.Context, in Input, field, id string, until time.Time) error {
	owner := in.Requester.String()
	key := sha256.Sum256([]byte(trat.TokenTypeSelfSigned + "\x00" + owner + "\x00" + field + "\x00" + id))
	fresh, err := v.seen.Mark(ctx, owner, base64.RawURLEncoding.EncodeToString(key[:]), until.Add(replayMargin))
	switch {
	case errors.Is(err, replay.ErrShare):
		return trat.Errorf(trat.ReasonRateLimited, "", "%w", err)
	case err != nil:
		return trat.Errorf(trat.ReasonDependencyUnavailable, "", "replay store: %w", err)
	case !fresh:
		return trat.Errorf(trat.ReasonSubjectTokenReplayed, field, "was used before")
	}
	return nil
}
