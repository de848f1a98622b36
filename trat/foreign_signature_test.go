package trat

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// Covers TTS-18.
func TestVerifySignatureAgreesWithAnotherImplementation(t *testing.T) {
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	edPublic, ed, err2 := ed25519.GenerateKey(rand.Reader)
	// Issuers may have longer keys than TraTs are signed with.
	long, err3 := rsa.GenerateKey(rand.Reader, 4160)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	holders := map[Algorithm]struct {
		private any
		public  crypto.PublicKey
	}{
		ES256: {ec, &ec.PublicKey}, EdDSA: {ed, edPublic}, RS256: {long, &long.PublicKey}, PS256: {long, &long.PublicKey},
	}
	for alg, holder := range holders {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: holder.private}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign([]byte(`{"sub":"alice"}`))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		segments, err := splitCompact(raw)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := encoding.DecodeString(segments.signature)
		if err != nil {
			t.Fatal(err)
		}
		if !VerifySignature(alg, holder.public, segments.signingInput, sig) {
			t.Errorf("%s: a good signature is refused", alg)
		}
		if VerifySignature(alg, holder.public, segments.signingInput+"x", sig) {
			t.Errorf("%s: a signature of something else is accepted", alg)
		}
		for other, held := range holders {
			if other == alg {
				continue
			}
			if VerifySignature(other, holder.public, segments.signingInput, sig) {
				t.Errorf("%s: accepted as %s", alg, other)
			}
			if held.public != holder.public && VerifySignature(alg, held.public, segments.signingInput, sig) {
				t.Errorf("%s: accepted for the key of %s", alg, other)
			}
		}
		for name, bad := range map[string][]byte{"no signature": nil, "a short one": sig[:len(sig)-1], "a long one": append(slices.Clip(sig), 0)} {
			if VerifySignature(alg, holder.public, segments.signingInput, bad) {
				t.Errorf("%s: %s is accepted", alg, name)
			}
		}
		for name, bad := range map[string]crypto.PublicKey{
			"no key": nil, "P-384": &p384.PublicKey, "an empty Ed25519 key": ed25519.PublicKey{}, "a private key": holder.private,
		} {
			if VerifySignature(alg, bad, segments.signingInput, sig) {
				t.Errorf("%s: accepted for %s", alg, name)
			}
		}
	}
}
