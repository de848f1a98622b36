// The race detector allocates: make test runs this file apart, without it.
//go:build !race

package trat

import "testing"

// Allocations do not depend on the machine, so that they are a test; times are in
// internal/bench.
//
// Covers VER-25.
func TestAllocations(t *testing.T) {
	raw := tokenWith(nil)
	warm, _ := newTestVerifier(t)
	cold, _ := newTestVerifier(t, WithCacheSize(0))
	key := testSigners()[ES256].Key()
	segments, err := splitCompact(raw)
	if err != nil {
		t.Fatal(err)
	}
	var buf signatureBuffer
	d, err := segments.decode(&buf)
	if err != nil {
		t.Fatal(err)
	}
	bare := testing.AllocsPerRun(100, func() { key.verify(d.signingInput, d.signature) })
	for _, tc := range []struct {
		name    string
		v       *Verifier
		raw     string
		ceiling float64
	}{
		{"cached", warm, raw, 2},
		{"fresh", cold, raw, bare + 7},
		{"garbage", warm, raw[:len(raw)-90] + "." + raw[len(raw)-86:], 4},
	} {
		if n := testing.AllocsPerRun(100, func() { _, _ = tc.v.Verify(tc.raw) }); n > tc.ceiling {
			t.Errorf("%s: %v allocations, ceiling %v", tc.name, n, tc.ceiling)
		}
	}
}
