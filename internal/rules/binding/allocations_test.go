// The race detector allocates: make test runs this file apart, without it.
//go:build !race

package binding

import "testing"

// Allocations do not depend on the machine, so that they are a test; times are in
// internal/bench.
//
// Covers VER-18, VER-25.
func TestAllocations(t *testing.T) {
	compiled, message := fourBindings(t)
	tctx := mustObject(t, fourTctx)
	check := func() {
		if err := compiled.Check(tctx, message.ProtoReflect()); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, check); n > 0 {
		t.Errorf("a check of four fields: %v allocations, ceiling 0", n)
	}
}
