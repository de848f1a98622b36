package trat

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"math/big"
	"testing"

	"github.com/c2sp/wycheproof"
)

// readVectors decodes a Wycheproof file into v.
func readVectors(t *testing.T, name string, v any) {
	t.Helper()
	b, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

// verifyCompact runs the signature layer alone on a JWS, without typ and claims.
func verifyCompact(k *Key, raw string) error {
	segments, err := splitCompact(raw)
	if err != nil {
		return err
	}
	var buf signatureBuffer
	d, err := segments.decode(&buf)
	if err != nil {
		return err
	}
	h, err := parseHeader(d.header)
	if err != nil {
		return err
	}
	if h.alg != k.alg {
		return invalid("alg", errKeyMismatch)
	}
	if !k.verify(d.signingInput, d.signature) {
		return errSignature
	}
	return nil
}

// The JWS vectors of Wycheproof, for every key that this package takes. Keys that it
// does not take (HMAC, other curves and hashes) must be refused as a JWK Set.
//
// Covers VER-02, VER-08, VER-12.
func TestWycheproofJWS(t *testing.T) {
	var vectors struct {
		TestGroups []struct {
			Public, Private json.RawMessage
			Comment         string
			Tests           []struct {
				TcID    int
				Comment string
				JWS     json.RawMessage
				Result  string
			}
		}
	}
	readVectors(t, "json_web_signature_test.json", &vectors)
	// Valid for Wycheproof, but not for a TraT.
	stricter := map[int]string{
		259: "empty payload",
		272: "empty payload",
		346: "alg PS384 with a key for PS256",
		350: "alg PS384 with a key for PS256",
	}
	run, refusedKeys := 0, 0
	for _, g := range vectors.TestGroups {
		jwk := g.Public
		if jwk == nil {
			jwk = g.Private
		}
		var withID map[string]any
		if err := json.Unmarshal(jwk, &withID); err != nil {
			t.Fatal(err)
		}
		if _, ok := withID["kid"]; !ok {
			withID["kid"] = "none"
		}
		set, err := ParseJWKS(testJWKS(withID))
		if err != nil {
			if withID["kty"] == "EC" && withID["alg"] == "ES256" {
				t.Errorf("group %q: %v", g.Comment, err)
			}
			refusedKeys++
			continue
		}
		k := set.Keys()[0]
		for _, tc := range g.Tests {
			var raw string
			if json.Unmarshal(tc.JWS, &raw) != nil {
				raw = string(tc.JWS) // the JSON serialization
			}
			run++
			err := verifyCompact(k, raw)
			want := tc.Result == "valid" && stricter[tc.TcID] == ""
			if (err == nil) != want {
				t.Errorf("%s %d %q (%s): %v", k.Algorithm(), tc.TcID, tc.Comment, tc.Result, err)
			}
		}
	}
	t.Logf("%d vectors, %d keys refused", run, refusedKeys)
	if run < 300 {
		t.Errorf("only %d vectors were run", run)
	}
}

// The vectors of the bare algorithms, with signatures as they are in a JWS.
//
// Covers VER-02, VER-08.
func TestWycheproofSignatures(t *testing.T) {
	type publicKey struct {
		Uncompressed, PK, Modulus, PublicExponent string
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	rsaKey := func(k publicKey) any {
		return &rsa.PublicKey{
			N: new(big.Int).SetBytes(unhex(k.Modulus)),
			E: int(new(big.Int).SetBytes(unhex(k.PublicExponent)).Int64()),
		}
	}
	for _, file := range []struct {
		name   string
		alg    Algorithm
		public func(publicKey) any
	}{
		{"ecdsa_secp256r1_sha256_p1363_test.json", ES256, func(k publicKey) any {
			p, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), unhex(k.Uncompressed))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}},
		{"ed25519_test.json", EdDSA, func(k publicKey) any { return ed25519.PublicKey(unhex(k.PK)) }},
		{"rsa_pss_2048_sha256_mgf1_32_test.json", PS256, rsaKey},
		{"rsa_pss_4096_sha256_mgf1_32_test.json", PS256, rsaKey},
		{"rsa_signature_2048_sha256_test.json", RS256, rsaKey},
		{"rsa_signature_4096_sha256_test.json", RS256, rsaKey},
	} {
		t.Run(file.name, func(t *testing.T) {
			var vectors struct {
				TestGroups []struct {
					PublicKey publicKey
					Tests     []struct {
						TcID                      int
						Comment, Msg, Sig, Result string
						Flags                     []string
					}
				}
			}
			readVectors(t, file.name, &vectors)
			run := 0
			for _, g := range vectors.TestGroups {
				k, err := NewKey(file.alg, file.public(g.PublicKey))
				if err != nil {
					if errors.Is(err, errKeyRSA) {
						continue // an exponent that TraT keys may not have
					}
					t.Fatal(err)
				}
				for _, tc := range g.Tests {
					run++
					got := k.verify(string(unhex(tc.Msg)), unhex(tc.Sig))
					if want := tc.Result == "valid"; got != want && tc.Result != "acceptable" {
						t.Errorf("%d %q: %v, want %v", tc.TcID, tc.Comment, got, want)
					}
				}
			}
			if run < 50 {
				t.Errorf("only %d vectors were run", run)
			}
		})
	}
}
