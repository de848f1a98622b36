package keys

import (
	"errors"
	"fmt"
	"time"

	"github.com/grpc-trat/grpc-trat/trat"
)

// The token of a proof names a trust domain and an issuer that cannot exist (RFC
// 2606), so that it is worth nothing to anybody.
const (
	proofTrustDomain = "key-proof.invalid"
	proofIssuer      = "https://key-proof.invalid"
)

// prove signs a token and verifies it with the set exactly as it was published,
// parsed back from its JSON: what verifiers will do, by the code they do it with.
// Time stands still meanwhile: a clock that is set must not cost a good key.
func prove(signer *trat.Signer, jwks []byte, now time.Time) error {
	set, err := trat.ParseJWKS(jwks)
	if err != nil {
		return fmt.Errorf("read the published set back: %w", err)
	}
	verifier, err := trat.NewVerifier(proofTrustDomain, proofIssuer, set,
		trat.WithClock(func() time.Time { return now }), trat.WithAlgorithms(signer.Key().Algorithm()), trat.WithCacheSize(0))
	if err != nil {
		return err
	}
	scope, err := trat.ParseScope("proof")
	if err != nil {
		return err
	}
	unsigned, err := trat.Prepare(trat.Claims{
		Issuer:             proofIssuer,
		Subject:            "key-proof",
		Audience:           proofTrustDomain,
		TransactionID:      "key-proof",
		Scope:              scope,
		RequestingWorkload: "spiffe://" + proofTrustDomain + "/tts",
		IssuedAt:           now,
		Expiry:             now.Add(time.Second),
	})
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	raw, err := signer.Sign(unsigned)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	token, err := verifier.Verify(raw)
	if err != nil {
		return fmt.Errorf("verify with the published key: %w", err)
	}
	if token.KeyID() != signer.Key().ID() {
		return errors.New("the token names another key")
	}
	return nil
}
