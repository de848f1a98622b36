package subject_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/grpc-trat/grpc-trat/server/subject"
	"github.com/grpc-trat/grpc-trat/trat"
)

// BenchmarkAccessToken compares the verification of an RS256 access token with the
// bare signature operation on the same bytes.
func BenchmarkAccessToken(b *testing.B) {
	key := signingKey{kid: "1", alg: "RS256", private: rsaKey()}
	issuers, err := subject.NewIssuers(subject.IssuersConfig{
		Issuers: []subject.IssuerConfig{loginConfig()}, Transport: newFakeProvider(login, key), Logger: quiet,
	})
	if err != nil {
		b.Fatal(err)
	}
	issuers.Start()
	b.Cleanup(func() { _ = issuers.Close() })
	v := must(subject.NewAccessToken(issuers))
	token := key.jwt("at+jwt", accessClaims(now), nil)

	b.Run("verifier", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(b.Context(), input(trat.TokenTypeAccessToken, token)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		signed := []byte(token[:strings.LastIndexByte(token, '.')])
		signature := key.sign(signed)
		public := &rsaKey().PublicKey
		for b.Loop() {
			digest := sha256.Sum256(signed)
			if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature); err != nil {
				b.Fatal(err)
			}
		}
	})
}
