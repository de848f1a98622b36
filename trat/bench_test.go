package trat

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"
)

func benchVerifier(b *testing.B, alg Algorithm, opts ...VerifierOption) (*Verifier, string) {
	b.Helper()
	v, err := NewVerifier("trust-domain.example", "https://tts.trust-domain.example", testKeys(b),
		append(opts, WithClock(fixedClock), WithAlgorithms(alg))...)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	return v, signClaims(b, testSigners()[alg], goodClaims())
}

func BenchmarkVerifyFresh(b *testing.B) {
	for alg := range testSigners() {
		b.Run(string(alg), func(b *testing.B) {
			v, raw := benchVerifier(b, alg, WithCacheSize(0))
			for b.Loop() {
				if _, err := v.Verify(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyCached(b *testing.B) {
	v, raw := benchVerifier(b, ES256)
	for b.Loop() {
		if _, err := v.Verify(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyCachedParallel(b *testing.B) {
	v, raw := benchVerifier(b, ES256)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Verify(raw); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// What a forged token costs before it is refused: the most expensive kind of garbage
// that is refused without a signature operation.
func BenchmarkVerifyGarbage(b *testing.B) {
	v, raw := benchVerifier(b, ES256)
	expired := goodClaims()
	expired.IssuedAt = testNow.Add(-time.Hour)
	expired.Expiry = expired.IssuedAt.Add(time.Minute)
	for name, raw := range map[string]string{
		"expired":  signClaims(b, testSigners()[ES256], expired),
		"random":   fmt.Sprintf("%s.%s.%s", rand.Text(), rand.Text(), rand.Text()),
		"too long": raw + raw + raw + raw + raw + raw,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(raw); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

func BenchmarkParseUnverified(b *testing.B) {
	_, raw := benchVerifier(b, ES256)
	for b.Loop() {
		if _, err := ParseUnverified(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	for alg, signer := range testSigners() {
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				signClaims(b, signer, goodClaims())
			}
		})
	}
}
