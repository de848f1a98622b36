// The race detector allocates: make test runs this file apart, without it.
//go:build !race

package callchain

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"testing"
)

// Allocations do not depend on the machine, so that they are a test; times are in
// benchmarks.
func TestAllocations(t *testing.T) {
	w := newWorld(t)
	key, digest := newKey(t), sha256.Sum256(nil)
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	bare := testing.AllocsPerRun(100, func() { ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) })
	for _, tc := range []struct {
		name    string
		r       Received
		ceiling float64
	}{
		{"one link", benchCall(t, w, 1, 1, ModePath), bare + 9},
		{"one link of a group that was seen", benchCall(t, w, 1, 64, ModePath), 7},
		{"six links of groups that were seen", benchCall(t, w, 6, 64, ModePath), 25},
	} {
		n := testing.AllocsPerRun(100, func() {
			if _, err := w.verifier.Verify(tc.r); err != nil {
				t.Fatal(err)
			}
		})
		if n > tc.ceiling {
			t.Errorf("%s: %v allocations, ceiling %v", tc.name, n, tc.ceiling)
		}
	}
}
