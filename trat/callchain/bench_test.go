package callchain

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"
)

// benchCall returns what the callee of a call with so many links knows.
func benchCall(b testing.TB, w *world, links, group int, mode Mode) Received {
	b.Helper()
	token := w.token("w0", Hash{})
	var parent *Chain
	var r Received
	for i := range links {
		c := &call{
			from: w.workload(fmt.Sprint("w", i)), to: w.id(fmt.Sprint("w", i+1)),
			token: token, parent: parent, group: group, trace: Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}},
		}
		if i == links-1 {
			c.mode = mode
		}
		r = w.received(c)
		var err error
		if parent, err = w.verifier.Verify(r); err != nil {
			b.Fatal(err)
		}
	}
	return r
}

// BenchmarkBareVerify is the yardstick: one P-256 verification.
func BenchmarkBareVerify(b *testing.B) {
	key := newKey(b)
	digest := sha256.Sum256(nil)
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
			b.Fatal("not verified")
		}
	}
}

func benchVerify(b *testing.B, w *world, r Received) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.verifier.Verify(r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyOneLink: the certificate was seen before.
func BenchmarkVerifyOneLink(b *testing.B) {
	w := newWorld(b)
	benchVerify(b, w, benchCall(b, w, 1, 1, ModePath))
}

// BenchmarkVerifyPath: certificates were seen before, signatures were not.
func BenchmarkVerifyPath(b *testing.B) {
	for _, links := range []int{1, 2, 4, 6} {
		b.Run(fmt.Sprint(links), func(b *testing.B) {
			w := newWorld(b)
			r := benchCall(b, w, links, 1, ModePath)
			trust, err := w.verifier.trust(w.domain)
			if err != nil {
				b.Fatal(err)
			}
			trust.roots = nil
			benchVerify(b, w, r)
		})
	}
}

// BenchmarkVerifyAgainstBare reports how many bare verifications a link costs, measured in
// turns with them and by medians, so that other work on the machine counts for both.
func BenchmarkVerifyAgainstBare(b *testing.B) {
	key := newKey(b)
	digest := sha256.Sum256(nil)
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	for _, links := range []int{1, 2, 4, 6} {
		b.Run(fmt.Sprint(links), func(b *testing.B) {
			w := newWorld(b)
			r := benchCall(b, w, links, 1, ModePath)
			trust, err := w.verifier.trust(w.domain)
			if err != nil {
				b.Fatal(err)
			}
			trust.roots = nil
			var verify, bare []time.Duration
			for b.Loop() {
				start := time.Now()
				if _, err := w.verifier.Verify(r); err != nil {
					b.Fatal(err)
				}
				verified := time.Now()
				for range links {
					if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
						b.Fatal("not verified")
					}
				}
				verify, bare = append(verify, verified.Sub(start)), append(bare, time.Since(verified))
			}
			slices.Sort(verify)
			slices.Sort(bare)
			b.ReportMetric(float64(verify[len(verify)/2])/float64(bare[len(bare)/2]), "bare/link")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkVerifyGroup: links of groups whose signature was verified before.
func BenchmarkVerifyGroup(b *testing.B) {
	for _, mode := range []Mode{ModeHead, ModePath} {
		for _, links := range []int{1, 2, 4, 6} {
			b.Run(fmt.Sprint(mode, " ", links), func(b *testing.B) {
				w := newWorld(b)
				benchVerify(b, w, benchCall(b, w, links, 64, mode))
			})
		}
	}
}

// BenchmarkVerifyFirstLeaf: a certificate that was never seen.
func BenchmarkVerifyFirstLeaf(b *testing.B) {
	w := newWorld(b, WithCacheSize(0))
	benchVerify(b, w, benchCall(b, w, 1, 1, ModePath))
}

func BenchmarkReceipt(b *testing.B) {
	w := newWorld(b)
	chain, err := w.verifier.Verify(benchCall(b, w, 4, 64, ModePath))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = chain.Receipt()
	}
}

// BenchmarkGarbage: the most expensive chain that is refused without a signature operation.
func BenchmarkGarbage(b *testing.B) {
	w := newWorld(b)
	r := benchCall(b, w, 6, 64, ModePath)
	w.now = w.now.Add(MaxLifetime)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.verifier.Verify(r); err == nil {
			b.Fatal("accepted")
		}
	}
}
