package callchain

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"
)

// countingKey counts signatures.
type countingKey struct {
	crypto.Signer
	signatures atomic.Int64
}

func (k *countingKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.signatures.Add(1)
	return k.Signer.Sign(random, digest, opts)
}

func BenchmarkBareSign(b *testing.B) {
	key := newKey(b)
	digest := sha256.Sum256([]byte("root"))
	for b.Loop() {
		if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// One caller at a time, with the default budget: at most 1.3 times the bare signature.
func BenchmarkSignIdle(b *testing.B) {
	w := newWorld(b)
	s := w.signer(w.workload("gateway"))
	draft := w.draft("orders", w.token("gateway", Hash{}), nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.SignLink(b.Context(), draft); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	w := newWorld(b)
	token := w.token("a", Hash{})
	signed, err := w.signer(w.workload("d")).SignLink(b.Context(), w.draft("e", token, w.chain(token, "a", "b", "c", "d")))
	if err != nil {
		b.Fatal(err)
	}
	for _, mode := range []Mode{ModePath, ModeHead} {
		b.Run(mode.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := signed.Encode(mode, signed.Link().Leaf()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// 64 callers at a time that do nothing else: the worst that can happen to a budget.
func BenchmarkSignBusy(b *testing.B) {
	for _, perSecond := range []float64{250, 1000, 4000, 1e6} {
		b.Run(fmt.Sprintf("%.0f_per_second", perSecond), func(b *testing.B) {
			w := newWorld(b)
			by := w.workload("gateway")
			key := &countingKey{Signer: by.key}
			by.key = key
			s := w.signer(by, WithSignatureRate(perSecond))
			draft := w.draft("orders", w.token("gateway", Hash{}), nil)
			b.SetParallelism(32) // for each of GOMAXPROCS
			b.ReportAllocs()
			b.ResetTimer()
			start := time.Now()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.SignLink(b.Context(), draft); err != nil {
						b.Error(err)
						return
					}
				}
			})
			signatures := float64(key.signatures.Load())
			b.ReportMetric(float64(b.N)/signatures, "links/signature")
			b.ReportMetric(signatures/time.Since(start).Seconds(), "signatures/s")
		})
	}
}
